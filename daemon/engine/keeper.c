/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The front has nothing of the engine's but its link and the listening sockets. Its death
 * changes nothing for workers.
 */
#include "daemon/engine/keeper.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/engine/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PAUSE_FIRST_MS = 100,
	PAUSE_LAST_MS = 30000,
	MINUTE_MS = 60000,
	HELLO_WAIT_MS = 60000,
	WAITING_MAX = 16 << 20,
	CONGESTED = 256 << 10
};

void keeper_init(struct keeper *keeper, const struct proc_identity *identity)
{
	*keeper = (struct keeper){.identity = *identity, .link = -1, .pause_ms = PAUSE_FIRST_MS};
	keeper->last = &keeper->first;
}

/* A key's secret may be in it. */
static void free_packet(struct packet *packet)
{
	if (packet)
		explicit_bzero(packet->bytes, packet->size);
	free(packet);
}

static void drop_waiting(struct keeper *keeper)
{
	while (keeper->first) {
		struct packet *packet = keeper->first;

		keeper->first = packet->next;
		free_packet(packet);
	}
	keeper->last = &keeper->first;
	keeper->waiting = 0;
}

/* What the front has from descriptor 3 on. How many there are. */
static size_t list_descriptors(const struct engine *engine, int link, int fds[static 1 + CONF_LISTENS_MAX])
{
	size_t count = 0;

	fds[count++] = link;
	for (size_t i = 0; i < engine->listens.count; i++)
		fds[count++] = engine->listens.at[i].fd;
	return count;
}

/* In the child. */
_Noreturn static void become_front(const struct engine *engine, int link, pid_t parent)
{
	char path[CONF_PATH_SIZE + 32];
	char name[] = "dbsnapd-front", listeners[16];
	char *argv[] = {name, listeners, NULL};
	int fds[1 + CONF_LISTENS_MAX];
	size_t count = list_descriptors(engine, link, fds);
	int error = proc_become(&engine->keeper.identity);

	if (error < 0) {
		log_error("cannot become the front's user: %s", err_text(error));
		_exit(1);
	}
	proc_die_with(parent);
	snprintf(path, sizeof(path), "%s/dbsnapd-front", engine->libexec_dir);
	snprintf(listeners, sizeof(listeners), "%zu", engine->listens.count);
	error = proc_exec(path, argv, NULL, fds, count);
	log_error("cannot start %s: %s", path, err_text(error));
	_exit(1);
}

static void begin_life(struct keeper *keeper, pid_t pid, int link)
{
	keeper->pid = pid;
	keeper->link = link;
	keeper->life++;
	keeper->records = 0;
	keeper->hello = keeper->ready = keeper->replaced = false;
	keeper->pinged = keeper->ponged = 0;
	keeper->started_ms = clock_running_ms();
	keeper->restart_ms = keeper->kill_ms = 0;
}

int keeper_start(struct engine *engine)
{
	pid_t parent = getpid(), pid;
	int fds[2];
	int keep[1 + CONF_LISTENS_MAX];

	if (proc_socketpair(fds) < 0)
		return ERR_IO;
	proc_refuse_descriptors(fds[0]);
	pid = proc_fork(keep, list_descriptors(engine, fds[1], keep));
	if (pid == 0)
		become_front(engine, fds[1], parent);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return ERR_IO;
	}
	begin_life(&engine->keeper, pid, fds[0]);
	engine_send_config(engine);
	return 0;
}

static void keep_packet(struct engine *engine, const struct msg *msg)
{
	struct keeper *keeper = &engine->keeper;
	uint8_t bytes[MSG_SIZE_MAX];
	int size = msg_encode(msg, bytes, sizeof(bytes));
	struct packet *packet = size < 0 ? NULL : malloc(sizeof(*packet) + (size_t)size);

	if (!packet || keeper->waiting + (size_t)size > WAITING_MAX) {
		free(packet);
		keeper_replace(engine, "it does not read its messages");
		return;
	}
	packet->next = NULL;
	packet->size = (size_t)size;
	memcpy(packet->bytes, bytes, (size_t)size);
	*keeper->last = packet;
	keeper->last = &packet->next;
	keeper->waiting += (size_t)size;
}

void keeper_send(struct engine *engine, const struct msg *msg)
{
	struct keeper *keeper = &engine->keeper;
	int error;

	if (keeper->link < 0)
		return;
	if (!keeper->first) {
		error = msg_send(keeper->link, msg);
		/* A closed link is seen by the loop; it ends this life there. */
		if (error == 0 || error == ERR_CLOSED)
			return;
		if (error != ERR_BUSY) {
			keeper_replace(engine, "a message cannot be sent to it");
			return;
		}
	}
	keep_packet(engine, msg);
}

