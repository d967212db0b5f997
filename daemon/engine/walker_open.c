/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A folder that lies where the database says, for a worker that must not look names up there: a walker opens
 * it, by the database user's rights, and hands the descriptor over. It waits in the socket when the walker has ended.
 */
#include "daemon/engine/walker.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int send_fd(int socket, int fd)
{
	char byte = 0;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	union control control = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : err_from_errno(errno);
}

/* In the walker. */
static int open_and_send(const void *arg, const int *fds, void *answer, struct reason *why)
{
	scope_close int fd = open(arg, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	int error;

	(void)answer;
	if (fd < 0)
		return reason_set_errno(why, errno, "cannot open %.400s", (const char *)arg);
	error = send_fd(fds[0], fd);
	return error < 0 ? reason_set(why, error, NULL, "cannot hand over a folder: %s", err_text(error)) : 0;
}

/* The descriptor, or -1. The buffer is aligned, so there may be room for a second one: that is none of ours. */
static int receive_fd(int socket)
{
	char byte;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	union control control;
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(int));
	return fd;
}

int walker_open(struct worker_job *job, const char *path, int *ret_fd, struct reason *why)
{
	scope_close int ours = -1, theirs = -1, fd = -1;
	struct stat st;
	int ends[2], error;
	char nothing;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return reason_set_errno(why, errno, "cannot make a pair of sockets");
	ours = ends[0];
	theirs = ends[1];
	error = walker_run(job, open_and_send, path, &theirs, 1, &nothing, 0, why);
	if (error < 0)
		return error;
	fd = receive_fd(ours);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return reason_set_retry(why, ERR_UNKNOWN, NULL, "the process that reads the data directory spoke nonsense");
	*ret_fd = scope_take_fd(fd);
	return 0;
}
