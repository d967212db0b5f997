# Benchmarks: printed ratios, run by hand with `make bench`; never part of check.
EXTRA_PROGRAMS = tests/bench/bare_commit tests/bench/bare_cut tests/bench/fill_store
tests_bench_bare_commit_SOURCES = tests/bench/bare_commit.c tests/bench/bare_puts.c tests/bench/bare_puts.h
tests_bench_bare_commit_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS)
tests_bench_bare_commit_LDADD = libcommon.a $(LMDB_LIBS) $(SYSTEMD_LIBS)
tests_bench_bare_cut_SOURCES = tests/bench/bare_cut.c
tests_bench_bare_cut_CPPFLAGS = $(AM_CPPFLAGS) $(BTRFSUTIL_CFLAGS)
tests_bench_bare_cut_LDADD = libcommon.a $(BTRFSUTIL_LIBS) $(SYSTEMD_LIBS)
tests_bench_fill_store_SOURCES = tests/bench/fill_store.c
tests_bench_fill_store_LDADD = libstore.a libcommon.a $(LMDB_LIBS) $(CRYPTO_LIBS) $(SYSTEMD_LIBS)

EXTRA_PROGRAMS += tests/bench/ack_load tests/bench/bare_echo tests/bench/bare_evhttp
tests_bench_bare_echo_SOURCES = tests/bench/bare_echo.c
tests_bench_ack_load_SOURCES = tests/bench/ack_load.c
tests_bench_ack_load_LDADD = libcommon.a $(SYSTEMD_LIBS)
tests_bench_bare_evhttp_SOURCES = tests/bench/bare_evhttp.c tests/bench/bare_puts.c tests/bench/bare_puts.h
tests_bench_bare_evhttp_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(LMDB_CFLAGS)
tests_bench_bare_evhttp_LDADD = $(EVENT_LIBS) $(LMDB_LIBS)
EXTRA_DIST += tests/bench/acks.py tests/bench/clones.py tests/bench/gigabyte.py tests/bench/held.py tests/bench/peers.py \
	tests/bench/judgements.py tests/bench/walks.py tests/bench/writers.py

EXTRA_PROGRAMS += tests/bench/bare_extents tests/bench/bare_files
tests_bench_bare_extents_SOURCES = tests/bench/bare_extents.c
tests_bench_bare_extents_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) -lpthread
tests_bench_bare_files_SOURCES = tests/bench/bare_files.c
tests_bench_bare_files_LDADD = libcommon.a $(SYSTEMD_LIBS)

CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += tests/bench/bench.py

# As tests/run-pytest: nothing outlives the run, and no process of the machine's is in the way of a freeze.
OWN_SPACES = unshare --mount --pid --ipc --fork --kill-child --mount-proc bash -c '"$$@"; exit $$?' -

.PHONY: bench
bench: all tests/policy_driver tests/tree_driver $(EXTRA_PROGRAMS)
	DBSNAP_SRCDIR='$(abs_top_srcdir)' DBSNAP_BUILDDIR='$(abs_top_builddir)' $(OWN_SPACES) \
		/usr/bin/python3 $(srcdir)/tests/bench/bench.py $(BENCH)
