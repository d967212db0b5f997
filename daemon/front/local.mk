# SPDX-License-Identifier: GPL-3.0-or-later
# The catalogue and what it stands on: no event loop, no HTTP.
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	daemon/front/job.c daemon/front/job.h \
	daemon/front/quota.c daemon/front/quota.h \
	daemon/front/record.c daemon/front/record.h \
	daemon/front/schedule.c daemon/front/schedule.h \
	daemon/front/schedule_plan.c \
	daemon/front/store.h daemon/front/store_internal.h \
	daemon/front/store_backup.c daemon/front/store_clone.c \
	daemon/front/store_cluster.c daemon/front/store_count.c \
	daemon/front/store_db.c daemon/front/store_env.c \
	daemon/front/store_nonce.c \
	daemon/front/store_job.c daemon/front/store_list.c \
	daemon/front/store_purge.c daemon/front/store_quarantine.c daemon/front/store_recount.c \
	daemon/front/store_restore.c \
	daemon/front/store_schedule.c \
	daemon/front/store_token.c daemon/front/store_txn.c daemon/front/store_verify.c \
	daemon/front/token.c daemon/front/token.h
libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS) $(CRYPTO_CFLAGS)
STORE_LIBS = libstore.a libcommon.a $(LMDB_LIBS) $(CRYPTO_LIBS) $(SYSTEMD_LIBS)

# HTTP and the operations: hostile bytes to one transaction and its answer.
noinst_LIBRARIES += libfronthttp.a
libfronthttp_a_SOURCES = \
	daemon/front/api.c daemon/front/api.h \
	daemon/front/audit.c daemon/front/audit.h \
	daemon/front/authz.c daemon/front/authz.h \
	daemon/front/call.h daemon/front/caller.c daemon/front/caller.h \
	daemon/front/conn.c daemon/front/conn.h \
	daemon/front/framing.c daemon/front/framing.h \
	daemon/front/http.c daemon/front/http.h \
	daemon/front/op.h \
	daemon/front/op_backup.c daemon/front/op_clone.c daemon/front/op_check.c daemon/front/op_cluster.c \
	daemon/front/op_create.c daemon/front/op_hold.c daemon/front/op_job.c daemon/front/op_policy.c \
	daemon/front/op_policy.h daemon/front/op_policy_set.c \
	daemon/front/op_quarantine.c daemon/front/op_restore.c daemon/front/op_status.c daemon/front/op_verify.c \
	daemon/front/nonces.c daemon/front/nonces.h \
	daemon/front/param.c daemon/front/param.h \
	daemon/front/peer.c daemon/front/peer.h \
	daemon/front/present.c daemon/front/present.h \
	daemon/front/quarantine.c daemon/front/quarantine.h \
	daemon/front/reply.c daemon/front/reply.h \
	daemon/front/request.c daemon/front/request.h \
	daemon/front/right.c daemon/front/right.h \
	daemon/front/sign.c daemon/front/sign.h daemon/front/sign_crypto.h \
	daemon/front/sign_keys.c daemon/front/sign_keys.h \
	daemon/front/sign_text.c daemon/front/sign_text.h \
	daemon/front/standing.c daemon/front/standing.h \
	daemon/front/view.c daemon/front/view.h
libfronthttp_a_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
FRONTHTTP_LIBS = libfronthttp.a $(EVENT_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)

# The scheduler, recovery, the link to the engine, and the process around all of it.
pkglibexec_PROGRAMS += dbsnapd-front
dbsnapd_front_SOURCES = \
	daemon/front/clock_watch.c daemon/front/clock_watch.h \
	daemon/front/cluster.c daemon/front/cluster.h \
	daemon/front/front.c daemon/front/front.h \
	daemon/front/intake.c daemon/front/intake.h \
	daemon/front/link.c daemon/front/link.h \
	daemon/front/main.c \
	daemon/front/outcome.c daemon/front/outcome.h \
	daemon/front/replay.c daemon/front/replay.h \
	daemon/front/recover.c daemon/front/recover.h \
	daemon/front/sandbox.c daemon/front/sandbox.h \
	daemon/front/sched.c daemon/front/sched.h daemon/front/sched_internal.h \
	daemon/front/sched_auto.c daemon/front/sched_auto.h daemon/front/sched_auto_expire.c \
	daemon/front/sched_adopt.c daemon/front/sched_end.c daemon/front/sched_facts.c \
	daemon/front/sched_job.c daemon/front/sched_measure.c daemon/front/sched_queue.c \
	daemon/front/sched_place.c daemon/front/sched_question.c daemon/front/sched_serve.c \
	daemon/front/sched_verify.c \
	daemon/front/timer.c daemon/front/timer.h \
	$(SANITIZER_SOURCES)
dbsnapd_front_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(SECCOMP_CFLAGS)
dbsnapd_front_LDADD = $(FRONTHTTP_LIBS) $(STORE_LIBS) $(EVENT_LIBS) $(SECCOMP_LIBS)
