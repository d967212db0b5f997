# SPDX-License-Identifier: GPL-3.0-or-later
# The privileged daemon. Everything but main is a library, so that tests link it.
noinst_LIBRARIES += libengine.a
libengine_a_SOURCES = \
	daemon/engine/db.c daemon/engine/db.h \
	daemon/engine/db_none.c \
	daemon/engine/db_postgresql.c daemon/engine/db_postgresql.h \
	daemon/engine/job.c daemon/engine/job.h \
	daemon/engine/layout.c daemon/engine/layout.h \
	daemon/engine/manifest.h \
	daemon/engine/mounts.c daemon/engine/mounts.h \
	daemon/engine/pg_clone.c daemon/engine/pg_clone.h \
	daemon/engine/pg_clone_config.c \
	daemon/engine/pg_config.c \
	daemon/engine/pg_connect.c \
	daemon/engine/pg_control.c daemon/engine/pg_control.h \
	daemon/engine/pg_inspect.c daemon/engine/pg_inspect.h \
	daemon/engine/place.h \
	daemon/engine/server.c daemon/engine/server.h \
	daemon/engine/session.c daemon/engine/session.h \
	daemon/engine/snap.c daemon/engine/snap.h \
	daemon/engine/snap_btrfs.c \
	daemon/engine/tree.c daemon/engine/tree.h \
	daemon/engine/volume.c daemon/engine/volume.h \
	daemon/engine/walker.c daemon/engine/walker.h
libengine_a_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(YAML_CFLAGS) $(BTRFSUTIL_CFLAGS)

sbin_PROGRAMS += dbsnapd
dbsnapd_SOURCES = daemon/engine/main.c
dbsnapd_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS) $(BTRFSUTIL_LIBS)
