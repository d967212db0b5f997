# What several programs share: no event loop, no policy.
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	common/clock.c common/clock.h \
	common/conf.h common/conf_error.h \
	common/cursor.c common/cursor.h \
	common/err.c common/err.h \
	common/ident.c common/ident.h \
	common/log.c common/log.h \
	common/msg.c common/msg.h \
	common/proc.c common/proc.h \
	common/schema.h \
	common/scope.h
libcommon_a_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
