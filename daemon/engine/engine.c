/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Start, loop, end. One poll over the signals, the front and the workers, with
 * the nearest deadline as its timeout: an idle engine is never woken but by its watchdog.
 */
#include "daemon/engine/engine.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/engine/dispatch.h"
#include "daemon/engine/freeze.h"
#include "daemon/engine/hold.h"
#include "daemon/engine/sandbox.h"
#include "daemon/engine/statedir.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRONT_USER "dbsnap"

const struct conf_cluster *engine_find_cluster(const struct engine *engine, const char *cluster)
{
	const struct conf_cluster *found = conf_find_cluster(engine->conf, cluster);

	return found ? found : notes_find_retired(engine, cluster);
}

static bool has_job(void *arg, const char *cluster)
{
	return worker_has_job(arg, cluster);
}

static int load_next(struct engine *engine, struct conf **ret_conf)
{
	struct conf_errors errors = {0};
	struct conf *next = NULL;
	char why[512];
	int error = conf_load(engine->conf_path, &errors, &next);

	for (size_t i = 0; i < errors.count; i++)
		log_error("%s", errors.lines[i]);
	conf_errors_clear(&errors);
	if (error == 0 && conf_reload_refusal(engine->conf, next, has_job, engine, why, sizeof(why)) < 0) {
		log_error("%s", why);
		error = ERR_STATE;
	}
	if (error < 0)
		conf_free(next);
	else
		*ret_conf = next;
	return error;
}

static void log_warnings(const struct conf *conf)
{
	for (size_t i = 0; i < conf->warnings.count; i++)
		log_warning("%s", conf->warnings.lines[i]);
}

static void ping_front(struct engine *engine)
{
	struct msg ping = {.type = MSG_PING};

	ping.u.ping.number = ++engine->keeper.pinged;
	keeper_send(engine, &ping);
}

/*
 * Ready again: what was asked for is in force for whoever comes now. The front has it when it answers what was sent after it; one
 * that is yet to begin or to recover gets it first.
 */
static void end_reload(struct engine *engine, bool taken)
{
	if (!taken && engine->reload_ping)
		return;
	if (!taken || engine->keeper.link < 0) {
		notify_ready();
		return;
	}
	ping_front(engine);
	engine->reload_ping = engine->keeper.pinged;
}

/* A server that stands still does not wait for files on whatever disk, nor for a name service that may be its own client. */
static void reload_if_due(struct engine *engine)
{
	struct conf *next;
	bool taken = false;

	if (!engine->reload_due || hold_is_any(engine))
		return;
	engine->reload_due = false;
	if (engine->stopping)
		return;
	notify_reloading();
	if (load_next(engine, &next) < 0) {
		log_error("the configuration is not reloaded: the one before stays in force");
	} else {
		conf_free(engine->conf);
		engine->conf = next;
		engine->generation++;
		notes_update(engine);
		engine_send_config(engine);
		taken = true;
		log_warnings(next);
		log_notice("configuration reloaded, %zu clusters", next->cluster_count);
	}
	if (engine->ready)
		end_reload(engine, taken);
}

static void begin_stop(struct engine *engine)
{
	struct msg stop = {.type = MSG_STOP};

	if (engine->stopping) {
		log_warning("told to stop once more: running jobs are ended");
		worker_kill_all(engine);
		return;
	}
	engine->stopping = true;
	notify_stopping();
	log_notice("stopping; %u workers are running", worker_count_living(engine));
	worker_end_servers(engine);
	keeper_send(engine, &stop);
}

static void take_signals(struct engine *engine)
{
	struct signalfd_siginfo info;

	while (read(engine->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			worker_reap_all(engine);
			keeper_reap(engine);
			break;
		case SIGHUP:
			engine->reload_due = true;
			break;
		default:
			begin_stop(engine);
		}
	}
}

