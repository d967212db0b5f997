/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stopping, looking, letting go; and undoing what an engine that died has left. The one difficulty is
 * that SIGCONT by anybody ends a hold unseen, and SIGSTOP may follow it: so it is counted how often the threads
 * have run.
 */
#include "daemon/engine/freeze.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/scope.h"
#include "daemon/engine/names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	FOLDER_MODE = 0700,
	NOTE_MODE = 0600,
	STATUS_SIZE = 16384,
	GUARD_US = 50000 /* who looks at the clock himself comes first */
};

static int read_small(int dir_fd, const char *name, char *text, size_t size)
{
	scope_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	if (got < 0)
		return err_from_errno(errno);
	text[got] = '\0';
	return 0;
}

/* Field 22; the name in field 2 may hold blanks and parentheses. */
static uint64_t start_below(int proc_fd)
{
	char text[1024];
	uint64_t start = 0;
	const char *at;

	if (read_small(proc_fd, "stat", text, sizeof(text)) < 0 || !(at = strrchr(text, ')')))
		return 0;
	if (sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
		   &start) != 1)
		return 0;
	return start;
}

static int open_process(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

uint64_t freeze_start_of(pid_t pid)
{
	scope_close int proc_fd = open_process(pid);

	return proc_fd < 0 ? 0 : start_below(proc_fd);
}

static int send_to(int pidfd, int number)
{
	return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0 ? err_from_errno(errno) : 0;
}

static bool has_ended(int pidfd)
{
	struct pollfd item = {.fd = pidfd, .events = POLLIN};

	return poll(&item, 1, 0) != 0;
}

static void name_folder(const char *socket_path, char *path, size_t size)
{
	const char *slash = strrchr(socket_path, '/');

	snprintf(path, size, "%.*s/frozen", slash ? (int)(slash - socket_path) : 0, socket_path);
}

/* The folder of the notes, in which nobody else can write or remove one; or a code. */
static int open_folder(const char *socket_path)
{
	char path[256];
	scope_close int fd = -1;
	struct stat st;

	name_folder(socket_path, path, sizeof(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? ERR_UNTRUSTED : err_from_errno(errno);
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		return ERR_UNTRUSTED;
	return scope_take_fd(fd);
}

/* The number after label in what /proc/PID/status says. */
static bool find_number(const char *text, const char *label, uint64_t *ret_number)
{
	const char *at = strstr(text, label);

	return at && sscanf(at + strlen(label), " %" SCNu64, ret_number) == 1;
}

/* Adds what a thread says of itself. False: it runs, or waits for something that a signal does not end. */
static bool add_thread(const char *text, uint64_t *threads, uint64_t *switches)
{
	const char *state = strstr(text, "\nState:\t");
	uint64_t own, others;

	if (!state || !find_number(state, "\nvoluntary_ctxt_switches:", &own) ||
	    !find_number(state, "\nnonvoluntary_ctxt_switches:", &others))
		return false;
	state += strlen("\nState:\t");
	/* A dead one does not come back; its process may go on without it. */
	if (*state == 'Z' || *state == 'X')
		return true;
	*threads += 1;
	*switches += own + others;
	return *state == 'T';
}

/* 1: no thread runs; 0: one does, or is not to be seen. */
static int look_at_threads(int proc_fd, uint64_t *threads, uint64_t *switches)
{
	scope_close int fd = openat(proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	scope_free char *text = malloc(STATUS_SIZE);
	char path[NAME_MAX + 16];
	const char *name;
	int more = -1;

	*threads = *switches = 0;
	while (dir && text && (more = names_next(dir, &name)) > 0) {
		snprintf(path, sizeof(path), "%s/status", name);
		if (read_small(fd, path, text, STATUS_SIZE) < 0 || !add_thread(text, threads, switches))
			return 0;
	}
	return more == 0 && *threads > 0;
}

int freeze_look(struct freeze *freeze)
{
	uint64_t threads, switches;
	int still = look_at_threads(freeze->proc_fd, &threads, &switches);
	bool same = freeze->settled && threads == freeze->threads && switches == freeze->switches;

	if (has_ended(freeze->pidfd))
		return ERR_NOT_FOUND;
	if (freeze->state == FREEZE_STILL)
		return still && same ? 1 : ERR_STATE;
	freeze->settled = still;
	freeze->threads = threads;
	freeze->switches = switches;
	if (!still || !same)
		return 0;
	freeze->state = FREEZE_STILL;
	return 1;
}

static int check_process(const struct freeze *freeze, const struct freeze_order *order)
{
	scope_free char *text = malloc(STATUS_SIZE);
	const char *uids;
	unsigned real, effective;

	if (!text)
		return ERR_NOMEM;
	if (read_small(freeze->proc_fd, "status", text, STATUS_SIZE) < 0)
		return ERR_NOT_FOUND;
	uids = strstr(text, "\nUid:\t");
	if (!uids || sscanf(uids + strlen("\nUid:\t"), "%u %u", &real, &effective) != 2)
		return ERR_UNKNOWN;
	if (start_below(freeze->proc_fd) != order->start)
		return ERR_MISMATCH;
	return real == order->uid && effective == order->uid ? 0 : ERR_UNTRUSTED;
}

/* The pidfd is taken first: what it stands for cannot change while the rest is looked at. */
static int open_all(struct freeze *freeze, const char *socket_path, const struct freeze_order *order)
{
	char path[256];

	freeze->pidfd = (int)syscall(SYS_pidfd_open, order->pid, 0);
	freeze->proc_fd = freeze->pidfd < 0 ? -1 : open_process(order->pid);
	if (freeze->proc_fd < 0)
		return errno == ESRCH || errno == ENOENT ? ERR_NOT_FOUND : err_from_errno(errno);
	name_folder(socket_path, path, sizeof(path));
	if (mkdir(path, FOLDER_MODE) < 0 && errno != EEXIST)
		return err_from_errno(errno);
	freeze->folder_fd = open_folder(socket_path);
	return freeze->folder_fd < 0 ? freeze->folder_fd : 0;
}

static int write_text(int fd, const char *text)
{
	size_t length = strlen(text);

	if (write(fd, text, length) != (ssize_t)length || fsync(fd) < 0)
		return err_from_errno(errno);
	return 0;
}

/* Under its name it is whole: nobody is stopped before that. */
static int write_note(const struct freeze *freeze, const struct freeze_order *order)
{
	char name[IDENT_CLUSTER_SIZE + 1], text[64];
	scope_close int fd = -1;
	int error;

	snprintf(name, sizeof(name), ".%s", order->cluster);
	snprintf(text, sizeof(text), "%d %" PRIu64 "\n", (int)order->pid, order->start);
	unlinkat(freeze->folder_fd, name, 0);
	fd = openat(freeze->folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, NOTE_MODE);
	error = fd < 0 ? err_from_errno(errno) : write_text(fd, text);
	if (error == 0 && linkat(freeze->folder_fd, name, freeze->folder_fd, order->cluster, 0) < 0)
		error = err_from_errno(errno);
	if (error == 0 && fsync(freeze->folder_fd) < 0) {
		error = err_from_errno(errno);
		unlinkat(freeze->folder_fd, order->cluster, 0);
	}
	unlinkat(freeze->folder_fd, name, 0);
	return error;
}

static void close_all(struct freeze *freeze)
{
	int fds[] = {freeze->folder_fd, freeze->pidfd, freeze->proc_fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	*freeze = (struct freeze){.folder_fd = -1, .pidfd = -1, .proc_fd = -1};
}

/* In the middle of anything. */
static void let_go_late(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)number;
	(void)context;
	if (info->si_code == SI_TIMER)
		syscall(SYS_pidfd_send_signal, info->si_value.sival_int, SIGCONT, NULL, 0);
	errno = saved;
}

/* A loop that hangs (a log that nobody reads, say) looks at no clock. */
static int arm_guard(struct freeze *freeze)
{
	struct sigaction action = {.sa_sigaction = let_go_late, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value.sival_int = freeze->pidfd};
	int64_t left_us = freeze->until_us + GUARD_US - clock_measure_us();
	struct itimerspec time = {.it_value = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000}};

	if (sigaction(SIGALRM, &action, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &event, &freeze->guard) < 0)
		return err_from_errno(errno);
	if (timer_settime(freeze->guard, 0, &time, NULL) == 0)
		return 0;
	timer_delete(freeze->guard);
	return ERR_IO;
}

static int stop(struct freeze *freeze)
{
	int error = arm_guard(freeze);

	if (error < 0)
		return error;
	error = send_to(freeze->pidfd, SIGSTOP);
	if (error < 0)
		timer_delete(freeze->guard);
	return error;
}

int freeze_begin(struct freeze *freeze, const char *socket_path, const struct freeze_order *order)
{
	int error;

	*freeze = (struct freeze){.folder_fd = -1, .pidfd = -1, .proc_fd = -1};
	error = open_all(freeze, socket_path, order);
	if (error == 0)
		error = check_process(freeze, order);
	if (error == 0 && has_ended(freeze->pidfd))
		error = ERR_NOT_FOUND;
	if (error == 0)
		error = write_note(freeze, order);
	if (error < 0) {
		close_all(freeze);
		return error;
	}
	freeze->pid = order->pid;
	snprintf(freeze->cluster, sizeof(freeze->cluster), "%s", order->cluster);
	freeze->since_us = clock_measure_us();
	freeze->until_us = freeze->since_us + order->max_ms * 1000;
	error = stop(freeze);
	if (error == 0) {
		freeze->state = FREEZE_STOPPING;
		return 0;
	}
	unlinkat(freeze->folder_fd, order->cluster, 0);
	close_all(freeze);
	return error;
}

int freeze_end(struct freeze *freeze, uint64_t *ret_us)
{
	int error = send_to(freeze->pidfd, SIGCONT);

	timer_delete(freeze->guard);
	*ret_us = (uint64_t)(clock_measure_us() - freeze->since_us);
	if (error < 0 && has_ended(freeze->pidfd))
		error = 0;
	/* An administrator's --thaw has perhaps been here before. */
	if (error == 0 && unlinkat(freeze->folder_fd, freeze->cluster, 0) < 0 && errno != ENOENT)
		error = err_from_errno(errno);
	close_all(freeze);
	return error;
}

/* The pidfd is taken first: what it stands for cannot change while the start time is compared. */
static int thaw(int dir_fd, const char *name)
{
	char text[128];
	uint64_t start;
	scope_close int pidfd = -1;
	int pid, error;

	if (read_small(dir_fd, name, text, sizeof(text)) < 0)
		return ERR_IO;
	if (sscanf(text, "%d %" SCNu64, &pid, &start) != 2 || pid <= 1)
		return ERR_CORRUPT;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : err_from_errno(errno);
	if (freeze_start_of(pid) != start)
		return 0;
	error = send_to(pidfd, SIGCONT);
	if (error < 0)
		return has_ended(pidfd) ? 0 : error;
	log_notice("process %d of cluster %s, held still by a dbsnapd that ended, runs again", pid, name);
	return 0;
}

static int thaw_note(int dir_fd, const char *name)
{
	int error = thaw(dir_fd, name);

	if (error == 0 && unlinkat(dir_fd, name, 0) < 0)
		error = err_from_errno(errno);
	if (error < 0)
		log_error("the note frozen/%s cannot be undone: %s", name, err_text(error));
	return error;
}

int freeze_thaw_all(const char *socket_path)
{
	scope_close int fd = open_folder(socket_path);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	int count = 0, failed = 0, more = -1;
	const char *name;

	if (fd == ERR_NOT_FOUND)
		return 0;
	while (dir && (more = names_next(dir, &name)) > 0) {
		/* Never became a note: nothing was stopped for it. */
		if (name[0] == '.') {
			unlinkat(dirfd(dir), name, 0);
			continue;
		}
		count++;
		if (thaw_note(dirfd(dir), name) < 0)
			failed = ERR_STATE;
	}
	if (more < 0) {
		failed = fd < 0 ? fd : ERR_IO;
		log_error("the notes of servers that a dbsnapd left stopped, frozen/ beside %s, cannot be read: %s", socket_path,
			  err_text(failed));
	}
	return failed < 0 ? failed : count;
}
