# SPDX-License-Identifier: GPL-3.0-or-later
# The privileged daemon. Everything but main is a library, so that tests link it.
noinst_LIBRARIES += libengine.a
libengine_a_SOURCES = \
	daemon/engine/db.h \
	daemon/engine/job.c daemon/engine/job.h \
	daemon/engine/layout.h \
	daemon/engine/manifest.h \
	daemon/engine/place.h \
	daemon/engine/snap.h \
	daemon/engine/volume.c daemon/engine/volume.h \
	daemon/engine/walker.h
libengine_a_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(YAML_CFLAGS) $(BTRFSUTIL_CFLAGS)

sbin_PROGRAMS += dbsnapd
dbsnapd_SOURCES = daemon/engine/main.c
dbsnapd_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS) $(BTRFSUTIL_LIBS)