static void take_front(struct engine *engine)
{
	struct keeper *keeper = &engine->keeper;
	struct msg msg;
	int error = 0;

	/* Not more than a few at a time, so that workers and signals get their turn. */
	for (int i = 0; i < 64 && error == 0 && keeper->link >= 0; i++) {
		error = msg_receive(keeper->link, MSG_DONTWAIT, &msg);
		if (error == 0)
			error = dispatch_message(engine, &msg);
	}
	if (error == ERR_CLOSED)
		keeper_end_link(engine);
	else if (error < 0 && error != ERR_BUSY)
		keeper_replace(engine, "it sent what no front that works would send");
}

/* A sign of life for systemd: the loop has come here, and the front has answered the last ping. */
static void check_watchdog(struct engine *engine, int64_t now)
{
	struct notify *notify = &engine->notify;
	struct keeper *keeper = &engine->keeper;

	if (!notify->interval_ms || now < notify->next_ms)
		return;
	notify->next_ms = now + notify->interval_ms;
	if (keeper->hello && keeper->pinged != keeper->ponged)
		return;
	notify_alive(notify);
	if (keeper->hello)
		ping_front(engine);
}

/* At a stop, when the last worker is gone: the end of its link is the front's end. */
static void check_stop(struct engine *engine)
{
	const struct keeper *keeper = &engine->keeper;

	if (engine->stopping && worker_count_living(engine) == 0 && !keeper->first && keeper->link >= 0)
		keeper_end_link(engine);
}

