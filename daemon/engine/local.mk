sbin_PROGRAMS += dbsnapd
dbsnapd_SOURCES = daemon/engine/main.c
dbsnapd_LDADD = libcommon.a $(SYSTEMD_LIBS)
