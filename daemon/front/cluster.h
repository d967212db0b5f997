/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the front knows of each cluster in memory: its configuration from the
 * engine, where its snapshots are and whether they can be looked at, its layout
 * as last checked, its free space as last seen. Registered clusters and retired ones (in
 * the catalogue, no longer in the configuration). Only sched, recover and link write it;
 * operations read it.
 */
#ifndef DBSNAP_FRONT_CLUSTER_H
#define DBSNAP_FRONT_CLUSTER_H

#include "common/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One thing on disk that no record speaks of: never touched but on purpose. */
struct cluster_stranger {
	char name[MSG_NAME_SIZE]; /* from snapshot_dir */
	uint8_t item;  /* enum msg_item */
	uint8_t owner; /* enum msg_owner */
	uint8_t mode;  /* enum msg_mode; NONE: no manifest */
	uint64_t backup; /* 0: none */
	struct nonce nonce;
	int64_t accepted_ms; /* from its manifest; 0: none */
	int64_t consistent_ms;
	uint64_t size; /* 0: not known */
	const char *why; /* it is here; static */
};

struct cluster {
	char id[IDENT_CLUSTER_SIZE];
	bool registered; /* false: retired */
	struct msg_config_cluster conf;

	bool probed;   /* at least once since this front started */
	uint8_t place; /* enum msg_place; OFFLINE until probed */
	char cause[MSG_TEXT_SIZE];  /* of a place that is not ONLINE */
	char remedy[MSG_TEXT_SIZE];
	char snapshot_dir[MSG_PATH_SIZE];
	uint64_t file_system;

	bool layout_known;
	bool layout_ok;
	char layout_refusal[MSG_TEXT_SIZE];
	char layout_remedy[MSG_TEXT_SIZE];
	char backend[16];
	char database[16];
	char server[64];

	uint64_t free_bytes, total_bytes; /* both 0: not known */
	bool space_low;
	char space[MSG_TEXT_SIZE];
	int64_t space_running_ms; /* running time when space was seen; INT64_MIN: never */

	uint64_t size; /* last known size of its backups' data, 0: none */
	struct cluster_stranger *strangers; /* quarantine; owned */
	size_t stranger_count;
};

struct cluster_table;

struct cluster_table *cluster_table_new(void);
struct cluster_table *cluster_table_free(struct cluster_table *table);
/* Borrowed; NULL if neither registered nor retired. Stays valid until the table is freed. */
struct cluster *cluster_find(const struct cluster_table *table, const char *id);
/* Found or made (retired, OFFLINE). NULL: out of memory. */
struct cluster *cluster_ensure(struct cluster_table *table, const char *id);
/* In the order of ids: index 0 to cluster_count() - 1. */
size_t cluster_count(const struct cluster_table *table);
struct cluster *cluster_at(const struct cluster_table *table, size_t index);
/* Not found and not counted any more until cluster_ensure() brings it back: neither configured nor any record left. */
void cluster_hide(struct cluster_table *table, struct cluster *cluster);

/* Replaces the quarantine; takes strangers (from malloc, or NULL) over, and sorts them by name. */
void cluster_set_strangers(struct cluster *cluster, struct cluster_stranger *strangers, size_t count);
/* Borrowed until the next change; NULL: none of that name. */
const struct cluster_stranger *cluster_find_stranger(const struct cluster *cluster, const char *name);
/* What has this nonce, or this name, is none any more. Either may be NULL. */
void cluster_drop_stranger(struct cluster *cluster, const struct nonce *nonce, const char *name);

#endif
