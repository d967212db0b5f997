# What several programs share: no event loop, no policy.
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	common/ask.c common/ask.h \
	common/clock.c common/clock.h \
	common/conf.c common/conf.h common/conf_parts.h \
	common/conf_check.c \
	common/conf_clusters.c \
	common/conf_conninfo.c \
	common/conf_error.c common/conf_error.h \
	common/conf_file.c \
	common/conf_keys.c \
	common/conf_load.c \
	common/conf_policies.c \
	common/conf_reload.c \
	common/conf_resolve.c \
	common/cursor.c common/cursor.h \
	common/err.c common/err.h \
	common/grow.h \
	common/ident.c common/ident.h \
	common/log.c common/log.h \
	common/msg.c common/msg.h \
	common/node.c common/node.h \
	common/operation.c common/operation.h \
	common/pairs.c common/pairs.h \
	common/policy.c common/policy.h common/policy_parts.h \
	common/policy_decide.c \
	common/policy_match.c \
	common/policy_parse.c \
	common/policy_words.c \
	common/proc.c common/proc.h \
	common/schema.c common/schema.h \
	common/schema_mdoc.c \
	common/schema_value.c \
	common/scope.h \
	common/xdg.c common/xdg.h \
	common/yaml_event.c common/yaml_event.h
libcommon_a_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(YAML_CFLAGS)

# For our programs, which are not looked into from outside; tests keep what the sanitizers do by themselves.
if WITH_SANITIZER
SANITIZER_SOURCES = common/sanitizer.c
endif
