/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls with patience, and lists put together from their pages. */
#include "client/call.h"

#include "client/field.h"
#include "client/text.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include <string.h>
#include <time.h>

enum {
	PATIENCE_MS = 10000, /* how long a broken connection is mended */
	PAUSE_MS = 100,
	PAGE_SIZE = 100,
	PAGE_MAX = 100000
};

static void pause_ms(int64_t ms)
{
	struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

/*
 * Never connected at all: there is no daemon, say so at once. Once a request
 * has left, its fate is unknown, and asking again is how to learn it.
 */
static int call_patiently(struct client *client, const char *action, const struct rpc_param *params,
			  enum rpc_way way, struct answer *ret_answer)
{
	int64_t until = clock_running_ms() + PATIENCE_MS;
	bool sent = false;

	for (;;) {
		struct answer answer = {0};
		int r = rpc_call(client->rpc, action, params, way, &answer);
		bool again = r == ERR_CLOSED || (r == ERR_OFFLINE && sent) ||
			     (r == ERR_DENIED && answer_is_passing(&answer));
		int64_t pause = answer.retry_after_ms > PAUSE_MS ? answer.retry_after_ms : PAUSE_MS;

		if (!again || way == RPC_ONCE || clock_running_ms() + pause > until) {
			if (r == 0 || r == ERR_DENIED)
				*ret_answer = answer;
			return r;
		}
		sent = sent || r == ERR_CLOSED;
		answer_clear(&answer);
		pause_ms(pause);
	}
}

int call_api(struct client *client, const char *action, const struct rpc_param *params, enum rpc_way way,
	     json_t **ret_answer)
{
	struct answer answer = {0};
	int r = call_patiently(client, action, params, way, &answer);

	if (r == ERR_DENIED) {
		r = call_explain_refusal(client, &answer, params);
		answer_clear(&answer);
		return r;
	}
	if (r < 0)
		return call_explain_silence(client, r);
	*ret_answer = answer.json;
	return 0;
}

/* Adds a page's items to those before it; the number of them. */
static size_t add_page(json_t **list, json_t *page, const char *kind)
{
	json_t *items = field_items(page, kind);
	size_t count = json_array_size(items);

	if (!*list) {
		*list = json_incref(page);
		if (!items)
			json_object_set_new(*list, "Items", json_pack("{s:[]}", kind));
	} else if (items) {
		json_array_extend(field_items(*list, kind), items);
	}
	return count;
}

static int list_pages(struct client *client, const char *action, const char *kind, const char *cluster,
		      json_t **list)
{
	for (int number = 1; number <= PAGE_MAX; number++) {
		scope_free char *page_size = text_format("%d", PAGE_SIZE);
		scope_free char *page_number = text_format("%d", number);
		scope_json json_t *page = NULL;
		int r = call_api(client, action,
				 RPC_PARAMS({"DBClusterId", cluster}, {"PageSize", page_size},
					    {"PageNumber", page_number}),
				 RPC_REPEATABLE, &page);

		if (r != 0)
			return r;
		/* A last page that is full says by its count that it is the last. */
		if (add_page(list, page, kind) < PAGE_SIZE || field_int(page, "TotalRecordCount", INT64_MAX) <= number * PAGE_SIZE)
			break;
	}
	return 0;
}

/* The counts of the whole, in the type that the daemon gave them (numbers for clusters, else strings). */
static void set_counts(json_t *list, const char *kind)
{
	static const char *const names[] = {"TotalRecordCount", "PageRecordCount"};
	size_t count = json_array_size(field_items(list, kind));

	for (size_t i = 0; i < 2; i++) {
		if (json_is_integer(json_object_get(list, names[i])))
			json_object_set_new(list, names[i], json_integer((json_int_t)count));
		else if (json_object_get(list, names[i]))
			json_object_set_new(list, names[i], json_sprintf("%zu", count));
	}
}

int call_list(struct client *client, const char *action, const char *kind, const char *cluster,
	      json_t **ret_answer)
{
	scope_json json_t *list = NULL, *clusters = NULL;
	json_t *item;
	size_t i;
	int r;

	if (cluster || strcmp(kind, "DBCluster") == 0) {
		r = list_pages(client, action, kind, cluster, &list);
	} else {
		r = list_pages(client, "DescribeDBClusters", "DBCluster", NULL, &clusters);
		json_array_foreach(field_items(clusters, "DBCluster"), i, item) {
			if (r == 0)
				r = list_pages(client, action, kind, field_str(item, "DBClusterId"), &list);
		}
		if (!list)
			list = json_pack("{s:{s:[]}}", "Items", kind);
	}
	if (r != 0)
		return r;
	set_counts(list, kind);
	*ret_answer = scope_take_ptr(list);
	return 0;
}

static const char *list_command(const char *kind)
{
	return strcmp(kind, "Backup") == 0  ? "dbsnap backup list"
	       : strcmp(kind, "Clone") == 0 ? "dbsnap clone list"
					    : "dbsnap job list";
}

int call_item(struct client *client, const char *action, const char *kind, const struct rpc_param *params,
	      json_t **ret_answer)
{
	scope_json json_t *answer = NULL;
	int r = call_api(client, action, params, RPC_REPEATABLE, &answer);

	if (r != 0)
		return r;
	if (!field_item(answer, kind)) {
		if (client->options.json)
			field_print_json(answer);
		text_complain("there is no %s %s",
			      strcmp(kind, "Backup") == 0  ? "backup"
			      : strcmp(kind, "Clone") == 0 ? "clone"
							   : "job",
			      params->value);
		text_advise("'%s' shows what there is", list_command(kind));
		return STATUS_REFUSED;
	}
	*ret_answer = scope_take_ptr(answer);
	return 0;
}