static bool is_over(const struct engine *engine)
{
	return engine->stopping && worker_count_living(engine) == 0 && engine->keeper.pid == 0;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int timeout_of(const struct engine *engine)
{
	int64_t next = least(worker_next_deadline(engine), keeper_next_time(engine));
	int64_t left;

	if (engine->notify.interval_ms)
		next = least(next, engine->notify.next_ms);
	left = least(next == INT64_MAX ? next : next - clock_running_ms(), hold_next_ms(engine));
	if (left == INT64_MAX)
		return -1;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

struct watch {
	struct pollfd fds[WORKERS_MAX + 2];
	struct worker *workers[WORKERS_MAX + 2]; /* beside its descriptor */
	nfds_t count;
};

static void add(struct watch *watch, int fd, short events, struct worker *w)
{
	watch->fds[watch->count] = (struct pollfd){.fd = fd, .events = events};
	watch->workers[watch->count++] = w;
}

static void fill(const struct engine *engine, struct watch *watch)
{
	const struct keeper *keeper = &engine->keeper;

	watch->count = 0;
	add(watch, engine->signal_fd, POLLIN, NULL);
	add(watch, keeper->link, (short)(POLLIN | (keeper->first ? POLLOUT : 0)), NULL); /* -1 is passed over */
	for (struct worker *w = engine->workers; w; w = w->next)
		add(watch, worker_is_heard(engine, w) ? w->link : -1, POLLIN, w);
}

/* Something came from the front or a worker. */
static bool has_news(const struct watch *watch)
{
	for (nfds_t i = 1; i < watch->count; i++) {
		if (watch->fds[i].revents & POLLIN)
			return true;
	}
	return false;
}

/* Also what a daemon has left that was started with the sockets in another order. */
static void thaw_all(const struct engine *engine)
{
	for (size_t i = 0; i < engine->listens.count; i++)
		freeze_thaw_all(engine->listens.at[i].path);
}

static void turn(struct engine *engine, struct watch *watch)
{
	int64_t now;

	fill(engine, watch);
	if (poll(watch->fds, watch->count, timeout_of(engine)) < 0 && errno != EINTR) {
		/* Without it nothing can be watched any more: the kernel ends front and workers with us. */
		log_error("poll: %s", strerror(errno));
		thaw_all(engine);
		exit(EXIT_FAILURE);
	}
	if (!engine->ready && has_news(watch))
		notify_extend(&engine->notify);
	/* Workers first: reaping, which frees them, comes with the signals. */
	for (nfds_t i = 2; i < watch->count; i++) {
		if (watch->fds[i].revents)
			worker_receive(engine, watch->workers[i]);
	}
	if (watch->fds[1].revents & POLLOUT)
		keeper_flush(engine);
	if (watch->fds[1].revents & (POLLIN | POLLHUP | POLLERR))
		take_front(engine);
	if (watch->fds[0].revents)
		take_signals(engine);
	hold_check_time(engine);
	reload_if_due(engine);
	now = clock_running_ms();
	worker_check_deadlines(engine, now);
	keeper_check_time(engine, now);
	check_watchdog(engine, now);
	check_stop(engine);
}

static int open_signals(struct engine *engine)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_from_errno(errno);
	signal(SIGPIPE, SIG_IGN);
	engine->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return engine->signal_fd < 0 ? err_from_errno(errno) : 0;
}

/* Who the front becomes. */
static int find_front_user(bool as_root, struct proc_identity *ret_identity)
{
	int error;

	if (!as_root) {
		proc_identity_self(ret_identity);
		return 0;
	}
	error = proc_identity_of(FRONT_USER, ret_identity);
	if (error == ERR_NOT_FOUND)
		log_error("there is no user " FRONT_USER "; make it with: useradd --system --user-group "
			  "--no-create-home --home-dir / --shell /usr/sbin/nologin " FRONT_USER);
	else if (error < 0)
		log_error("the user " FRONT_USER " cannot be looked up: %s", err_text(error));
	return error;
}

static int check_programs(const char *libexec_dir)
{
	char path[CONF_PATH_SIZE + 32];

	snprintf(path, sizeof(path), "%s/dbsnapd-front", libexec_dir);
	if (access(path, X_OK) == 0)
		return 0;
	log_error("cannot run %s: %s; install dbsnap whole, or name its folder with --libexec-dir", path,
		  strerror(errno));
	return err_from_errno(errno);
}

static int open_all(struct engine *engine)
{
	struct proc_identity front;
	int error = find_front_user(engine->as_root, &front);

	if (error == 0)
		error = check_programs(engine->libexec_dir);
	if (error == 0)
		error = sandbox_engine();
	if (error == 0)
		error = listens_open(engine->conf, &engine->listens);
	/* Nobody else serves these sockets. Whatever fails from here on, or hangs, no server waits for it. */
	if (error == 0)
		thaw_all(engine);
	/* After what another daemon, or a wrong path, makes fail: that start leaves no new folder behind. */
	if (error == 0)
		error = statedir_prepare(engine->conf, &front);
	if (error == 0)
		error = notes_open(engine);
	if (error == 0)
		error = open_signals(engine);
	if (error < 0)
		return error;
	log_warnings(engine->conf);
	notes_update(engine);
	keeper_init(&engine->keeper, &front);
	notify_init(&engine->notify);
	return keeper_start(engine);
}

static void close_all(struct engine *engine)
{
	keeper_free(&engine->keeper);
	listens_close(&engine->listens);
	records_clear(engine);
	notes_close(engine);
	conf_free(engine->conf);
	if (engine->signal_fd >= 0)
		close(engine->signal_fd);
}

/* Also when a front is given up: workers still finish. */
static void run(struct engine *engine, struct watch *watch)
{
	while (!is_over(engine))
		turn(engine, watch);
	log_notice("ended");
}

int engine_run(struct conf *conf, const char *conf_path, const char *libexec_dir)
{
	struct engine engine = {
		.conf = conf, .conf_path = conf_path, .libexec_dir = libexec_dir, .generation = 1,
		.as_root = geteuid() == 0, .signal_fd = -1, .keeper = {.link = -1},
		.notes = {.fd = -1},
	};
	struct watch *watch = calloc(1, sizeof(*watch));

	engine.failed = !watch || open_all(&engine) < 0;
	if (!engine.failed)
		run(&engine, watch);
	free(watch);
	close_all(&engine);
	return engine.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
