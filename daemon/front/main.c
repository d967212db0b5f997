/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dbsnapd-front [LISTENERS [--test-clock]]: started by the engine, which has dropped its privileges, with
 * the link as descriptor 3, and so many listening sockets (1 if it is not said) from 4 on; a test's clock
 * follows them.
 * Everything that needs a path is opened first; then the sandbox closes; then
 * it recovers, and only then serves.
 */
#include "daemon/front/front.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/policy.h"
#include "common/proc.h"
#include "common/scope.h"
#include "daemon/front/clock_watch.h"
#include "daemon/front/http.h"
#include "daemon/front/intake.h"
#include "daemon/front/link.h"
#include "daemon/front/sandbox.h"
#include "daemon/front/sched.h"
#include "daemon/front/sched_auto.h"
#include "daemon/front/store.h"
#include "daemon/front/timer.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LINK_FD = 3, LISTEN_FD = 4, LOCK_WAIT_MS = 10000 };

struct process {
	struct front front;
	struct intake intake;
	struct clock_watch *watch; /* NULL: scripted */
	size_t listeners;          /* descriptors from LISTEN_FD on */
	bool scripted;             /* the descriptor after them is the clock */
	int64_t scripted_offset_ms; /* between the script's clocks, as last seen */
	int end; /* why the link ended */
};

/* ---- who this process is ---- */

static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return true;
	for (int i = 0; i < 2; i++) {
		if (data[i].effective || data[i].permitted || data[i].inheritable)
			return true;
	}
	return false;
}

/* The engine has done it; whoever else starts this program gets no further. */
static int check_self(void)
{
	struct proc_identity self;

	if (geteuid() == 0 || getuid() == 0) {
		log_error("refused: dbsnapd-front must not run as root; it is started by dbsnapd");
		return ERR_DENIED;
	}
	if (has_capabilities() || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
		log_error("refused: started with capabilities, or without no-new-privileges; it is started by dbsnapd");
		return ERR_DENIED;
	}
	proc_identity_self(&self);
	return proc_become(&self);
}

static bool is_socket(int fd, int type)
{
	int found = 0, domain = 0;
	socklen_t size = sizeof(found);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &found, &size) < 0 || found != type)
		return false;
	size = sizeof(domain);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

static int check_descriptors(const struct process *process)
{
	int clock = LISTEN_FD + (int)process->listeners;
	int last = process->scripted ? clock : clock - 1;
	int keep[FRONT_LISTENERS_MAX + 2];

	for (int fd = LINK_FD; fd <= last; fd++) {
		if (fd < clock && !is_socket(fd, fd == LINK_FD ? SOCK_SEQPACKET : SOCK_STREAM)) {
			log_error("refused: descriptor %d is not dbsnapd's socket; it is started by dbsnapd", fd);
			return ERR_INVALID;
		}
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		keep[fd - LINK_FD] = fd;
	}
	proc_close_all_but(keep, (size_t)(last - LINK_FD + 1));
	if (process->scripted && clock_follow(clock) < 0) {
		log_error("refused: descriptor %d is no clock", clock);
		return ERR_INVALID;
	}
	for (int fd = LISTEN_FD; fd < clock; fd++) {
		evutil_make_socket_nonblocking(fd);
		proc_refuse_descriptors(fd);
	}
	return 0;
}

/* As many connections as the limit above ours lets us have; the sandbox forbids to ask later. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- configuration ---- */

/* The engine says of each of our descriptors what it is for. */
static int apply(struct process *process)
{
	if (process->intake.listeners.count != process->listeners)
		return ERR_INVALID;
	return intake_apply(&process->intake, &process->front);
}

static int receive_configuration(struct process *process)
{
	bool complete = false;
	struct msg msg;

	while (!complete) {
		int r = link_wait(process->front.link, &msg);

		if (r == 0)
			r = intake_take(&process->intake, &msg, &complete);
		explicit_bzero(&msg, sizeof(msg)); /* a key's secret, perhaps */
		if (r < 0)
			return r;
	}
	return apply(process);
}

/* Without root everything is one user's; a root engine's front is never the engine's user. */
static int check_owner(const struct front *front)
{
	if (front->conf.daemon_uid == 0 || front->conf.daemon_uid == geteuid())
		return 0;
	log_error("refused: dbsnapd runs as uid %u without being root, and this is uid %u", front->conf.daemon_uid,
		  (unsigned)geteuid());
	return ERR_DENIED;
}

