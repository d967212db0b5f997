/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands in a MariaDB data directory, found by a walker: names alone, one
 * level of folders, no file's contents but a few lines. The answer is the database user's word.
 */
#ifndef DBSNAP_ENGINE_MY_INSPECT_H
#define DBSNAP_ENGINE_MY_INSPECT_H

#include "common/ask.h"
#include "daemon/engine/job.h"
#include "daemon/engine/stamp.h"
#include "daemon/engine/tree.h"

#include <stdbool.h>
#include <stdint.h>

/* Where to look; paths are the data directory's. "" of a folder: that one itself. */
struct my_question {
	char redo[ASK_PATH_SIZE];   /* the folder of ib_logfile0 */
	char binlog[ASK_PATH_SIZE]; /* that of the binary log */
	char index[ASK_PATH_SIZE];  /* its index, a file; "": none that is known */
};

/* Files that no server leaves as they are: each one that starts changes one of them at least. */
enum my_stamp { MY_STAMP_DATA, MY_STAMP_REDO, MY_STAMP_ARIA, MY_STAMP_INDEX, MY_STAMPS };

struct my_tree {
	bool data;               /* ibdata1 is there */
	bool redo;               /* ib_logfile0 is there */
	struct stamp stamps[MY_STAMPS]; /* zero where there is no such file */
	uint32_t page_size;      /* of ibdata1; 0: not to be told */
	char more[128];          /* another file that looks like a part of the system tablespace, "ibdata2"; "" */
	char binlog[128];        /* base name of the one binary log whose index lies at the top; "" */
	char index[128];         /* that index; the file that it names last is there */
	char other_binlog[128];  /* the index of another, or one that leads out of the directory; "" */
	bool last_binlog;        /* of the index asked about: the file that it names last is there */
	char link[256];          /* where InnoDB, MyISAM or Aria keep data: "shop/t.MYD -> /somewhere", "shop/t.isl"; "" */
	char plain[256];         /* a user's table without transactions, "shop/log.MYD"; "" */
	bool old_system;         /* system tables that are such */
	char odd[256];           /* in a database's folder, of no engine that mariadb-backup knows, "shop/t.mrn"; "" */
	uint32_t files;          /* names, at the top and one level below it */
};

/* Looks at root_fd. 0, or a code with why when looking failed: then nothing is known. */
int my_inspect(struct worker_job *job, int root_fd, const struct my_question *question, struct my_tree *ret_tree,
	       struct reason *why);

/* May a symbolic link be there that a clone is made without? By its path from the data directory. */
bool my_link_is_harmless(const char *path);
/* A tree_judge_fn: refuses what leads out of the database, wherever it stands. */
enum tree_fate my_walk_judge(const void *arg, size_t root, const char *path, const struct stat *st, struct reason *why);

/* The last of path's components. */
const char *my_base(const char *path);
/*
 * What a line of a binary log's index names: its file's name alone, which is not changed but cut off at its line's end.
 * NULL at the end of the lines; *lines goes on.
 */
const char *my_index_next(char **lines);

#endif
