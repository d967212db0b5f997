# SPDX-License-Identifier: GPL-3.0-or-later
# The privileged daemon. Everything but main is a library, so that tests link it.
noinst_LIBRARIES += libengine.a
libengine_a_SOURCES = \
	daemon/engine/account.c daemon/engine/account.h \
	daemon/engine/bindir.c daemon/engine/bindir.h \
	daemon/engine/cell.c daemon/engine/cell.h \
	daemon/engine/clone_make.c daemon/engine/clone_make.h \
	daemon/engine/clones.c daemon/engine/clones.h \
	daemon/engine/config_copy.c daemon/engine/config_copy.h \
	daemon/engine/config_messages.c \
	daemon/engine/db.c daemon/engine/db.h \
	daemon/engine/db_mariadb.c daemon/engine/db_mariadb.h \
	daemon/engine/db_none.c \
	daemon/engine/db_postgresql.c daemon/engine/db_postgresql.h \
	daemon/engine/dispatch.c daemon/engine/dispatch.h \
	daemon/engine/engine.c daemon/engine/engine.h \
	daemon/engine/examine.c daemon/engine/examine.h \
	daemon/engine/expect.c daemon/engine/expect.h \
	daemon/engine/extents.c daemon/engine/extents.h \
	daemon/engine/file_copy.c daemon/engine/file_copy.h \
	daemon/engine/freeze.c daemon/engine/freeze.h \
	daemon/engine/gauge.c daemon/engine/gauge.h \
	daemon/engine/hold.c daemon/engine/hold.h \
	daemon/engine/holder.c daemon/engine/holder.h \
	daemon/engine/inodes.c daemon/engine/inodes.h \
	daemon/engine/job.c daemon/engine/job.h \
	daemon/engine/json.c daemon/engine/json.h \
	daemon/engine/keeper.c daemon/engine/keeper.h \
	daemon/engine/layout.c daemon/engine/layout.h \
	daemon/engine/listen.c daemon/engine/listen.h \
	daemon/engine/manifest.c daemon/engine/manifest.h \
	daemon/engine/mounts.c daemon/engine/mounts.h \
	daemon/engine/my_admit.c \
	daemon/engine/my_backup.c \
	daemon/engine/my_clone.c \
	daemon/engine/my_config.c \
	daemon/engine/my_ddl.c daemon/engine/my_ddl.h \
	daemon/engine/my_connect.c \
	daemon/engine/my_freeze.c \
	daemon/engine/my_inspect.c daemon/engine/my_inspect.h \
	daemon/engine/my_original.c \
	daemon/engine/my_parts.c \
	daemon/engine/my_programs.c \
	daemon/engine/my_serve.c \
	daemon/engine/my_verify.c daemon/engine/my_verify_pages.c daemon/engine/my_verify_run.c daemon/engine/my_verify.h \
	daemon/engine/names.c daemon/engine/names.h \
	daemon/engine/note.c daemon/engine/note.h \
	daemon/engine/notes.c daemon/engine/notes.h \
	daemon/engine/notify.c daemon/engine/notify.h \
	daemon/engine/pg_admit.c \
	daemon/engine/pg_backup.c \
	daemon/engine/pg_clone.c daemon/engine/pg_clone.h \
	daemon/engine/pg_clone_config.c \
	daemon/engine/pg_clone_join.c \
	daemon/engine/pg_clone_map.c \
	daemon/engine/pg_config.c \
	daemon/engine/pg_connect.c \
	daemon/engine/pg_control.c daemon/engine/pg_control.h \
	daemon/engine/pg_inspect.c daemon/engine/pg_inspect.h \
	daemon/engine/pg_label.c daemon/engine/pg_label.h \
	daemon/engine/pg_original.c \
	daemon/engine/pg_programs.c \
	daemon/engine/pg_records.c daemon/engine/pg_records.h \
	daemon/engine/pg_replay.c daemon/engine/pg_replay.h \
	daemon/engine/pg_serve.c \
	daemon/engine/pg_spaces.c \
	daemon/engine/pg_verify.c daemon/engine/pg_verify_files.c daemon/engine/pg_verify_run.c daemon/engine/pg_verify.h \
	daemon/engine/pg_wal.c daemon/engine/pg_wal.h \
	daemon/engine/pg_walk.c daemon/engine/pg_walk.h \
	daemon/engine/place.c daemon/engine/place.h \
	daemon/engine/place_files.c \
	daemon/engine/place_look.c \
	daemon/engine/program.c daemon/engine/program.h \
	daemon/engine/reach.c daemon/engine/reach.h \
	daemon/engine/records.c \
	daemon/engine/remnant.c daemon/engine/remnant.h \
	daemon/engine/restore.c daemon/engine/restore.h \
	daemon/engine/restore_parts.c daemon/engine/restore_parts.h \
	daemon/engine/sandbox.c daemon/engine/sandbox.h \
	daemon/engine/serve.c daemon/engine/serve.h \
	daemon/engine/serve_log.c daemon/engine/serve_log.h \
	daemon/engine/server.c daemon/engine/server.h daemon/engine/server_search.c \
	daemon/engine/session.c daemon/engine/session.h \
	daemon/engine/snap.c daemon/engine/snap.h \
	daemon/engine/snap_btrfs.c \
	daemon/engine/snap_copy.c \
	daemon/engine/snap_reflink.c \
	daemon/engine/snap_walk.c daemon/engine/snap_walk.h \
	daemon/engine/space.c daemon/engine/space.h \
	daemon/engine/stamp.c daemon/engine/stamp.h \
	daemon/engine/statedir.c daemon/engine/statedir.h \
	daemon/engine/step.c daemon/engine/step.h \
	daemon/engine/step_check.c \
	daemon/engine/step_clone.c \
	daemon/engine/step_create.c \
	daemon/engine/step_delete.c \
	daemon/engine/step_probe.c \
	daemon/engine/step_restore.c \
	daemon/engine/step_serve.c \
	daemon/engine/step_verify.c \
	daemon/engine/survey.c daemon/engine/survey.h \
	daemon/engine/tree.c daemon/engine/tree.h \
	daemon/engine/tree_clear.c \
	daemon/engine/tree_copy.c daemon/engine/tree_copy.h \
	daemon/engine/tree_links.c daemon/engine/tree_links.h \
	daemon/engine/volume.c daemon/engine/volume.h \
	daemon/engine/walker.c daemon/engine/walker.h \
	daemon/engine/walker_open.c \
	daemon/engine/worker.c daemon/engine/worker.h \
	daemon/engine/worker_child.c daemon/engine/worker_child.h
libengine_a_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(YAML_CFLAGS) $(BTRFSUTIL_CFLAGS)

sbin_PROGRAMS += dbsnapd
dbsnapd_SOURCES = daemon/engine/main.c $(SANITIZER_SOURCES)
dbsnapd_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS) $(BTRFSUTIL_LIBS)
