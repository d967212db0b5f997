# SPDX-License-Identifier: GPL-3.0-or-later
# The catalogue and what it stands on: no event loop, no HTTP.
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	daemon/front/job.c daemon/front/job.h \
	daemon/front/quota.c daemon/front/quota.h \
	daemon/front/record.c daemon/front/record.h \
	daemon/front/store.h daemon/front/store_internal.h \
	daemon/front/store_backup.c daemon/front/store_clone.c \
	daemon/front/store_cluster.c daemon/front/store_count.c \
	daemon/front/store_db.c daemon/front/store_env.c \
	daemon/front/store_job.c daemon/front/store_list.c \
	daemon/front/store_purge.c daemon/front/store_recount.c \
	daemon/front/store_token.c daemon/front/store_txn.c \
	daemon/front/token.c daemon/front/token.h
libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS) $(CRYPTO_CFLAGS)
STORE_LIBS = libstore.a libcommon.a $(LMDB_LIBS) $(CRYPTO_LIBS) $(SYSTEMD_LIBS)
