/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forms of parameters. */
#include "daemon/front/param.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/msg.h"
#include "common/scope.h"
#include "daemon/front/reply.h"

#include <stdlib.h>
#include <string.h>

bool param_word(struct call *call, const char *name, const struct param_word *words, uint8_t *ret_value)
{
	const char *value = request_get(&call->request, name);

	if (!value)
		return true;
	for (; words->word; words++) {
		if (strcmp(words->word, value) == 0) {
			*ret_value = (uint8_t)words->value;
			return true;
		}
	}
	reply_malformed(call, name);
	return false;
}

bool param_seconds(struct call *call, const char *name, int64_t most, int64_t *ret_ms)
{
	const char *value = request_get(&call->request, name);
	uint64_t number = 0;

	*ret_ms = 0;
	if (!value)
		return true;
	/* An id is a number without a sign, without zeros before it, and not 0. */
	if (ident_parse_id(value, &number) < 0 || number > (uint64_t)most) {
		reply_malformed(call, name);
		return false;
	}
	*ret_ms = (int64_t)number * 1000;
	return true;
}

bool param_minute(struct call *call, const char *name, int64_t *ret_ms)
{
	const char *value = request_get(&call->request, name);

	if (!value || clock_parse_minute(value, ret_ms) == 0)
		return true;
	reply_malformed(call, name);
	return false;
}

bool param_id(struct call *call, const char *name, uint64_t *ret_id)
{
	const char *value = request_get(&call->request, name);

	*ret_id = 0;
	if (!value || ident_parse_id(value, ret_id) == 0)
		return true;
	if (strcmp(name, "BackupId") == 0)
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
	else
		reply_malformed(call, name);
	return false;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int param_parse_ids(const char *text, uint64_t ids[static PARAM_IDS_MAX], size_t most)
{
	scope_free char *copy = strdup(text);
	char *rest = copy, *one;
	size_t count = 0, unique = 0;

	if (!copy)
		return ERR_NOMEM;
	while ((one = strsep(&rest, ","))) {
		if (count == most)
			return ERR_TOO_LONG;
		if (ident_parse_id(one, &ids[count]) < 0)
			return ERR_INVALID;
		count++;
	}
	qsort(ids, count, sizeof(ids[0]), compare_ids);
	for (size_t i = 0; i < count; i++) {
		if (unique == 0 || ids[unique - 1] != ids[i])
			ids[unique++] = ids[i];
	}
	return (int)unique;
}

bool param_clone(struct call *call, const char **ret_name)
{
	*ret_name = request_get(&call->request, "CloneName");
	if (!*ret_name || ident_is_clone(*ret_name))
		return true;
	reply_malformed(call, "CloneName");
	return false;
}

bool param_name(struct call *call, const char **ret_name)
{
	const char *name = request_get(&call->request, "Name");
	size_t length = name ? strlen(name) : 0;
	bool valid = length < MSG_NAME_SIZE;

	/* As the engine tells them. */
	for (size_t i = 0; i < length && valid; i++)
		valid = name[i] >= 0x21 && name[i] <= 0x7e;
	*ret_name = name;
	if (!valid)
		reply_malformed(call, "Name");
	return valid;
}

bool param_page(struct call *call, struct param_page *ret_page)
{
	static const struct param_word sizes[] = {{"30", 30}, {"50", 50}, {"100", 100}, {NULL, 0}};
	const char *number = request_get(&call->request, "PageNumber");
	struct param_page page = {.number = 1};
	uint8_t size = 30;

	if (!param_word(call, "PageSize", sizes, &size))
		return false;
	/* Bounded so that number times size cannot overflow. */
	if (number && (ident_parse_id(number, &page.number) < 0 || page.number > UINT32_MAX)) {
		reply_malformed(call, "PageNumber");
		return false;
	}
	page.store.count = size;
	page.store.skip = (page.number - 1) * size;
	*ret_page = page;
	return true;
}
