/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one difficulty: sd_journal_sendv() answers 0 where no journal listens and
 * the line is lost, so the journal is used only where $JOURNAL_STREAM names the
 * very device and inode of standard error (systemd.exec(5)).
 */
#include "common/log.h"

#include "common/ident.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

static struct {
	const char *name;
	enum log_level level;
	bool journal;
	log_sink_fn *sink;
	void *arg;
} out = {.name = "dbsnap", .level = LOG_LEVEL_INFO};

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *name)
{
	out.name = name;
	out.journal = stderr_is_journal();
}

void log_set_level(enum log_level level)
{
	out.level = level;
}

void log_set_sink(log_sink_fn *sink, void *arg)
{
	out.sink = sink;
	out.arg = arg;
}

enum { FIELD_MAX = 8, FIELD_SIZE = 128 };

struct fields {
	char text[FIELD_MAX][FIELD_SIZE];
	struct iovec iov[FIELD_MAX];
	int count;
};

static void add_field(struct fields *f, const char *name, const char *value)
{
	int length;

	if (f->count == FIELD_MAX)
		return;
	length = snprintf(f->text[f->count], FIELD_SIZE, "%s=%s", name, value);
	f->iov[f->count] = (struct iovec){f->text[f->count], (size_t)(length < FIELD_SIZE ? length : FIELD_SIZE - 1)};
	f->count++;
}

static void add_about(struct fields *f, const struct log_about *about)
{
	char id[IDENT_ID_SIZE];

	if (about->cluster && about->cluster[0])
		add_field(f, "DBSNAP_CLUSTER", about->cluster);
	if (about->backup) {
		ident_format_id(about->backup, id);
		add_field(f, "DBSNAP_BACKUP", id);
	}
	if (about->job) {
		ident_format_id(about->job, id);
		add_field(f, "DBSNAP_JOB", id);
	}
	if (about->request && about->request[0])
		add_field(f, "DBSNAP_REQUEST", about->request);
	if (about->clone && about->clone[0])
		add_field(f, "DBSNAP_CLONE", about->clone);
}

static void to_journal(enum log_level level, const struct log_about *about, const char *text)
{
	struct fields f = {.count = 0};
	struct iovec all[FIELD_MAX + 1];
	char message[LOG_LINE_SIZE + 8], priority[2] = {(char)('0' + level), '\0'};

	snprintf(message, sizeof(message), "MESSAGE=%s", text);
	add_field(&f, "PRIORITY", priority);
	add_field(&f, "SYSLOG_IDENTIFIER", out.name);
	if (about)
		add_about(&f, about);
	all[0] = (struct iovec){message, strlen(message)};
	memcpy(all + 1, f.iov, sizeof(f.iov[0]) * (size_t)f.count);
	sd_journal_sendv(all, f.count + 1);
}

static void to_stderr(enum log_level level, const struct log_about *about, const char *text)
{
	static const char *const words[] = {[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning",
					    [LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_INFO] = "info",
					    [LOG_LEVEL_DEBUG] = "debug"};
	char line[LOG_LINE_SIZE + 200];
	int used = snprintf(line, sizeof(line), "%s: %s: ", out.name, words[level]);

	if (about && about->cluster && about->cluster[0])
		used += snprintf(line + used, sizeof(line) - (size_t)used, "cluster %.63s: ", about->cluster);
	if (about && about->job)
		used += snprintf(line + used, sizeof(line) - (size_t)used, "job %" PRIu64 ": ", about->job);
	used += snprintf(line + used, sizeof(line) - (size_t)used, "%s\n", text);
	/* One write a line, so that lines of several processes do not mix. */
	if (write(STDERR_FILENO, line, (size_t)used) < 0)
		return;
}

static void clean(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

void log_about(enum log_level level, const struct log_about *about, const char *format, ...)
{
	char text[LOG_LINE_SIZE];
	va_list args;

	if (level > out.level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clean(text);
	if (out.sink)
		out.sink(out.arg, level, about, text);
	else if (out.journal)
		to_journal(level, about, text);
	else
		to_stderr(level, about, text);
}
