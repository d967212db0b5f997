# The dbsnap command.
bin_PROGRAMS += dbsnap
dbsnap_SOURCES = \
	client/call.c client/call.h \
	client/client.h \
	client/cmd_add.c \
	client/cmd_backup.c \
	client/cmd_clone.c \
	client/cmd_cluster.c \
	client/cmd_job.c \
	client/cmd_policy.c client/policy.h \
	client/cmd_policy_set.c \
	client/cmd_policy_test.c \
	client/cmd_quarantine.c \
	client/cmd_restore.c \
	client/cmd_status.c \
	client/discover.c client/discover.h \
	client/explain.c \
	client/field.c client/field.h \
	client/install.c client/install.h \
	client/items.c client/items.h \
	client/main.c \
	client/listening.c client/listening.h \
	client/mounts.c client/mounts.h \
	client/near.c client/near.h \
	client/progress.c client/progress.h \
	client/propose.c client/propose.h \
	client/rpc.c client/rpc.h \
	client/show.c client/show.h \
	client/table.c client/table.h \
	client/text.c client/text.h \
	client/token.h \
	client/wait.c client/wait.h
dbsnap_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS) $(JANSSON_CFLAGS) -DDBSNAP_SBINDIR='"$(sbindir)"'
dbsnap_LDADD = libcommon.a $(CURL_LIBS) $(JANSSON_LIBS) $(YAML_LIBS) $(SYSTEMD_LIBS)

# bash-completion looks a command up by its name.
dist_completion_DATA = client/completion/dbsnap
