# SPDX-License-Identifier: GPL-3.0-or-later
# The catalogue and what it stands on: no event loop, no HTTP.
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	daemon/front/job.c daemon/front/job.h \
	daemon/front/quota.c daemon/front/quota.h \
	daemon/front/record.c daemon/front/record.h \
	daemon/front/store.h \
	daemon/front/token.c daemon/front/token.h
libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS) $(CRYPTO_CFLAGS)
STORE_LIBS = libstore.a libcommon.a $(LMDB_LIBS) $(CRYPTO_LIBS) $(SYSTEMD_LIBS)