static int recount(struct front *front)
{
	struct store_report report = {0};
	int r = store_recount(front->store, (int)front->conf.utc_offset_min, &report);

	if (r < 0) {
		log_error("the catalogue in %s cannot be counted: %s", front->conf.state_dir, err_text(r));
		return r;
	}
	if (report.counts || report.days)
		log_warning("counts of %u clusters and %u days differed from the records, and were put right",
			    report.counts, report.days);
	return 0;
}

static void reload(struct process *process)
{
	struct front *front = &process->front;
	int64_t offset = front->conf.utc_offset_min;
	int r = apply(process);

	if (r < 0)
		front_die("a new configuration", r);
	intake_clear(&process->intake);
	if (recount(front) < 0)
		front_die("counting after a reload", ERR_CORRUPT);
	if (front->conf.utc_offset_min != offset)
		log_notice("days begin at another hour now: utc_offset is %lld minutes",
			   (long long)front->conf.utc_offset_min);
	http_limits_changed(front->http);
	sched_reconfigured(front->sched);
}

/* ---- messages and events ---- */

static void stop(struct front *front)
{
	sched_stop(front->sched);
	http_stop(front->http);
}

static void on_clock_set(void *arg)
{
	struct front *front = arg;

	timers_run(front->timers); /* the machine may have slept */
	sched_auto_clock_set(front->sched);
	sched_serve_changed(front->sched);
}

static void follow_script(struct process *process)
{
	int64_t offset_ms = clock_wall_ms() - clock_running_ms();

	timers_run(process->front.timers);
	if (offset_ms != process->scripted_offset_ms)
		on_clock_set(&process->front);
	process->scripted_offset_ms = offset_ms;
}

static int on_message(void *arg, const struct msg *msg)
{
	struct process *process = arg;
	bool complete;
	int r;

	switch (msg->type) {
	case MSG_CONFIG:
	case MSG_CONFIG_CLUSTER:
	case MSG_CONFIG_LISTENER:
	case MSG_CONFIG_KEY:
	case MSG_CONFIG_STATEMENT:
	case MSG_CONFIG_END:
		r = intake_take(&process->intake, msg, &complete);
		if (r == 0 && complete)
			reload(process);
		return r;
	case MSG_STOP:
		stop(&process->front);
		return 0;
	case MSG_CLOCK:
		if (!process->scripted)
			return ERR_INVALID;
		follow_script(process);
		return 0;
	default:
		return sched_take(process->front.sched, msg);
	}
}

static void on_end(void *arg, int code)
{
	struct process *process = arg;

	process->end = code;
	log_set_sink(NULL, NULL);
	sched_close(process->front.sched);
	event_base_loopbreak(process->front.base);
}

static void on_ready(void *arg)
{
	struct front *front = arg;
	struct msg msg = {.type = MSG_READY};

	link_send(front->link, &msg);
	http_serve(front->http);
}

/* ---- hello ---- */

struct hello {
	struct link *link;
	uint32_t clusters;
};

static int send_records(void *arg, const char *cluster, const struct record_counts *counts)
{
	struct hello *hello = arg;
	struct msg msg = {.type = MSG_RECORDS};

	snprintf(msg.u.records.cluster, sizeof(msg.u.records.cluster), "%s", cluster);
	msg.u.records.records = store_counts_records(counts);
	if (msg.u.records.records == 0)
		return 0;
	hello->clusters++;
	link_send(hello->link, &msg);
	return 0;
}

static int say_hello(struct front *front)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct hello hello = {.link = front->link};
	struct msg msg = {.type = MSG_HELLO};
	int r = store_read(front->store, &txn);

	if (r == 0)
		r = store_counts_each(txn, send_records, &hello);
	if (r < 0)
		return r;
	msg.u.hello.protocol = MSG_PROTOCOL;
	msg.u.hello.install = *store_install_id(front->store);
	msg.u.hello.clusters = hello.clusters;
	link_send(front->link, &msg);
	return 0;
}

/* ---- start ---- */

