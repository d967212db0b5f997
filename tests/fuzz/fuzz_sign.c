/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A request's parameters, Authorization and other headers through the verification of signatures, with the key of
 * the captured requests. The input: a line of two letters (A, B: the clock; G, P: the method), the query, lines of
 * headers to an empty one, the body. Whatever comes, who is not verified has used up nothing; who is verified is so
 * once; and a signature with one bit turned is none.
 */
#include "daemon/front/sign.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

#include <strings.h>

#define FIRST_MS INT64_C(1795492770000)  /* 2026-11-24T03:59:30Z */
#define SECOND_MS INT64_C(1795527981000) /* 2026-11-24T13:46:21Z */

struct input {
	struct request request;
	struct sign_request wire;
	struct sign_header headers[SIGN_HEADERS_MAX];
	struct nonces_now now;
	char *text; /* owned: what the others point into */
};

static unsigned accepted;

static int on_accept(void *arg, const struct nonces_item *item, const struct nonces_now *now)
{
	(void)arg;
	must(item->window < NONCES_WINDOWS && item->owner != NONCES_NOBODY && now->wall_ms > 0);
	accepted++;
	return 0;
}

/* Up to the line's end, which is cut off; what follows it. NULL: there is no further line. */
static char *end_line(char *text)
{
	char *end = strchr(text, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	return end + 1;
}

static void add_header(struct input *input, char *line)
{
	char *value = strchr(line, ':');

	if (!value || input->wire.header_count == SIGN_HEADERS_MAX)
		return;
	*value++ = '\0';
	value += strspn(value, " ");
	if (strcasecmp(line, "Authorization") == 0)
		input->wire.authorization = value;
	if (strcasecmp(line, "x-acs-action") == 0)
		input->wire.header_action = true;
	input->headers[input->wire.header_count++] = (struct sign_header){line, value};
}

/* False: no request for the verification. */
static bool read_input(struct input *input, const uint8_t *data, size_t size)
{
	char why[REQUEST_WHY_SIZE], *query, *line, *next;

	input->text = calloc(1, size + 1);
	must(input->text);
	memcpy(input->text, data, size);
	query = end_line(input->text);
	line = query ? end_line(query) : NULL;
	if (!line || request_add_form(&input->request, query, strlen(query), why) < 0)
		return false;
	input->now.wall_ms = input->text[0] == 'B' ? SECOND_MS : FIRST_MS;
	input->wire.method = input->text[0] && input->text[1] == 'G' ? "GET" : "POST";
	input->wire.headers = input->headers;
	input->request.query_count = input->request.count;
	for (; line && line[0] != '\n' && line[0]; line = next) {
		next = end_line(line);
		add_header(input, line);
	}
	input->wire.body = line && line[0] ? line + 1 : "";
	input->wire.body_size = strlen(input->wire.body);
	return request_add_form(&input->request, input->wire.body, input->wire.body_size, why) == 0;
}

static void check_verdict(const struct sign_verdict *verdict, bool claimed)
{
	must(verdict->result <= SIGN_THROTTLED); /* nothing of ours fails */
	must((verdict->result == SIGN_UNSIGNED) == !claimed);
	must((verdict->result == SIGN_VERIFIED) == (verdict->key_id[0] != '\0'));
	must(accepted == (verdict->result == SIGN_VERIFIED));
	must(memchr(verdict->why, '\0', sizeof(verdict->why)) && !strstr(verdict->why, "testsecret"));
	must(verdict->result != SIGN_VERIFIED || (strcmp(verdict->key_id, "testid") == 0 && !verdict->why[0]));
}

/* The last letter of the signature in the header, or the first of the parameter, is another. */
static void spoil(struct input *input)
{
	char *at = input->wire.authorization ? strstr((char *)input->wire.authorization, "Signature=") : NULL;

	if (at) {
		at[strlen("Signature=")] ^= 1;
		return;
	}
	for (size_t i = 0; i < input->request.count; i++) {
		if (strcmp(input->request.params[i].name, "Signature") == 0)
			input->request.params[i].value[0] ^= 1;
	}
}

static void check(struct sign *sign, struct input *input)
{
	const struct peer peer = {.uid = 1000, .gid = 1000};
	struct sign_verdict verdict;

	accepted = 0;
	sign_verify(sign, &input->request, &input->wire, &peer, &input->now, &verdict);
	check_verdict(&verdict, sign_is_claimed(&input->request, &input->wire));
	if (verdict.result != SIGN_VERIFIED)
		return;
	sign_verify(sign, &input->request, &input->wire, &peer, &input->now, &verdict);
	must(verdict.result == SIGN_NONCE_USED && !verdict.key_id[0]);
	spoil(input);
	sign_verify(sign, &input->request, &input->wire, &peer, &input->now, &verdict);
	must(verdict.result != SIGN_VERIFIED && verdict.result != SIGN_NONCE_USED);
	must(accepted == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct msg_config_key key = {.id = "testid", .secret = "testsecret"};
	const struct nonces_now start = {FIRST_MS - 3600000, 0};
	struct sign *sign = sign_new(16, on_accept, NULL);
	struct input *input = calloc(1, sizeof(*input));

	must(sign && input && sign_set_keys(sign, &key, 1, &start) == 0);
	if (read_input(input, data, size))
		check(sign, input);
	request_clear(&input->request);
	free(input->text);
	free(input);
	sign_free(sign);
	return 0;
}
