/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The fields of marker.json, intent and manifest.json; json.c does the rest. */
#include "daemon/engine/manifest.h"

#include "common/err.h"
#include "daemon/engine/json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define F(k, name, s, m) JSON_FIELD(k, name, s, m, false)
#define NEEDED(k, name, s, m) JSON_FIELD(k, name, s, m, true)

static const struct json_field marker_fields[] = {
	NEEDED(JSON_NONCE, "install", marker, install),
	NEEDED(JSON_TEXT, "cluster", marker, cluster),
	NEEDED(JSON_TEXT, "fs_uuid", marker, fs_uuid),
	NEEDED(JSON_TEXT, "data_dir", marker, data_dir),
	{JSON_END},
};

static const struct json_field intent_fields[] = {
	NEEDED(JSON_NONCE, "install", intent, install),
	NEEDED(JSON_TEXT, "cluster", intent, cluster),
	NEEDED(JSON_U64, "backup", intent, backup),
	NEEDED(JSON_NONCE, "nonce", intent, nonce),
	NEEDED(JSON_U64, "job", intent, job),
	NEEDED(JSON_U32, "attempt", intent, attempt),
	F(JSON_TEXT, "clone", intent, clone),
	F(JSON_NONCE, "source", intent, source),
	F(JSON_TEXT, "subvolume_uuid", intent, subvolume_uuid),
	F(JSON_TEXT, "backend", intent, backend),
	F(JSON_TEXT, "database", intent, database),
	F(JSON_TEXT, "bindir", intent, bindir),
	F(JSON_TEXT, "socket_dir", intent, socket_dir),
	F(JSON_U32, "port", intent, port),
	F(JSON_I64, "made_ms", intent, made_ms),
	F(JSON_U64, "inode", intent, inode),
	{JSON_END},
};

static const struct json_field part_fields[] = {
	NEEDED(JSON_TEXT, "role", manifest_part, role),
	NEEDED(JSON_U32, "oid", manifest_part, oid),
	NEEDED(JSON_TEXT, "path", manifest_part, path),
	NEEDED(JSON_TEXT, "fs_uuid", manifest_part, fs_uuid),
	NEEDED(JSON_TEXT, "subvolume_uuid", manifest_part, subvolume_uuid),
	NEEDED(JSON_TEXT, "source_uuid", manifest_part, source_uuid),
	{JSON_END},
};

static const struct json_list parts = {
	part_fields, sizeof(struct manifest_part), MANIFEST_PARTS_MAX, offsetof(struct manifest, part_count),
};

static const struct json_field manifest_fields[] = {
	NEEDED(JSON_NONCE, "install", manifest, install),
	NEEDED(JSON_TEXT, "cluster", manifest, cluster),
	NEEDED(JSON_U64, "backup", manifest, backup),
	NEEDED(JSON_NONCE, "nonce", manifest, facts.nonce),
	NEEDED(JSON_U64, "job", manifest, job),
	NEEDED(JSON_U32, "attempt", manifest, attempt),
	NEEDED(JSON_I64, "accepted_ms", manifest, facts.accepted_ms),
	NEEDED(JSON_I64, "started_ms", manifest, facts.started_ms),
	NEEDED(JSON_I64, "ended_ms", manifest, facts.ended_ms),
	NEEDED(JSON_I64, "consistent_ms", manifest, facts.consistent_ms),
	F(JSON_U64, "cut_us", manifest, facts.cut_us),
	F(JSON_U64, "freeze_us", manifest, facts.freeze_us),
	F(JSON_U64, "size", manifest, facts.size),
	F(JSON_BOOL, "size_known", manifest, facts.size_known),
	NEEDED(JSON_U8, "mode", manifest, facts.mode),
	F(JSON_I64, "expires_ms", manifest, facts.expires_ms),
	F(JSON_TEXT, "principal", manifest, facts.principal),
	F(JSON_TEXT, "request", manifest, facts.request),
	NEEDED(JSON_TEXT, "backend", manifest, facts.backend),
	NEEDED(JSON_TEXT, "procedure", manifest, facts.procedure),
	NEEDED(JSON_TEXT, "promise", manifest, facts.promise),
	F(JSON_TEXT, "weakened", manifest, facts.weakened),
	NEEDED(JSON_TEXT, "database", manifest, database),
	F(JSON_TEXT, "server", manifest, facts.server),
	F(JSON_TEXT, "position", manifest, facts.position),
	F(JSON_TEXT, "bindir", manifest, bindir),
	F(JSON_U64, "files", manifest, files),
	F(JSON_TEXT, "floor", manifest, floor),
	F(JSON_TEXT, "system_identifier", manifest, system_identifier),
	F(JSON_TEXT, "settings", manifest, settings),
	NEEDED(JSON_TEXT, "path", manifest, facts.path),
	NEEDED(JSON_TEXT, "data_dir", manifest, data_dir),
	NEEDED(JSON_U32, "uid", manifest, uid),
	NEEDED(JSON_U32, "gid", manifest, gid),
	F(JSON_TEXT, "skipped", manifest, skipped),
	F(JSON_TEXT, "config", manifest, config),
	{JSON_LIST, "parts", offsetof(struct manifest, parts), 0, true, &parts},
	{JSON_END},
};

char *marker_encode(const struct marker *marker)
{
	return json_write("marker", MANIFEST_VERSION, marker_fields, marker);
}

char *intent_encode(const struct intent *intent)
{
	return json_write("intent", MANIFEST_VERSION, intent_fields, intent);
}

char *manifest_encode(const struct manifest *manifest)
{
	return json_write("backup", MANIFEST_VERSION, manifest_fields, manifest);
}

int marker_decode(const char *text, size_t size, struct marker *ret_marker)
{
	struct marker marker = {0};
	int error = json_read("marker", MANIFEST_VERSION, marker_fields, text, size, &marker);

	if (error == 0 && !ident_is_cluster(marker.cluster))
		error = ERR_CORRUPT;
	if (error == 0)
		*ret_marker = marker;
	return error;
}

int intent_decode(const char *text, size_t size, struct intent *ret_intent)
{
	struct intent intent = {0};
	int error = json_read("intent", MANIFEST_VERSION, intent_fields, text, size, &intent);

	if (error == 0 &&
	    (!ident_is_cluster(intent.cluster) || (intent.clone[0] && !ident_is_clone(intent.clone))))
		error = ERR_CORRUPT;
	if (error == 0)
		*ret_intent = intent;
	return error;
}

int manifest_decode(const char *text, size_t size, struct manifest *ret_manifest)
{
	/* Too large for a stack that a worker shares with everything else it does. */
	struct manifest *manifest = calloc(1, sizeof(*manifest));
	int error = manifest ? json_read("backup", MANIFEST_VERSION, manifest_fields, text, size, manifest)
			     : ERR_NOMEM;

	if (error == 0 && (!ident_is_cluster(manifest->cluster) || manifest->facts.mode > MODE_MAX))
		error = ERR_CORRUPT;
	if (error == 0)
		*ret_manifest = *manifest;
	free(manifest);
	return error;
}
