/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Short strings from requests, files and servers: what is taken is written back to the same string. */
#include "common/ask.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/ident.h"
#include "tests/fuzz/fuzz.h"

static void check_id(const char *text)
{
	char again[IDENT_ID_SIZE];
	uint64_t id;
	int error;

	fuzz_fill(&id, sizeof(id));
	error = ident_parse_id(text, &id);
	if (error < 0) {
		must(error == ERR_INVALID && fuzz_untouched(&id, sizeof(id)));
		return;
	}
	must(id >= 1 && id <= INT64_MAX);
	ident_format_id(id, again);
	must(strcmp(text, again) == 0);
}

static void check_nonce(const char *text)
{
	char again[IDENT_HEX_SIZE];
	struct nonce nonce;
	int error;

	fuzz_fill(&nonce, sizeof(nonce));
	error = nonce_parse(text, &nonce);
	if (error < 0) {
		must(error == ERR_INVALID && fuzz_untouched(&nonce, sizeof(nonce)));
		return;
	}
	nonce_format(&nonce, again);
	must(strcmp(text, again) == 0);
}

static void check_minute(const char *text)
{
	char again[18];
	int64_t wall_ms;
	int error;

	fuzz_fill(&wall_ms, sizeof(wall_ms));
	error = clock_parse_minute(text, &wall_ms);
	if (error < 0) {
		must(error == ERR_INVALID && fuzz_untouched(&wall_ms, sizeof(wall_ms)));
		return;
	}
	must(wall_ms % 60000 == 0);
	clock_format_minute(wall_ms, again);
	must(strcmp(text, again) == 0);
}

/* A server pads nothing: leading zeros are the one thing that may differ. */
static void check_lsn(const char *text)
{
	char again[ASK_LSN_SIZE];
	uint64_t lsn, second;
	int error;

	fuzz_fill(&lsn, sizeof(lsn));
	error = ask_parse_lsn(text, &lsn);
	if (error < 0) {
		must(error == ERR_INVALID && fuzz_untouched(&lsn, sizeof(lsn)));
		return;
	}
	ask_format_lsn(lsn, again);
	must(strlen(again) <= strlen(text) && ask_parse_lsn(again, &second) == 0 && second == lsn);
}

static void check_names(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	bool name = text[0] && text[0] != '-' && text[strspn(text, letters)] == '\0';
	size_t length = strlen(text), printable = 0;

	for (const char *c = text; *c >= ' ' && *c <= '~'; c++)
		printable++;
	must(ident_is_cluster(text) == (name && length >= 2 && length < IDENT_CLUSTER_SIZE));
	must(ident_is_clone(text) == (name && length < IDENT_CLONE_SIZE));
	must(ident_is_token(text) == (printable == length && length < IDENT_TOKEN_SIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must(text);
	memcpy(text, data, size);
	text[size] = '\0';
	check_id(text);
	check_nonce(text);
	check_minute(text);
	check_lsn(text);
	check_names(text);
	free(text);
	return 0;
}
