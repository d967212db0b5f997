# SPDX-License-Identifier: GPL-3.0-or-later
# Every test speaks TAP, so that single tests are counted (tests/summary): cmocka
# programs by CMOCKA_MESSAGE_OUTPUT (one group a program), pytest by tap_plugin.py.
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	DBSNAP_TAP=yes; export DBSNAP_TAP; \
	DBSNAP_SRCDIR='$(abs_top_srcdir)'; export DBSNAP_SRCDIR; \
	DBSNAP_BUILDDIR='$(abs_top_builddir)'; export DBSNAP_BUILDDIR;

EXTRA_DIST += tests/distcheck tests/run-pytest tests/sanitizer_plugin.py tests/soak tests/summary tests/tap_plugin.py

# Folders of pytest files, taken whole: a new file in one needs no line here.
# The longest first, so that they share the time.
dist_check_SCRIPTS = tests/check-databases tests/check-system tests/check-scenario
TESTS += tests/check-databases tests/check-system tests/check-scenario
EXTRA_DIST += tests/scenario tests/system tests/wire tests/mutate tests/mutants

# The engine's PostgreSQL and btrfs parts as a program, for tests/system.
check_PROGRAMS += tests/pg_driver
tests_pg_driver_SOURCES = tests/pg_driver.c
tests_pg_driver_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(YAML_LIBS) $(SYSTEMD_LIBS)

# The walks that copy and clear a tree as a program, for tests/system and tests/bench.
check_PROGRAMS += tests/tree_driver
tests_tree_driver_SOURCES = tests/tree_driver.c
tests_tree_driver_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(YAML_LIBS) $(SYSTEMD_LIBS)

# Policies as a program, for tests/scenario and tests/bench.
check_PROGRAMS += tests/policy_driver
tests_policy_driver_SOURCES = tests/policy_driver.c
tests_policy_driver_LDADD = libcommon.a $(YAML_LIBS)

# A copy of a catalogue as text, for tests/system.
check_PROGRAMS += tests/store_dump
tests_store_dump_SOURCES = tests/store_dump.c
tests_store_dump_LDADD = $(STORE_LIBS)

if HAVE_FUSE
check_PROGRAMS += tests/cutdisk
tests_cutdisk_SOURCES = tests/cutdisk.c
tests_cutdisk_CPPFLAGS = $(AM_CPPFLAGS) $(FUSE_CFLAGS)
tests_cutdisk_LDADD = $(FUSE_LIBS)
endif

if HAVE_CMOCKA
EXTRA_DIST += tests/unit/cmocka_all.h tests/unit/folder_fixture.h tests/unit/store_fixture.h