void keeper_flush(struct engine *engine)
{
	struct keeper *keeper = &engine->keeper;

	while (keeper->first) {
		struct packet *packet = keeper->first;

		if (send(keeper->link, packet->bytes, packet->size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != EINTR)
				drop_waiting(keeper);
			return;
		}
		keeper->first = packet->next;
		if (!keeper->first)
			keeper->last = &keeper->first;
		keeper->waiting -= packet->size;
		free_packet(packet);
	}
}

bool keeper_is_congested(const struct engine *engine)
{
	return engine->keeper.waiting > CONGESTED;
}

static void close_link(struct engine *engine)
{
	struct keeper *keeper = &engine->keeper;

	drop_waiting(keeper);
	if (keeper->link >= 0)
		close(keeper->link);
	keeper->link = -1;
	keeper->hello = false;
}

void keeper_end_link(struct engine *engine)
{
	close_link(engine);
	engine->keeper.kill_ms = clock_running_ms() + KEEPER_END_WAIT_MS;
}

void keeper_replace(struct engine *engine, const char *why)
{
	struct keeper *keeper = &engine->keeper;

	if (keeper->pid == 0 || keeper->link < 0)
		return;
	log_error("the front (%d) is replaced: %s", (int)keeper->pid, why);
	keeper->replaced = true;
	close_link(engine);
	kill(keeper->pid, SIGKILL);
}

/* Are there ten deaths within the last minute, this one included? */
static bool dies_too_often(struct keeper *keeper, int64_t now)
{
	int64_t tenth_last;

	keeper->deaths_ms[keeper->death_count++ % KEEPER_DEATHS] = now;
	tenth_last = keeper->deaths_ms[keeper->death_count % KEEPER_DEATHS];
	return keeper->death_count >= KEEPER_DEATHS && now - tenth_last < MINUTE_MS;
}

static void give_up(struct engine *engine, const char *why)
{
	log_error("%s: dbsnapd ends", why);
	engine->failed = engine->stopping = true;
}

static void plan_restart(struct engine *engine, int status)
{
	struct keeper *keeper = &engine->keeper;
	int64_t now = clock_running_ms();

	/* It has said why; what stands in the way of a first start stands there the next time too. */
	if (!keeper->greeted && !keeper->replaced && WIFEXITED(status)) {
		give_up(engine, "the front could not start");
		return;
	}
	if (dies_too_often(keeper, now)) {
		give_up(engine, "the front has died 10 times in a minute");
		return;
	}
	if (now - keeper->started_ms >= MINUTE_MS)
		keeper->pause_ms = PAUSE_FIRST_MS;
	keeper->restart_ms = now + keeper->pause_ms;
	log_error("the front ended (%s %d); another is started in %d ms",
		  WIFSIGNALED(status) ? "signal" : "status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (int)keeper->pause_ms);
	keeper->pause_ms = keeper->pause_ms * 2 < PAUSE_LAST_MS ? keeper->pause_ms * 2 : PAUSE_LAST_MS;
}

void keeper_reap(struct engine *engine)
{
	struct keeper *keeper = &engine->keeper;
	int status;

	if (keeper->pid == 0 || waitpid(keeper->pid, &status, WNOHANG) != keeper->pid)
		return;
	keeper->pid = 0;
	close_link(engine);
	if (!engine->stopping)
		plan_restart(engine, status);
}

void keeper_check_time(struct engine *engine, int64_t now_ms)
{
	struct keeper *keeper = &engine->keeper;

	if (keeper->kill_ms && keeper->pid && now_ms >= keeper->kill_ms) {
		log_warning("the front (%d) does not end by itself: killed", (int)keeper->pid);
		kill(keeper->pid, SIGKILL);
		keeper->kill_ms = 0;
	}
	if (engine->stopping)
		return;
	if (keeper->pid && !keeper->hello && now_ms - keeper->started_ms >= HELLO_WAIT_MS)
		keeper_replace(engine, "it has not said hello in a minute");
	if (!keeper->restart_ms || now_ms < keeper->restart_ms)
		return;
	keeper->restart_ms = 0;
	if (keeper_start(engine) < 0) {
		log_error("cannot start the front: %s", strerror(errno));
		keeper->restart_ms = now_ms + PAUSE_LAST_MS;
	}
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t keeper_next_time(const struct engine *engine)
{
	const struct keeper *keeper = &engine->keeper;
	int64_t next = INT64_MAX;

	if (keeper->kill_ms && keeper->pid)
		next = keeper->kill_ms;
	if (engine->stopping)
		return next;
	if (keeper->restart_ms)
		next = least(next, keeper->restart_ms);
	if (keeper->pid && !keeper->hello && keeper->link >= 0)
		next = least(next, keeper->started_ms + HELLO_WAIT_MS);
	return next;
}

void keeper_free(struct keeper *keeper)
{
	drop_waiting(keeper);
	if (keeper->link >= 0)
		close(keeper->link);
	keeper->link = -1;
}
