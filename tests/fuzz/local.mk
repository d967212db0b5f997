# SPDX-License-Identifier: GPL-3.0-or-later
# Fuzz targets (README in this folder). With --enable-fuzz libFuzzer is their main(); else
# replay.c is, and they are tests that replay the corpus.
EXTRA_DIST += tests/fuzz/README tests/fuzz/corpus tests/fuzz/run

fuzz_targets = \
	tests/fuzz/fuzz_ask \
	tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_conninfo \
	tests/fuzz/fuzz_http \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_msg \
	tests/fuzz/fuzz_pg_control \
	tests/fuzz/fuzz_pg_label \
	tests/fuzz/fuzz_pg_records \
	tests/fuzz/fuzz_policy \
	tests/fuzz/fuzz_record \
	tests/fuzz/fuzz_request \
	tests/fuzz/fuzz_sign \
	tests/fuzz/fuzz_word
check_PROGRAMS += $(fuzz_targets) tests/fuzz/seeds
if WITH_FUZZER
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
else
fuzz_ldflags = $(AM_LDFLAGS)
fuzz_main = tests/fuzz/replay.c
TESTS += $(fuzz_targets)
endif

tests_fuzz_fuzz_ask_SOURCES = tests/fuzz/fuzz_ask.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_ask_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_ask_LDADD = libcommon.a

tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_conf_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_conf_LDADD = libcommon.a $(YAML_LIBS)

tests_fuzz_fuzz_conninfo_SOURCES = tests/fuzz/fuzz_conninfo.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_conninfo_CPPFLAGS = $(AM_CPPFLAGS) $(PQ_CFLAGS)
tests_fuzz_fuzz_conninfo_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_conninfo_LDADD = libcommon.a $(PQ_LIBS)

tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz_http.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_http_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_http_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_http_LDADD = $(FRONTHTTP_LIBS) libcommon.a

tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_json_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_json_LDADD = libengine.a libcommon.a $(SYSTEMD_LIBS) $(YAML_LIBS)

tests_fuzz_fuzz_msg_SOURCES = tests/fuzz/fuzz_msg.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_msg_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_msg_LDADD = libcommon.a

tests_fuzz_fuzz_pg_control_SOURCES = tests/fuzz/fuzz_pg_control.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_pg_control_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_pg_control_LDADD = libengine.a libcommon.a

tests_fuzz_fuzz_pg_label_SOURCES = tests/fuzz/fuzz_pg_label.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_pg_label_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_pg_label_LDADD = libengine.a libcommon.a

tests_fuzz_fuzz_pg_records_SOURCES = tests/fuzz/fuzz_pg_records.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_pg_records_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_pg_records_LDADD = libengine.a libcommon.a

tests_fuzz_fuzz_policy_SOURCES = tests/fuzz/fuzz_policy.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_policy_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_policy_LDADD = libcommon.a $(YAML_LIBS)

tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz_record.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_record_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_record_LDADD = $(STORE_LIBS)

tests_fuzz_fuzz_request_SOURCES = tests/fuzz/fuzz_request.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_request_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_request_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_request_LDADD = $(FRONTHTTP_LIBS) libcommon.a

tests_fuzz_fuzz_sign_SOURCES = tests/fuzz/fuzz_sign.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_sign_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_sign_LDADD = $(FRONTHTTP_LIBS) libcommon.a

tests_fuzz_fuzz_word_SOURCES = tests/fuzz/fuzz_word.c tests/fuzz/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_word_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_word_LDADD = libcommon.a

# Valid encodings to begin a corpus with: seeds TARGET FOLDER.
tests_fuzz_seeds_SOURCES = tests/fuzz/seeds.c tests/fuzz/fuzz.h
tests_fuzz_seeds_LDADD = libengine.a $(STORE_LIBS) $(YAML_LIBS)
