# SPDX-License-Identifier: GPL-3.0-or-later
# Database helpers: the only programs that link a database's library.
HELPER_SOURCES = \
	daemon/helper/answer.c daemon/helper/answer.h \
	daemon/helper/helper.c daemon/helper/helper.h \
	daemon/helper/sandbox.c daemon/helper/sandbox.h \
	$(SANITIZER_SOURCES)

pkglibexec_PROGRAMS += dbsnapd-helper-postgresql
dbsnapd_helper_postgresql_SOURCES = \
	daemon/helper/backup.c daemon/helper/backup.h \
	daemon/helper/connect.c daemon/helper/connect.h \
	daemon/helper/postgresql.c \
	daemon/helper/query.c daemon/helper/query.h \
	$(HELPER_SOURCES)
dbsnapd_helper_postgresql_CPPFLAGS = $(AM_CPPFLAGS) $(PQ_CFLAGS) $(SECCOMP_CFLAGS)
dbsnapd_helper_postgresql_LDADD = libcommon.a $(PQ_LIBS) $(SECCOMP_LIBS) $(SYSTEMD_LIBS)

pkglibexec_PROGRAMS += dbsnapd-helper-mariadb
dbsnapd_helper_mariadb_SOURCES = \
	daemon/helper/mariadb.c \
	daemon/helper/mariadb_connect.c daemon/helper/mariadb_connect.h \
	daemon/helper/mariadb_lock.c daemon/helper/mariadb_lock.h \
	daemon/helper/mariadb_query.c daemon/helper/mariadb_query.h \
	$(HELPER_SOURCES)
dbsnapd_helper_mariadb_CPPFLAGS = $(AM_CPPFLAGS) $(MARIADB_CFLAGS) $(SECCOMP_CFLAGS)
dbsnapd_helper_mariadb_LDADD = libcommon.a $(MARIADB_LIBS) $(SECCOMP_LIBS) $(SYSTEMD_LIBS)
