/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One line on a terminal that shows how far a job is; nothing where standard error is no terminal. */
#ifndef DBSNAP_CLIENT_PROGRESS_H
#define DBSNAP_CLIENT_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool shown; /* there is a terminal that can take a line back */
	int64_t started_ms;
};

void progress_begin(struct progress *progress);
/* job: an item of DescribeJobs. */
void progress_show(const struct progress *progress, const json_t *job);
/* The daemon does not answer just now. */
void progress_show_away(const struct progress *progress);
/* Takes the line away. */
void progress_end(const struct progress *progress);

#endif
