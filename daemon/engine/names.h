/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names in a folder, and how they are shown. A listing that broke off must never pass for a short
 * one: what is not named would be taken for gone.
 */
#ifndef DBSNAP_ENGINE_NAMES_H
#define DBSNAP_ENGINE_NAMES_H

#include <dirent.h>
#include <stddef.h>

/* A listing of the folder fd, which stays the caller's, from its beginning. NULL with errno. The caller closes it. */
DIR *names_open(int fd);

/* 1: the next name, "." and ".." left out, borrowed until the next call; 0: that was all; -1 with errno. */
int names_next(DIR *dir, const char **ret_name);
/* The same, and what the folder says that the name is: DT_REG and so on; DT_UNKNOWN if it does not say. */
int names_next_kind(DIR *dir, const char **ret_name, unsigned char *ret_kind);

/*
 * path as printable ASCII that JSON takes as it is: every other byte, the quotation mark and the backslash as \xNN.
 * What does not fit size (at least 8) is cut off and ends in "...".
 */
void names_escape(const char *path, char *text, size_t size);

static inline void scope_closedir_p(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define scope_closedir __attribute__((cleanup(scope_closedir_p)))

#endif
