/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/pg_replay.h"

#include "common/ask.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/pg_records.h"
#include "daemon/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, TIMELINES_MAX = 1000, SETTLED_S = 3600 };

void pg_replay_of(const struct pg_control *control, uint32_t major, uint64_t start, struct pg_replay *ret_replay)
{
	*ret_replay = (struct pg_replay){
		.major = major, .segment_size = control->wal_segment_size, .timeline = control->timeline,
		.newest = control->timeline, .start = start ? start : control->redo, .reach = control->checkpoint + 1,
	};
	if (control->min_recovery_timeline > control->timeline)
		ret_replay->newest = control->min_recovery_timeline;
}

/* The server makes the link a moment before it writes the record. */
bool pg_replay_is_settled(int64_t spaces_s, int64_t checkpoint_s)
{
	return checkpoint_s > SETTLED_S && spaces_s < checkpoint_s - SETTLED_S;
}

/* The segment that holds lsn: recovery takes that of the newest timeline. The descriptor; -1: there is none. */
static int open_segment(const struct pg_replay *replay, int wal_fd, uint64_t lsn)
{
	char name[PG_SEGMENT_NAME_SIZE];
	int fd = -1;

	for (uint32_t i = 0; fd < 0 && i <= replay->newest - replay->timeline && i < TIMELINES_MAX; i++) {
		pg_control_segment(replay->newest - i, lsn, replay->segment_size, name);
		fd = tree_open(wal_fd, name, O_RDONLY, 0);
	}
	return fd;
}

/* Hands over the pages of one segment. 1: they went on to its end; 0: the WAL ended; or a code. */
static int read_segment(struct pg_records *records, int fd, uint8_t *bytes, struct reason *why)
{
	uint64_t number = records->at / records->segment_size;

	while (records->at / records->segment_size == number) {
		uint64_t begin = records->at - records->at % PG_WAL_PAGE;
		ssize_t got = pread(fd, bytes, CHUNK, (off_t)(begin % records->segment_size));

		if (got < 0)
			return reason_set_errno(why, errno, "cannot read the image's WAL");
		if (got < PG_WAL_PAGE)
			return 0;
		while (records->at / PG_WAL_PAGE * PG_WAL_PAGE + PG_WAL_PAGE <= begin + (uint64_t)got) {
			if (!pg_records_page(records, bytes + (records->at - records->at % PG_WAL_PAGE - begin)))
				return 0;
		}
	}
	return 1;
}

static int read_all(const struct pg_replay *replay, int wal_fd, struct pg_records *records, struct reason *why)
{
	scope_free uint8_t *bytes = malloc(CHUNK);
	int more = bytes ? 1 : reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");

	while (more > 0 && !records->tablespace) {
		scope_close int fd = open_segment(replay, wal_fd, records->at);

		more = fd < 0 ? 0 : read_segment(records, fd, bytes, why);
	}
	return more;
}

int pg_replay_check(const struct pg_replay *replay, int image_fd, struct reason *why)
{
	scope_close int wal_fd = tree_open(image_fd, "pg_wal", O_RDONLY | O_DIRECTORY, 0);

	if (wal_fd < 0)
		return reason_set_errno(why, errno, "cannot open pg_wal in the image");
	return pg_replay_check_wal(replay, wal_fd, why);
}

int pg_replay_check_wal(const struct pg_replay *replay, int wal_fd, struct reason *why)
{
	char from[ASK_LSN_SIZE], to[ASK_LSN_SIZE];
	struct pg_records records;
	int error;

	pg_records_begin(replay->major, replay->segment_size, replay->start, &records);
	error = read_all(replay, wal_fd, &records, why);
	if (error < 0)
		return error;
	if (records.tablespace)
		return reason_set_retry(why, ERR_LAYOUT,
					"run CHECKPOINT in the server (start it if it does not run), or wait for its next one",
					"the WAL that a clone would replay makes a tablespace, in the source's folder");
	ask_format_lsn(replay->start, from);
	ask_format_lsn(replay->reach, to);
	if (records.at < replay->reach)
		return reason_set_retry(why, ERR_STATE, NULL,
					"the image's WAL cannot be followed from %s to %s, where recovery has to come", from, to);
	return 0;
}
