sbin_PROGRAMS += dbsnapd
dbsnapd_SOURCES = daemon/engine/main.c
dbsnapd_LDADD = libcommon.a $(YAML_LIBS) $(SYSTEMD_LIBS)