static int open_store(struct front *front)
{
	struct store_options options = {.dir = front->conf.state_dir, .map_size = front->conf.map_size,
					.lock_wait_ms = LOCK_WAIT_MS, .running_ms = clock_running_ms()};
	char why[STORE_WHY_SIZE];
	int r = store_open(&options, why, &front->store);

	if (r < 0)
		log_error("%s", why[0] ? why : err_text(r));
	if (r < 0)
		return r;
	r = replay_load(&front->replay);
	if (r < 0)
		log_error("the catalogue in %s cannot be read: %s", front->conf.state_dir, err_text(r));
	return r < 0 ? r : recount(front);
}

static int make_modules(struct process *process)
{
	struct front *front = &process->front;

	front->base = event_base_new();
	if (front->base)
		front->timers = timers_new(front->base, process->scripted);
	if (front->timers)
		front->sched = sched_new(front, on_ready, front);
	if (front->sched)
		front->http = http_new(front, LISTEN_FD, process->listeners);
	if (front->http && !process->scripted)
		process->watch = clock_watch_new(front->base, on_clock_set, front);
	if (!front->http || (!process->scripted && !process->watch)) {
		log_error("out of memory, or the catalogue cannot be read");
		return ERR_NOMEM;
	}
	return link_start(front->link, front->base, on_message, on_end, process);
}

static int start(struct process *process)
{
	struct front *front = &process->front;
	int r = receive_configuration(process);

	intake_clear(&process->intake);
	if (r < 0) {
		log_error("no configuration from the engine: %s", err_text(r));
		return r;
	}
	r = check_owner(front);
	if (r == 0)
		r = open_store(front);
	if (r == 0)
		r = make_modules(process);
	if (r < 0)
		return r;
	raise_descriptors();
	/* What libraries would look up later. */
	tzset();
	evutil_secure_rng_init();
	r = sandbox_enter();
	if (r < 0) {
		log_error("the seccomp filter could not be put on");
		return r;
	}
	log_set_sink(link_log, front->link);
	return say_hello(front);
}

static void stop_all(struct process *process)
{
	struct front *front = &process->front;

	log_set_sink(NULL, NULL);
	clock_watch_free(process->watch);
	http_free(front->http);
	sched_free(front->sched);
	timers_free(front->timers);
	store_close(front->store);
	link_free(front->link);
	cluster_table_free(front->clusters);
	policy_free(front->policy);
	sign_free(front->sign);
	intake_clear(&process->intake);
	if (front->base)
		event_base_free(front->base);
}

static int run(struct process *process)
{
	struct front *front = &process->front;
	int r;

	front->clusters = cluster_table_new();
	front->link = link_new(LINK_FD);
	front->replay.front = front;
	front->sign = sign_new(SIGN_NONCES, replay_accept, &front->replay);
	if (!front->clusters || !front->link || !front->sign)
		return ERR_NOMEM;
	front->started_ms = clock_wall_ms();
	front->started_running_ms = clock_running_ms();
	process->scripted_offset_ms = front->started_ms - front->started_running_ms;
	r = start(process);
	if (r < 0)
		return r;
	event_base_dispatch(front->base);
	if (process->end != ERR_CLOSED) {
		log_error("the link to the engine broke: %s", err_text(process->end));
		return process->end;
	}
	return 0;
}

/* False: started by hand. */
static bool read_arguments(struct process *process, int argc, char **argv)
{
	char *end = NULL;

	process->listeners = argc > 1 ? strtoul(argv[1], &end, 10) : 1;
	process->scripted = argc == 3 && strcmp(argv[2], "--test-clock") == 0;
	return (!end || *end == '\0') && process->listeners > 0 && process->listeners <= FRONT_LISTENERS_MAX &&
	       (argc <= 2 || process->scripted);
}

int main(int argc, char **argv)
{
	struct process process = {0};
	pid_t parent = getppid();
	int r;

	log_open("dbsnapd-front");
	if (!read_arguments(&process, argc, argv)) {
		fprintf(stderr, "dbsnapd-front is started by dbsnapd, never by hand\n");
		return 2;
	}
	/* The terminal's ^C is for the engine, which ends this process when it is done. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	r = check_self();
	if (r == 0) {
		proc_die_with(parent);
		r = check_descriptors(&process);
	}
	if (r == 0)
		r = run(&process);
	stop_all(&process);
	return r == 0 ? 0 : 1;
}
