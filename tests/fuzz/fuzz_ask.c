/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions and answers between worker and helper: what a decoder takes, the encoder writes in the same bytes. */
#include "common/ask.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

static uint8_t bytes[ASK_PACKET_MAX];

static bool is_clean(const char *text, bool lines)
{
	for (; *text; text++) {
		if (((unsigned char)*text < ' ' && !(lines && *text == '\n')) || *text == 0x7f)
			return false;
	}
	return true;
}

static void check_question(const uint8_t *data, size_t size)
{
	struct ask_question question;
	int error;

	fuzz_fill(&question, sizeof(question));
	error = ask_decode_question(data, size, &question);
	if (error < 0) {
		must(error == ERR_INVALID && fuzz_untouched(&question, sizeof(question)));
		return;
	}
	must(ask_encode_question(&question, bytes, sizeof(bytes)) == (int)size && memcmp(bytes, data, size) == 0);
	must(ask_encode_question(&question, bytes, size - 1) == ERR_TOO_LONG);
	must(question.type != ASK_SOCKET && is_clean(question.conninfo, false));
}

/* What a worker goes by without a further look. */
static void check_facts(const struct ask_facts *facts)
{
	const char *const texts[] = {facts->version_text, facts->data_directory, facts->config_file,
				     facts->hba_file,	  facts->ident_file,	 facts->preload};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		must(is_clean(texts[i], false));
	must(is_clean(facts->sources, true));
	must(facts->wal_level <= ASK_WAL_LEVEL_MAX && facts->port >= 1 && facts->port <= 65535);
	must(__builtin_popcount(facts->wal_segment_size) == 1);
	must(facts->wal_segment_size >= 1U << 20 && facts->wal_segment_size <= 1U << 30);
}

/* Listed once each, with a place. */
static void check_tablespaces(const struct ask_tablespaces *tablespaces)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < tablespaces->count && i < ASK_TABLESPACES_MAX; i++) {
		must(tablespaces->items[i].oid > last);
		must(tablespaces->items[i].location[0] && is_clean(tablespaces->items[i].location, false));
		last = tablespaces->items[i].oid;
	}
}

static void check_done(const struct ask_answer *answer)
{
	if (answer->type == ASK_FACTS)
		check_facts(&answer->facts);
	if (answer->type == ASK_FACTS || answer->type == ASK_STOP)
		check_tablespaces(&answer->tablespaces);
	must(is_clean(answer->label, true) && is_clean(answer->map, true));
}

static void check_answer(const uint8_t *data, size_t size)
{
	static struct ask_answer filled; /* too large to be allocated for each input */
	struct ask_answer *answer = &filled;
	int error;

	fuzz_fill(answer, sizeof(*answer));
	error = ask_decode_answer(data, size, answer);
	if (error < 0) {
		must(error == ERR_INVALID && fuzz_untouched(answer, sizeof(*answer)));
	} else {
		must(ask_encode_answer(answer, bytes, sizeof(bytes)) == (int)size && memcmp(bytes, data, size) == 0);
		must(ask_encode_answer(answer, bytes, size - 1) == ERR_TOO_LONG);
		must(answer->outcome <= ASK_OUTCOME_MAX && is_clean(answer->text, false) && is_clean(answer->sqlstate, false));
		if (answer->outcome == ASK_DONE)
			check_done(answer);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_question(data, size);
	check_answer(data, size);
	return 0;
}
