# SPDX-License-Identifier: GPL-3.0-or-later
# Every test speaks TAP, so that single tests are counted (tests/summary): cmocka
# programs by CMOCKA_MESSAGE_OUTPUT (one group a program), pytest by tap_plugin.py.
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	DBSNAP_TAP=yes; export DBSNAP_TAP; \
	DBSNAP_SRCDIR='$(abs_top_srcdir)'; export DBSNAP_SRCDIR; \
	DBSNAP_BUILDDIR='$(abs_top_builddir)'; export DBSNAP_BUILDDIR;

EXTRA_DIST += tests/run-pytest tests/summary tests/tap_plugin.py

# Folders of pytest files.
dist_check_SCRIPTS = tests/check-system
TESTS += tests/check-system
EXTRA_DIST += \
	tests/system/README \
	tests/system/conftest.py \
	tests/system/harness/__init__.py \
	tests/system/harness/client.py \
	tests/system/harness/daemon.py \
	tests/system/harness/disk.py \
	tests/system/harness/invariants.py \
	tests/system/harness/load.py \
	tests/system/harness/postgres.py \
	tests/system/harness/process.py \
	tests/system/harness/scratch.py \
	tests/system/test_harness.py \
	tests/system/test_summary.py
