/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The line is made whole, cut to the terminal's width and written over the last one. */
#include "client/progress.h"

#include "client/field.h"
#include "client/text.h"
#include "common/clock.h"
#include "common/scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_MIN = 6, BAR_MAX = 24 };

void progress_begin(struct progress *progress)
{
	const char *term = getenv("TERM");

	progress->shown = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
	progress->started_ms = clock_running_ms();
}

static int terminal_width(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80;
}

static char *elapsed_text(const struct progress *progress)
{
	int64_t seconds = (clock_running_ms() - progress->started_ms) / CLOCK_MS_PER_S;

	return text_format("%d:%02d", (int)(seconds / 60), (int)(seconds % 60));
}

/* The bar takes what the words leave of the line: an even shorter terminal cuts the words' end. */
static char *bar_text(const char *before, const char *after, int percent)
{
	int room = terminal_width() - 1 - (int)text_width(before) - (int)text_width(after) - 2;
	int width = room > BAR_MAX ? BAR_MAX : room < BAR_MIN ? BAR_MIN : room;
	int filled = percent * width / 100;
	char bar[BAR_MAX + 1];

	memset(bar, '#', (size_t)filled);
	memset(bar + filled, '.', (size_t)(width - filled));
	bar[width] = '\0';
	return text_format("[%s]", bar);
}

static void draw(const char *text)
{
	scope_free char *clean = text_escape(text);

	fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, clean);
	fflush(stderr);
}

static const char *phase_word(const json_t *job)
{
	static const struct {
		const char *phase, *word;
	} words[] = {{"NoStart", "waiting"},   {"Preparing", "preparing"}, {"Waiting", "waiting"},
		     {"Uploading", "cutting"}, {"Checking", "checking"},   {"Finished", "finished"}};
	const char *phase = field_str(job, "Phase");

	if (!phase[0])
		phase = field_str(job, "State");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(phase, words[i].phase) == 0)
			return words[i].word;
	}
	return phase;
}

static char *bytes_text(const json_t *job)
{
	int64_t done = field_int(job, "BytesDone", -1), total = field_int(job, "BytesTotal", -1);
	scope_free char *done_text = text_size(done);
	scope_free char *total_text = text_size(total);

	if (done < 0 || (done == 0 && total <= 0))
		return text_format("%s", "");
	return total > 0 ? text_format("  %s of %s", done_text, total_text) : text_format("  %s", done_text);
}

void progress_show(const struct progress *progress, const json_t *job)
{
	int64_t percent = field_int(job, "Percent", 0);
	scope_free char *bytes = NULL, *before = NULL, *after = NULL, *bar = NULL, *time = NULL, *text = NULL;

	if (!progress->shown)
		return;
	percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
	bytes = bytes_text(job);
	time = elapsed_text(progress);
	before = text_format("%s  job %s  %-9s ", field_str(job, "DBClusterId"), field_str(job, "JobId"),
			     phase_word(job));
	after = text_format(" %3d%%%s  %s", (int)percent, bytes, time);
	bar = bar_text(before, after, (int)percent);
	text = text_format("%s%s%s", before, bar, after);
	draw(text);
}

void progress_show_away(const struct progress *progress)
{
	scope_free char *time = NULL, *text = NULL;

	if (!progress->shown)
		return;
	time = elapsed_text(progress);
	text = text_format("dbsnapd does not answer; trying again  %s", time);
	draw(text);
}

void progress_end(const struct progress *progress)
{
	if (!progress->shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
}
