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

# Folders of pytest files, taken whole: a new file in one needs no line here.
dist_check_SCRIPTS = tests/check-system
TESTS += tests/check-system
EXTRA_DIST += tests/system