check_PROGRAMS += tests/unit/test_account
TESTS += tests/unit/test_account
tests_unit_test_account_SOURCES = tests/unit/test_account.c
tests_unit_test_account_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_account_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS) $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_ask
TESTS += tests/unit/test_ask
tests_unit_test_ask_SOURCES = tests/unit/test_ask.c
tests_unit_test_ask_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ask_LDADD = libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_authz
TESTS += tests/unit/test_authz
tests_unit_test_authz_SOURCES = tests/unit/test_authz.c
tests_unit_test_authz_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_authz_LDADD = $(FRONTHTTP_LIBS) libcommon.a $(YAML_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_clock
TESTS += tests/unit/test_clock
tests_unit_test_clock_SOURCES = tests/unit/test_clock.c
tests_unit_test_clock_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_clock_LDADD = libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_conf
TESTS += tests/unit/test_conf
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c
tests_unit_test_conf_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_conf_LDADD = libcommon.a $(YAML_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_cursor
TESTS += tests/unit/test_cursor
tests_unit_test_cursor_SOURCES = tests/unit/test_cursor.c
tests_unit_test_cursor_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cursor_LDADD = libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_err
TESTS += tests/unit/test_err
tests_unit_test_err_SOURCES = tests/unit/test_err.c
tests_unit_test_err_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_err_LDADD = libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_file_copy
TESTS += tests/unit/test_file_copy
tests_unit_test_file_copy_SOURCES = tests/unit/test_file_copy.c
tests_unit_test_file_copy_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_file_copy_LDADD = libengine.a libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_framing
TESTS += tests/unit/test_framing
tests_unit_test_framing_SOURCES = tests/unit/test_framing.c
tests_unit_test_framing_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_framing_LDADD = $(FRONTHTTP_LIBS) libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_freeze
TESTS += tests/unit/test_freeze
tests_unit_test_freeze_SOURCES = tests/unit/test_freeze.c
tests_unit_test_freeze_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_freeze_LDADD = libengine.a libcommon.a $(YAML_LIBS) $(SYSTEMD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_gauge
TESTS += tests/unit/test_gauge
tests_unit_test_gauge_SOURCES = tests/unit/test_gauge.c
tests_unit_test_gauge_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_gauge_LDADD = libengine.a libcommon.a $(YAML_LIBS) $(SYSTEMD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_hold
TESTS += tests/unit/test_hold
tests_unit_test_hold_SOURCES = tests/unit/test_hold.c
tests_unit_test_hold_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hold_LDADD = libengine.a libcommon.a $(YAML_LIBS) $(SYSTEMD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_ident
TESTS += tests/unit/test_ident
tests_unit_test_ident_SOURCES = tests/unit/test_ident.c
tests_unit_test_ident_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ident_LDADD = libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_job
TESTS += tests/unit/test_job
tests_unit_test_job_SOURCES = tests/unit/test_job.c
tests_unit_test_job_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_job_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_listen
TESTS += tests/unit/test_listen
tests_unit_test_listen_SOURCES = tests/unit/test_listen.c
tests_unit_test_listen_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_listen_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_log
TESTS += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_log_LDADD = libcommon.a $(SYSTEMD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_manifest
TESTS += tests/unit/test_manifest
tests_unit_test_manifest_SOURCES = tests/unit/test_manifest.c
tests_unit_test_manifest_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_manifest_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_mounts
TESTS += tests/unit/test_mounts
tests_unit_test_mounts_SOURCES = tests/unit/test_mounts.c
tests_unit_test_mounts_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_mounts_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_my_ddl
TESTS += tests/unit/test_my_ddl
tests_unit_test_my_ddl_SOURCES = tests/unit/test_my_ddl.c
tests_unit_test_my_ddl_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_my_ddl_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_near
TESTS += tests/unit/test_near
tests_unit_test_near_SOURCES = tests/unit/test_near.c client/near.c client/near.h
tests_unit_test_near_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_near_LDADD = $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_nonces
TESTS += tests/unit/test_nonces
tests_unit_test_nonces_SOURCES = tests/unit/test_nonces.c
tests_unit_test_nonces_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_nonces_LDADD = $(FRONTHTTP_LIBS) libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_note
TESTS += tests/unit/test_note
tests_unit_test_note_SOURCES = tests/unit/test_note.c
tests_unit_test_note_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_note_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_pg_clone_config
TESTS += tests/unit/test_pg_clone_config
tests_unit_test_pg_clone_config_SOURCES = tests/unit/test_pg_clone_config.c
tests_unit_test_pg_clone_config_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_pg_clone_config_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_pg_clone_map
TESTS += tests/unit/test_pg_clone_map
tests_unit_test_pg_clone_map_SOURCES = tests/unit/test_pg_clone_map.c
tests_unit_test_pg_clone_map_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_pg_clone_map_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_pg_control
TESTS += tests/unit/test_pg_control
tests_unit_test_pg_control_SOURCES = tests/unit/test_pg_control.c
tests_unit_test_pg_control_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_pg_control_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_pg_label
TESTS += tests/unit/test_pg_label
tests_unit_test_pg_label_SOURCES = tests/unit/test_pg_label.c
tests_unit_test_pg_label_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_pg_label_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_pg_replay
TESTS += tests/unit/test_pg_replay
tests_unit_test_pg_replay_SOURCES = tests/unit/test_pg_replay.c
tests_unit_test_pg_replay_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_pg_replay_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_pg_wal
TESTS += tests/unit/test_pg_wal
tests_unit_test_pg_wal_SOURCES = tests/unit/test_pg_wal.c
tests_unit_test_pg_wal_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_pg_wal_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=file_copy_bytes
tests_unit_test_pg_wal_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_pg_walk
TESTS += tests/unit/test_pg_walk
tests_unit_test_pg_walk_SOURCES = tests/unit/test_pg_walk.c
tests_unit_test_pg_walk_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_pg_walk_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_place
TESTS += tests/unit/test_place
tests_unit_test_place_SOURCES = tests/unit/test_place.c
tests_unit_test_place_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_place_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_policy
TESTS += tests/unit/test_policy
tests_unit_test_policy_SOURCES = tests/unit/test_policy.c
tests_unit_test_policy_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_policy_LDADD = libcommon.a $(YAML_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_proc
TESTS += tests/unit/test_proc
tests_unit_test_proc_SOURCES = tests/unit/test_proc.c
tests_unit_test_proc_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_proc_LDADD = libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_quota
TESTS += tests/unit/test_quota
tests_unit_test_quota_SOURCES = tests/unit/test_quota.c
tests_unit_test_quota_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_quota_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_record
TESTS += tests/unit/test_record
tests_unit_test_record_SOURCES = tests/unit/test_record.c
tests_unit_test_record_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_record_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_request
TESTS += tests/unit/test_request
tests_unit_test_request_SOURCES = tests/unit/test_request.c
tests_unit_test_request_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_request_LDADD = $(FRONTHTTP_LIBS) libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_sandbox
TESTS += tests/unit/test_sandbox
tests_unit_test_sandbox_SOURCES = tests/unit/test_sandbox.c daemon/front/sandbox.c
tests_unit_test_sandbox_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_sandbox_LDADD = $(SECCOMP_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_schedule
TESTS += tests/unit/test_schedule
tests_unit_test_schedule_SOURCES = tests/unit/test_schedule.c
tests_unit_test_schedule_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_schedule_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_schema
TESTS += tests/unit/test_schema
tests_unit_test_schema_SOURCES = tests/unit/test_schema.c
tests_unit_test_schema_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_schema_LDADD = libcommon.a $(YAML_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_sign
TESTS += tests/unit/test_sign
tests_unit_test_sign_SOURCES = tests/unit/test_sign.c
tests_unit_test_sign_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_sign_LDADD = $(FRONTHTTP_LIBS) libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_snap_walk
TESTS += tests/unit/test_snap_walk
tests_unit_test_snap_walk_SOURCES = tests/unit/test_snap_walk.c
tests_unit_test_snap_walk_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_snap_walk_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(YAML_LIBS) $(SYSTEMD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_store
TESTS += tests/unit/test_store
tests_unit_test_store_SOURCES = tests/unit/test_store.c
tests_unit_test_store_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS) $(SECCOMP_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_LDADD = $(STORE_LIBS) $(SECCOMP_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_store_random
TESTS += tests/unit/test_store_random
tests_unit_test_store_random_SOURCES = tests/unit/test_store_random.c
tests_unit_test_store_random_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_random_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_store_records
TESTS += tests/unit/test_store_records
tests_unit_test_store_records_SOURCES = tests/unit/test_store_records.c
tests_unit_test_store_records_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_records_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_survey
TESTS += tests/unit/test_survey
tests_unit_test_survey_SOURCES = tests/unit/test_survey.c
tests_unit_test_survey_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_survey_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS) $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_text
TESTS += tests/unit/test_text
tests_unit_test_text_SOURCES = tests/unit/test_text.c client/text.c client/text.h
tests_unit_test_text_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_text_LDADD = libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_token
TESTS += tests/unit/test_token
tests_unit_test_token_SOURCES = tests/unit/test_token.c
tests_unit_test_token_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_token_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_tree
TESTS += tests/unit/test_tree
tests_unit_test_tree_SOURCES = tests/unit/test_tree.c
tests_unit_test_tree_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_tree_LDADD = libengine.a libcommon.a $(BTRFSUTIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_tree_copy
TESTS += tests/unit/test_tree_copy
tests_unit_test_tree_copy_SOURCES = tests/unit/test_tree_copy.c
tests_unit_test_tree_copy_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_tree_copy_LDADD = libengine.a libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_xdg
TESTS += tests/unit/test_xdg
tests_unit_test_xdg_SOURCES = tests/unit/test_xdg.c
tests_unit_test_xdg_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_xdg_LDADD = libcommon.a $(CMOCKA_LIBS)
endif
include tests/bench/local.mk
include tests/fuzz/local.mk
