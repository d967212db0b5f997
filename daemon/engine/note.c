/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The fields of a note; json.c does the rest. */
#include "daemon/engine/note.h"

#include "common/err.h"
#include "daemon/engine/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTE_VERSION = 1, GROUPS_MAX = sizeof(((struct proc_identity *)0)->groups) / sizeof(gid_t) };

struct group {
	uint32_t gid;
};

struct note {
	struct nonce install;
	char cluster[IDENT_CLUSTER_SIZE];
	char description[CONF_DESCRIPTION_SIZE];
	char data_dir[CONF_PATH_SIZE];
	char snapshot_dir[CONF_PATH_SIZE];
	char backend[16];
	char database[16];
	uint8_t min_free_percent;
	uint64_t min_free_bytes;
	bool user_known, user_is_owner;
	uint32_t uid, gid;
	size_t group_count;
	struct group groups[GROUPS_MAX];
};

#define F(k, name, m) JSON_FIELD(k, name, note, m, true)

static const struct json_field group_fields[] = {
	JSON_FIELD(JSON_U32, "gid", group, gid, true),
	{JSON_END},
};

static const struct json_list groups = {
	group_fields, sizeof(struct group), GROUPS_MAX, offsetof(struct note, group_count),
};

static const struct json_field note_fields[] = {
	F(JSON_NONCE, "install", install),
	F(JSON_TEXT, "cluster", cluster),
	F(JSON_TEXT, "description", description),
	F(JSON_TEXT, "data_dir", data_dir),
	F(JSON_TEXT, "snapshot_dir", snapshot_dir),
	F(JSON_TEXT, "backend", backend),
	F(JSON_TEXT, "database", database),
	F(JSON_U8, "min_free_percent", min_free_percent),
	F(JSON_U64, "min_free_bytes", min_free_bytes),
	F(JSON_BOOL, "user_known", user_known),
	F(JSON_BOOL, "user_is_owner", user_is_owner),
	F(JSON_U32, "uid", uid),
	F(JSON_U32, "gid", gid),
	{JSON_LIST, "groups", offsetof(struct note, groups), 0, true, &groups},
	{JSON_END},
};

static void put_identity(const struct conf_cluster *cluster, struct note *note)
{
	const struct proc_identity *identity = &cluster->identity;

	note->user_known = cluster->identity_known;
	note->user_is_owner = cluster->identity_from_owner;
	if (!note->user_known)
		return;
	note->uid = identity->uid;
	note->gid = identity->gid;
	note->group_count = identity->group_count;
	for (size_t i = 0; i < identity->group_count; i++)
		note->groups[i].gid = identity->groups[i];
}

char *note_encode(const struct conf_cluster *cluster, const struct nonce *install)
{
	struct note *note = calloc(1, sizeof(*note));
	char *text;

	if (!note)
		return NULL;
	note->install = *install;
	memcpy(note->cluster, cluster->id, sizeof(note->cluster));
	memcpy(note->description, cluster->description, sizeof(note->description));
	memcpy(note->data_dir, cluster->data_dir, sizeof(note->data_dir));
	memcpy(note->snapshot_dir, cluster->snapshot_dir, sizeof(note->snapshot_dir));
	snprintf(note->backend, sizeof(note->backend), "%s", conf_backend_name(cluster->backend));
	snprintf(note->database, sizeof(note->database), "%s", conf_database_name(cluster->database.type));
	note->min_free_percent = (uint8_t)cluster->min_free.percent;
	note->min_free_bytes = (uint64_t)cluster->min_free.bytes;
	put_identity(cluster, note);
	text = json_write("cluster", NOTE_VERSION, note_fields, note);
	free(note);
	return text;
}

static bool take_backend(const char *name, enum conf_backend *ret_backend)
{
	for (int i = CONF_BACKEND_AUTO; i <= CONF_BACKEND_COPY; i++) {
		if (strcmp(name, conf_backend_name((enum conf_backend)i)) == 0) {
			*ret_backend = (enum conf_backend)i;
			return true;
		}
	}
	return false;
}

static bool take_database(const char *name, enum conf_database *ret_database)
{
	for (int i = CONF_DATABASE_AUTO; i <= CONF_DATABASE_NONE; i++) {
		if (strcmp(name, conf_database_name((enum conf_database)i)) == 0) {
			*ret_database = (enum conf_database)i;
			return true;
		}
	}
	return false;
}

static void take_identity(const struct note *note, struct conf_cluster *cluster)
{
	cluster->identity_known = note->user_known;
	cluster->identity_from_owner = note->user_is_owner;
	if (!note->user_known)
		return;
	cluster->identity.uid = note->uid;
	cluster->identity.gid = note->gid;
	cluster->identity.group_count = note->group_count;
	for (size_t i = 0; i < note->group_count; i++)
		cluster->identity.groups[i] = note->groups[i].gid;
}

static bool take(const struct note *note, struct conf_cluster *cluster)
{
	if (!ident_is_cluster(note->cluster) || note->data_dir[0] != '/' ||
	    (note->snapshot_dir[0] && note->snapshot_dir[0] != '/') || note->min_free_percent > 100 ||
	    note->min_free_bytes > INT64_MAX || !take_backend(note->backend, &cluster->backend) ||
	    !take_database(note->database, &cluster->database.type))
		return false;
	memcpy(cluster->id, note->cluster, sizeof(cluster->id));
	memcpy(cluster->description, note->description, sizeof(cluster->description));
	memcpy(cluster->data_dir, note->data_dir, sizeof(cluster->data_dir));
	memcpy(cluster->snapshot_dir, note->snapshot_dir, sizeof(cluster->snapshot_dir));
	cluster->min_free.percent = note->min_free_percent;
	cluster->min_free.bytes = (int64_t)note->min_free_bytes;
	take_identity(note, cluster);
	return true;
}

int note_decode(const char *text, size_t size, struct conf_cluster *ret_cluster, struct nonce *ret_install)
{
	struct note *note = calloc(1, sizeof(*note));
	struct conf_cluster *cluster = calloc(1, sizeof(*cluster));
	int error = note && cluster ? json_read("cluster", NOTE_VERSION, note_fields, text, size, note) : ERR_NOMEM;

	if (error == 0 && !take(note, cluster))
		error = ERR_CORRUPT;
	if (error == 0) {
		*ret_cluster = *cluster;
		*ret_install = note->install;
	}
	free(note);
	free(cluster);
	return error;
}
