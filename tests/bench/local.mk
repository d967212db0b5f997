# Benchmarks: printed ratios, run by hand with `make bench`; never part of check.
EXTRA_PROGRAMS = tests/bench/bare_commit tests/bench/bare_cut tests/bench/fill_store
tests_bench_bare_commit_SOURCES = tests/bench/bare_commit.c
tests_bench_bare_commit_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS)
tests_bench_bare_commit_LDADD = libcommon.a $(LMDB_LIBS) $(SYSTEMD_LIBS)
tests_bench_bare_cut_SOURCES = tests/bench/bare_cut.c
tests_bench_bare_cut_CPPFLAGS = $(AM_CPPFLAGS) $(BTRFSUTIL_CFLAGS)
tests_bench_bare_cut_LDADD = libcommon.a $(BTRFSUTIL_LIBS) $(SYSTEMD_LIBS)
tests_bench_fill_store_SOURCES = tests/bench/fill_store.c
tests_bench_fill_store_LDADD = libstore.a libcommon.a $(LMDB_LIBS) $(CRYPTO_LIBS) $(SYSTEMD_LIBS)
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += tests/bench/bench.py

.PHONY: bench
bench: all $(EXTRA_PROGRAMS)
	DBSNAP_SRCDIR='$(abs_top_srcdir)' DBSNAP_BUILDDIR='$(abs_top_builddir)' \
		/usr/bin/python3 $(srcdir)/tests/bench/bench.py $(BENCH)
