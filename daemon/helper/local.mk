# SPDX-License-Identifier: GPL-3.0-or-later
# Database helpers: the only programs that link a database's library.
pkglibexec_PROGRAMS += dbsnapd-helper-postgresql
dbsnapd_helper_postgresql_SOURCES = \
	daemon/helper/backup.c daemon/helper/backup.h \
	daemon/helper/connect.c daemon/helper/connect.h \
	daemon/helper/helper.c daemon/helper/helper.h \
	daemon/helper/postgresql.c \
	daemon/helper/query.c daemon/helper/query.h \
	daemon/helper/sandbox.c daemon/helper/sandbox.h \
	$(SANITIZER_SOURCES)
dbsnapd_helper_postgresql_CPPFLAGS = $(AM_CPPFLAGS) $(PQ_CFLAGS) $(SECCOMP_CFLAGS)
dbsnapd_helper_postgresql_LDADD = libcommon.a $(PQ_LIBS) $(SECCOMP_LIBS) $(SYSTEMD_LIBS)
