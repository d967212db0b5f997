/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One table of fields, for backups, clones, jobs and policies alike: what an object lacks is not shown. */
#include "client/show.h"

#include "client/field.h"
#include "client/text.h"
#include "common/clock.h"
#include "common/scope.h"

#include <string.h>

enum form { TEXT, SIZE, TIME, UNIX_TIME, MILLISECONDS, PERCENT, PROMISE };

struct shown {
	const char *path;
	const char *label;
	enum form form;
};

static const struct shown shown[] = {
	{"JobId", "Job"},
	{"Kind", "Kind"},
	{"CloneName", "Clone"},
	{"BackupId", "Backup"},
	{"DBClusterId", "Cluster"},
	{"Dbsnap.State", "State"},
	{"State", "State"},
	{"Phase", "Phase"},
	{"Percent", "Progress", PERCENT},
	{"BytesDone", "Bytes done", SIZE},
	{"BytesTotal", "Bytes in all", SIZE},
	{"Dbsnap.Cause", "Cause"},
	{"Dbsnap.Remedy", "Remedy"},
	{"Cause", "Cause"},
	{"Remedy", "Remedy"},
	{"BackupStatus", "Status"},
	{"IsAvail", "Available"},
	{"BackupMode", "Mode"},
	{"BackupType", "Type"},
	{"BackupMethod", "Method"},
	{"BackupStartTime", "Accepted", TIME},
	{"AcceptTime", "Accepted", TIME},
	{"CreateTime", "Created", TIME},
	{"StartTime", "Started", TIME},
	{"BackupEndTime", "Ended", TIME},
	{"EndTime", "Ended", TIME},
	{"ConsistentTime", "Moment of the cut", UNIX_TIME},
	{"Attempts", "Attempts"},
	{"BackupSetSize", "Size", SIZE},
	{"Dbsnap.SizeTime", "Size as of", TIME},
	{"Dbsnap.Backend", "Backend"},
	{"Dbsnap.Procedure", "Procedure"},
	{"Dbsnap.Promise", "Promise", PROMISE},
	{"Dbsnap.Weakened", "Weakened by"},
	{"Dbsnap.Server", "Server"},
	{"Dbsnap.Position", "Position"},
	{"Dbsnap.CutMs", "Cut took", MILLISECONDS},
	{"Dbsnap.FreezeMs", "Writers held", MILLISECONDS},
	{"Dbsnap.Path", "Path"},
	{"ClonePath", "Path"},
	{"KeptPath", "Kept as"},
	{"SocketDir", "Socket folder"},
	{"Connect", "Connect by"},
	{"Dbsnap.Held", "Held"},
	{"Dbsnap.Verified.Result", "Verified"},
	{"Dbsnap.Verified.At", "Verified at", TIME},
	{"Dbsnap.Verified.By", "Verified by"},
	{"Dbsnap.Verified.Checked", "Looked at"},
	{"Dbsnap.Verified.Found", "Found"},
	{"StoreStatus", "Store status"},
	{"BackupsLevel", "Level"},
	{"ExpectExpireType", "Expiry"},
	{"ExpectExpireTime", "Expires", TIME},
	{"RequestId", "Request"},
};

enum { SHOWN_COUNT = sizeof(shown) / sizeof(shown[0]) };

const char *show_promise(const char *promise, const char *backend)
{
	static const char *const words[][2] = {
		{"atomic", "one moment of the running database, by one snapshot"},
		{"recovered", "one moment, reached when the clone replays its log"},
		{"stopped", "the database was shut down cleanly"},
		{"crash", "as after a power cut at that moment"},
		{"per-file", "each file at its own moment"},
	};

	if (strcmp(promise, "per-file") == 0 && strcmp(backend, "copy") == 0)
		return "each file by itself; one that was written in place meanwhile, over the time of its copy";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(promise, words[i][0]) == 0)
			return words[i][1];
	}
	return "";
}

static char *with_note(const char *text, const char *before, const char *note, const char *after)
{
	return note[0] ? text_format("%s%s%s%s", text, before, note, after) : text_format("%s", text);
}

static char *time_text(const char *api_time)
{
	scope_free char *age = text_age(api_time);
	int64_t then_ms;

	/* An expiry lies ahead and has no age. */
	if (clock_parse(api_time, &then_ms) < 0 || then_ms > clock_wall_ms())
		return text_format("%s", api_time);
	return with_note(api_time, " (", age, " ago)");
}

static char *form_text(enum form form, const json_t *item, const char *path)
{
	scope_free char *raw = field_text(item, path);
	scope_free char *size = NULL;
	char time[21];

	if (!raw[0])
		return text_format("%s", "");
	switch (form) {
	case SIZE:
		size = text_size(field_int(item, path, -1));
		return size[0] ? text_format("%s (%s bytes)", size, raw) : text_format("%s", raw);
	case TIME:
		return time_text(raw);
	case UNIX_TIME:
		if (field_int(item, path, -1) < 0)
			return text_format("%s", raw);
		clock_format(field_int(item, path, 0) * CLOCK_MS_PER_S, time);
		return time_text(time);
	case MILLISECONDS:
		return text_milliseconds(raw);
	case PERCENT:
		return text_format("%s%%", raw);
	case PROMISE:
		return with_note(raw, ": ", show_promise(raw, field_str(item, "Dbsnap.Backend")), "");
	default:
		return text_format("%s", raw);
	}
}

static bool is_known(const char *prefix, const char *key)
{
	scope_free char *path = text_format("%s%s", prefix, key);

	for (size_t i = 0; i < SHOWN_COUNT; i++) {
		if (strcmp(shown[i].path, path) == 0)
			return true;
	}
	return strcmp(path, "Dbsnap") == 0 || strcmp(path, "Dbsnap.Verified") == 0;
}

static void show_rest(const json_t *object, const char *prefix)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		scope_free char *text = NULL;

		/* A key with a dot could not be asked for by its path. */
		if (is_known(prefix, key) || strchr(key, '.'))
			continue;
		text = field_text(object, key);
		text_pair(stdout, key, text);
	}
}

void show_item(const json_t *item)
{
	for (size_t i = 0; i < SHOWN_COUNT; i++) {
		scope_free char *text = form_text(shown[i].form, item, shown[i].path);

		text_pair(stdout, shown[i].label, text);
	}
	show_rest(item, "");
	show_rest(json_object_get(item, "Dbsnap"), "Dbsnap.");
}
