/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One short sentence per event. Lines go to standard error, or to the journal
 * with structured fields where $JOURNAL_STREAM says that standard error is the
 * journal, or to a sink (a worker and the front hand their lines to the
 * engine). Never logged: tokens, secrets, request bodies.
 */
#ifndef DBSNAP_LOG_H
#define DBSNAP_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR = 3, /* syslog's numbers */
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* What a line is about; a member that is NULL or 0 is left out. Borrowed for the call. */
struct log_about {
	const char *cluster; /* DBSNAP_CLUSTER */
	uint64_t backup;     /* DBSNAP_BACKUP */
	uint64_t job;        /* DBSNAP_JOB */
	const char *request; /* DBSNAP_REQUEST */
	const char *clone;   /* DBSNAP_CLONE */
};

/* Must not block and must not log. text is one line without a newline. */
typedef void log_sink_fn(void *arg, enum log_level level, const struct log_about *about, const char *text);

/* name: the program's, a static string. Finds out where lines go. */
void log_open(const char *name);
/* Lines above this level are dropped. Default LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
/* From now on every line goes to sink; NULL: back to standard error or the journal. */
void log_set_sink(log_sink_fn *sink, void *arg);

/* Lines longer than 1,000 bytes are cut; control characters become '?'. */
void log_about(enum log_level level, const struct log_about *about, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_about(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_about(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_notice(...) log_about(LOG_LEVEL_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_about(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_about(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)

enum { LOG_LINE_SIZE = 1001 };

#endif
