/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sorted array of pointers: entries never move and are never freed before the table. */
#include "daemon/front/cluster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct cluster_table {
	struct cluster **shown; /* by id */
	size_t shown_count;
	struct cluster **hidden; /* in no order */
	size_t hidden_count;
	size_t size; /* of both arrays: each has room for all entries */
};

struct cluster_table *cluster_table_new(void)
{
	return calloc(1, sizeof(struct cluster_table));
}

static void free_all(struct cluster **list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i]->strangers);
		free(list[i]);
	}
	free(list);
}

struct cluster_table *cluster_table_free(struct cluster_table *table)
{
	if (table) {
		free_all(table->shown, table->shown_count);
		free_all(table->hidden, table->hidden_count);
		free(table);
	}
	return NULL;
}

/* Where id is, or would have to be inserted. */
static size_t position(const struct cluster_table *table, const char *id, bool *ret_found)
{
	size_t low = 0, high = table->shown_count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(table->shown[middle]->id, id);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct cluster *cluster_find(const struct cluster_table *table, const char *id)
{
	bool found;
	size_t at = position(table, id, &found);

	return found ? table->shown[at] : NULL;
}

static void show(struct cluster_table *table, struct cluster *cluster)
{
	bool found;
	size_t at = position(table, cluster->id, &found);

	assert(!found && table->shown_count < table->size);
	memmove(table->shown + at + 1, table->shown + at, (table->shown_count - at) * sizeof(*table->shown));
	table->shown[at] = cluster;
	table->shown_count++;
}

static struct cluster *unhide(struct cluster_table *table, const char *id)
{
	for (size_t i = 0; i < table->hidden_count; i++) {
		struct cluster *cluster = table->hidden[i];

		if (strcmp(cluster->id, id) == 0) {
			table->hidden[i] = table->hidden[--table->hidden_count];
			return cluster;
		}
	}
	return NULL;
}

static bool make_room(struct cluster_table *table)
{
	size_t size = table->size ? table->size * 2 : 16;
	struct cluster **shown, **hidden;

	if (table->shown_count + table->hidden_count < table->size)
		return true;
	shown = reallocarray(table->shown, size, sizeof(*shown));
	if (!shown)
		return false;
	table->shown = shown;
	hidden = reallocarray(table->hidden, size, sizeof(*hidden));
	if (!hidden)
		return false;
	table->hidden = hidden;
	table->size = size;
	return true;
}

static struct cluster *make(const char *id)
{
	struct cluster *cluster = calloc(1, sizeof(*cluster));

	if (!cluster)
		return NULL;
	memcpy(cluster->id, id, strnlen(id, sizeof(cluster->id) - 1));
	cluster->place = PLACE_OFFLINE;
	cluster->space_running_ms = INT64_MIN;
	return cluster;
}

struct cluster *cluster_ensure(struct cluster_table *table, const char *id)
{
	struct cluster *cluster = cluster_find(table, id);

	if (cluster)
		return cluster;
	cluster = unhide(table, id);
	if (!cluster) {
		if (!make_room(table))
			return NULL;
		cluster = make(id);
	}
	if (cluster)
		show(table, cluster);
	return cluster;
}

size_t cluster_count(const struct cluster_table *table)
{
	return table->shown_count;
}

struct cluster *cluster_at(const struct cluster_table *table, size_t index)
{
	assert(index < table->shown_count);
	return table->shown[index];
}

void cluster_hide(struct cluster_table *table, struct cluster *cluster)
{
	bool found;
	size_t at = position(table, cluster->id, &found);

	if (!found)
		return;
	table->shown_count--;
	memmove(table->shown + at, table->shown + at + 1, (table->shown_count - at) * sizeof(*table->shown));
	table->hidden[table->hidden_count++] = cluster;
}

static int compare_strangers(const void *a, const void *b)
{
	return strcmp(((const struct cluster_stranger *)a)->name, ((const struct cluster_stranger *)b)->name);
}

void cluster_set_strangers(struct cluster *cluster, struct cluster_stranger *strangers, size_t count)
{
	if (count > 1)
		qsort(strangers, count, sizeof(*strangers), compare_strangers);
	free(cluster->strangers);
	cluster->strangers = strangers;
	cluster->stranger_count = count;
}

const struct cluster_stranger *cluster_find_stranger(const struct cluster *cluster, const char *name)
{
	for (size_t i = 0; i < cluster->stranger_count; i++) {
		if (strcmp(cluster->strangers[i].name, name) == 0)
			return &cluster->strangers[i];
	}
	return NULL;
}

void cluster_drop_stranger(struct cluster *cluster, const struct nonce *nonce, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < cluster->stranger_count; i++) {
		const struct cluster_stranger *stranger = &cluster->strangers[i];

		if (!(nonce && nonce_equal(&stranger->nonce, nonce)) && !(name && strcmp(stranger->name, name) == 0))
			cluster->strangers[kept++] = *stranger;
	}
	cluster->stranger_count = kept;
}
