/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Procedure E: a MariaDB whose files are taken one by one while the whole server stands still. FICLONE waits for a file's
 * direct writes and takes its dirty pages with it, so each is taken as the server's last write left it: a state that
 * the server itself could have left by a crash, as long as nobody else writes there, and nothing lies elsewhere.
 */
#include "daemon/engine/db_mariadb.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/freeze.h"
#include "daemon/engine/names.h"
#include "daemon/engine/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_US = 240, /* of one file, when no backup has told yet: 0.2 ms and a fifth */
	LEAST_MS = 1
};

static int refuse_writer(const struct db_mariadb *my, struct reason *why)
{
	char who[128];
	int found = server_search_writer(my->job, my->server.pid, who, sizeof(who), why);

	if (found <= 0)
		return found;
	return reason_set(why, ERR_LAYOUT, "stop what writes there, or put the data directory into a btrfs subvolume",
			  "%s, and has a file of %s open for writing: it would not stand still with the server", who,
			  my->job->cluster->data_dir);
}

/* The newest backup's manifest; its absence says nothing. */
static bool read_last(int snapshot_fd, struct manifest *manifest)
{
	scope_closedir DIR *dir = snapshot_fd < 0 ? NULL : names_open(snapshot_fd);
	scope_free char *text = NULL;
	char path[PLACE_ID_SIZE + 16];
	uint64_t id, last = 0;
	const char *name;
	size_t size;

	while (dir && names_next(dir, &name) > 0) {
		if (ident_parse_id(name, &id) == 0 && id > last)
			last = id;
	}
	snprintf(path, sizeof(path), "%" PRIu64 "/manifest.json", last);
	return last > 0 && place_read_file(snapshot_fd, path, &text, &size) == 0 &&
	       manifest_decode(text, size, manifest) == 0;
}

/* How long the last one took, by the number of files; or what is usual. */
static uint64_t expect_us(const struct db_mariadb *my, int snapshot_fd, const char **ret_from)
{
	scope_free struct manifest *last = calloc(1, sizeof(*last));

	if (last && read_last(snapshot_fd, last) && strcmp(last->facts.procedure, "E") == 0 && last->files > 0) {
		*ret_from = "as long a file as in the last backup";
		return my->tree.files * last->facts.freeze_us / last->files;
	}
	*ret_from = "0.24 ms a file, as no backup has told yet";
	return (uint64_t)my->tree.files * FIRST_US;
}

static void tell_expected(const struct db_mariadb *my, uint64_t us, const char *from, struct layout_expected *expected)
{
	expected->cut_us = expected->freeze_us = (int64_t)us;
	snprintf(expected->why, sizeof(expected->why), "estimated: %" PRIu32 " files, %s; the whole server stands still meanwhile",
		 my->tree.files, from);
}

int my_admit_frozen(struct db_mariadb *my, struct layout *layout, struct reason *why)
{
	const char *from;
	uint64_t expected_us = expect_us(my, layout->snapshot_fd, &from), expected_ms = expected_us / 1000;
	int64_t most_ms = my->job->cluster->database.max_freeze_ms;
	int error = refuse_writer(my, why);

	if (error < 0)
		return error;
	if (expected_ms > (uint64_t)most_ms)
		return reason_set(why, ERR_LAYOUT,
				  "raise database.max_freeze, if the server may stand still for so long; or put the data directory "
				  "into a btrfs subvolume, where nobody waits",
				  "the server would stand still for about %" PRIu64 " ms (%" PRIu32 " files), and "
				  "database.max_freeze is %" PRId64 " ms",
				  expected_ms, my->tree.files, most_ms);
	layout_add_line(layout->warnings, sizeof(layout->warnings),
			"the server is stopped while its %" PRIu32 " files are taken: about %" PRIu64 " ms are expected, "
			"%" PRId64 " ms (database.max_freeze) are the most",
			my->tree.files, expected_ms, most_ms);
	tell_expected(my, expected_us, from, &layout->expected);
	my->freezes = true;
	return 0;
}

int my_freeze(struct db_mariadb *my, struct reason *why)
{
	int64_t left_ms = my->job->cluster->database.max_freeze_ms;
	uint64_t start = freeze_start_of(my->server.pid);

	/* Until here the number was that of the process behind the socket. */
	if (!server_is_alive(&my->server))
		return reason_set_retry(why, ERR_STATE, NULL, "the server ended during the backup");
	/* Who waits for the lock waits already. */
	if (my->locked_us)
		left_ms -= (clock_measure_us() - my->locked_us + (int64_t)my->waited_us) / 1000;
	return job_hold(my->job, my->server.pid, start, left_ms > LEAST_MS ? left_ms : LEAST_MS, why);
}
