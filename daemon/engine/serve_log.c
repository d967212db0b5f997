/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server writes to its standard error what its settings and its users make it write, and knows no bound for that. The file's
 * folder is the database user's, who may put anything in the place of either name: nothing waits for what is there.
 */
#include "daemon/engine/serve_log.h"

#include "common/scope.h"
#include "daemon/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

enum { BYTES_MAX = 8 << 20, CHUNK = 65536 };

static const char old_name[] = SERVE_LOG ".old";

/* -1: there is no such file to be had. */
static int begin_file(int root_fd)
{
	return tree_open(root_fd, SERVE_LOG, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK | O_NOCTTY, 0600);
}

static void write_all(int fd, const char *bytes, size_t size)
{
	ssize_t done;

	for (; fd >= 0 && size > 0; bytes += done, size -= (size_t)done) {
		done = write(fd, bytes, size);
		if (done <= 0)
			return;
	}
}

void serve_log_keep(int root_fd, int in)
{
	scope_close int out = -1;
	char bytes[CHUNK];
	size_t used = 0;
	ssize_t got;

	unlinkat(root_fd, old_name, 0);
	out = begin_file(root_fd);
	while ((got = read(in, bytes, sizeof(bytes))) > 0 || (got < 0 && errno == EINTR)) {
		if (got < 0)
			continue;
		if (used + (size_t)got > BYTES_MAX) {
			if (out >= 0)
				close(scope_take_fd(out));
			renameat(root_fd, SERVE_LOG, root_fd, old_name);
			out = begin_file(root_fd);
			used = 0;
		}
		write_all(out, bytes, (size_t)got);
		used += (size_t)got;
	}
}
