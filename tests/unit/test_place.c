/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A snapshot_dir: when one is made, whose it is, and what may be told about a name in it. */
#include "daemon/engine/place.h"

#include "common/err.h"
#include "daemon/engine/step.h"
#include "tests/unit/cmocka_all.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	char top[64];
	struct conf_cluster cluster;
	struct worker_job job;
	struct place place;
	struct reason why;
};

static void path_in(const struct fixture *f, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", f->top, name);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->top, sizeof(f->top), "%s", "/var/tmp/test-place.XXXXXX");
	if (!mkdtemp(f->top) || chmod(f->top, 0755) < 0)
		return -1;
	snprintf(f->cluster.id, sizeof(f->cluster.id), "%s", "c1");
	path_in(f, "data", f->cluster.data_dir, sizeof(f->cluster.data_dir));
	path_in(f, "snap/c1", f->cluster.snapshot_dir, sizeof(f->cluster.snapshot_dir));
	if (mkdir(f->cluster.data_dir, 0700) < 0)
		return -1;
	proc_identity_self(&f->cluster.identity);
	f->cluster.identity_known = true;
	f->job.cluster = &f->cluster;
	f->job.data_fd = f->job.lock_fd = -1;
	snprintf(f->job.order.cluster, sizeof(f->job.order.cluster), "%s", "c1");
	nonce_make(&f->job.install);
	f->place = PLACE_NONE;
	if (job_open_source(&f->job, &f->why) < 0)
		return -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	place_close(&f->place);
	close(f->job.data_fd);
	snprintf(command, sizeof(command), "%s", f->top);
	if (fork() == 0) {
		execlp("rm", "rm", "-rf", "--one-file-system", command, (char *)NULL);
		_exit(1);
	}
	wait(NULL);
	free(f);
	return 0;
}

static enum msg_place open_again(struct fixture *f, enum place_lock lock, bool create)
{
	place_close(&f->place);
	memset(&f->why, 0, sizeof(f->why));
	place_open(&f->job, lock, create, &f->place, &f->why);
	return f->place.state;
}

static bool exists(const struct fixture *f, const char *name)
{
	char path[128];

	path_in(f, name, path, sizeof(path));
	return access(path, F_OK) == 0;
}

static void make_folder(const struct fixture *f, const char *name, mode_t mode)
{
	char path[128];

	path_in(f, name, path, sizeof(path));
	assert_int_equal(mkdir(path, mode), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void is_made_only_without_records(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char path[128];

	f->job.records = 1;
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_OFFLINE);
	assert_int_equal(f->why.code, ERR_OFFLINE);
	assert_false(exists(f, "snap"));
	f->job.records = 0;
	assert_int_equal(open_again(f, PLACE_SHARED, false), PLACE_OFFLINE);
	assert_false(exists(f, "snap"));
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	path_in(f, "snap/c1", path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, PLACE_DIR_MODE);
	f->job.records = 1;
	assert_int_equal(open_again(f, PLACE_SHARED, false), PLACE_ONLINE);
	assert_string_equal(f->place.marker.cluster, "c1");
}

static void a_lost_marker_is_offline(void **state)
{
	struct fixture *f = *state;
	char path[128];

	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	path_in(f, "snap/c1/marker.json", path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	f->job.records = 1;
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_OFFLINE);
	assert_false(exists(f, "snap/c1/marker.json"));
}

static void strangers_files_refuse(void **state)
{
	struct fixture *f = *state;

	make_folder(f, "snap", 0755);
	make_folder(f, "snap/c1", 0711);
	make_folder(f, "snap/c1/theirs", 0755);
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
	assert_int_equal(f->why.code, ERR_FOREIGN);
	assert_false(exists(f, "snap/c1/marker.json"));
}

static void another_install_or_cluster_refuses(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	snprintf(f->cluster.id, sizeof(f->cluster.id), "%s", "c2");
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
	assert_non_null(strstr(f->why.cause, "c1"));
	snprintf(f->cluster.id, sizeof(f->cluster.id), "%s", "c1");
	nonce_make(&f->job.install);
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
	assert_int_equal(f->why.code, ERR_FOREIGN);
	assert_true(f->why.remedy[0]);
}

static void writable_by_others_refuses(void **state)
{
	static const char *const folders[] = {"snap", "snap/c1"};
	struct fixture *f = *state;
	char path[128];

	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	for (int i = 0; i < 2; i++) {
		path_in(f, folders[i], path, sizeof(path));
		assert_int_equal(chmod(path, 0777), 0);
		assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
		assert_int_equal(f->why.code, ERR_UNTRUSTED);
		assert_int_equal(chmod(path, 0711), 0);
	}
	path_in(f, "snap", path, sizeof(path));
	assert_int_equal(chmod(path, 01777), 0);
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
}

static void anothers_folder_refuses(void **state)
{
	struct fixture *f = *state;
	char path[128];

	if (geteuid() != 0)
		skip();
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	path_in(f, "snap/c1", path, sizeof(path));
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
	/* The database's user may own what is above, not the place itself. */
	f->job.identity.uid = 12345;
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
	assert_int_equal(chown(path, 0, 0), 0);
	path_in(f, "snap", path, sizeof(path));
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	f->job.identity.uid = 0;
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
}

static void links_refuse(void **state)
{
	struct fixture *f = *state;
	char path[128], target[128];

	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	path_in(f, "snap", path, sizeof(path));
	path_in(f, "real", target, sizeof(target));
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
	assert_int_equal(f->why.code, ERR_UNTRUSTED);
}

static void one_inside_the_other_refuses(void **state)
{
	struct fixture *f = *state;

	path_in(f, "data/snap", f->cluster.snapshot_dir, sizeof(f->cluster.snapshot_dir));
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
	assert_int_equal(f->why.code, ERR_LAYOUT);
	assert_false(exists(f, "data/snap"));
	snprintf(f->cluster.snapshot_dir, sizeof(f->cluster.snapshot_dir), "%s", f->top);
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_REFUSED);
	assert_int_equal(f->why.code, ERR_LAYOUT);
	assert_false(exists(f, "marker.json"));
}

/* Not NULL: what mkdirat() has made is at once replaced by this folder, as the owner of the one above can. */
static const char *put_instead;

int mkdirat(int dir_fd, const char *name, mode_t mode)
{
	static int (*real)(int dir_fd, const char *name, mode_t mode);
	const char *other = put_instead;

	if (!real)
		real = (int (*)(int, const char *, mode_t))dlsym(RTLD_NEXT, "mkdirat");
	if (real(dir_fd, name, mode) < 0)
		return -1;
	put_instead = NULL;
	return other ? renameat(AT_FDCWD, other, dir_fd, name) : 0;
}

static void another_folder_keeps_its_mode(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct stat st;

	make_folder(f, "secret", 0700);
	path_in(f, "secret", path, sizeof(path));
	put_instead = path;
	open_again(f, PLACE_SHARED, true);
	assert_null(put_instead);
	path_in(f, "snap", path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* Where a data_dir that is missing would lie, not where somebody's link would put it. */
static void a_link_leads_nobody_to_another_mount(void **state)
{
	struct fixture *f = *state;
	char link[96], path[MSG_PATH_SIZE], expected[MSG_PATH_SIZE];

	f->cluster.snapshot_dir[0] = '\0';
	close(f->job.data_fd);
	f->job.data_fd = -1;
	path_in(f, "missing/data", f->cluster.data_dir, sizeof(f->cluster.data_dir));
	assert_int_equal(place_find(&f->job, expected, &f->why), 0);
	path_in(f, "missing", link, sizeof(link));
	assert_int_equal(symlink("/proc", link), 0);
	assert_int_equal(place_find(&f->job, path, &f->why), 0);
	assert_string_equal(path, expected);
}

static void locks_exclude(void **state)
{
	struct fixture *f = *state;
	struct worker_job other = f->job;
	struct place place;

	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	assert_int_equal(place_open(&other, PLACE_SHARED, false, &place, &f->why), 0);
	place_close(&place);
	assert_int_equal(place_open(&other, PLACE_EXCLUSIVE, false, &place, &f->why), ERR_BUSY);
	assert_int_equal(place.state, PLACE_BUSY);
	place_close(&place);
	assert_int_equal(open_again(f, PLACE_EXCLUSIVE, false), PLACE_ONLINE);
	assert_int_equal(place_open(&other, PLACE_SHARED, false, &place, &f->why), ERR_BUSY);
	place_close(&place);
}

static void write_intent(struct fixture *f, const char *folder, const struct nonce *install, const struct nonce *nonce)
{
	struct intent intent = {.install = *install, .cluster = "c1", .backup = 7, .job = 7, .attempt = 1, .nonce = *nonce};
	int fd = place_open_dir(f->place.fd, folder, &f->why);
	char *text = intent_encode(&intent);

	assert_true(fd >= 0);
	assert_int_equal(place_write_file(fd, "intent", text, &f->why), 0);
	free(text);
	close(fd);
}

static enum place_thing look(struct fixture *f, const char *name, const struct nonce *nonce)
{
	struct place_look found;

	assert_int_equal(place_look_at(&f->job, &f->place, name, nonce, &found, NULL, &f->why), 0);
	return found.thing;
}

static void looks(void **state)
{
	struct fixture *f = *state;
	struct nonce mine, other;

	nonce_make(&mine);
	nonce_make(&other);
	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	assert_int_equal(look(f, ".7", &mine), THING_NONE);
	make_folder(f, "snap/c1/.7", 0700);
	assert_int_equal(look(f, ".7", &mine), THING_EMPTY);
	make_folder(f, "snap/c1/.7/data", 0700);
	assert_int_equal(look(f, ".7", &mine), THING_EMPTY);
	make_folder(f, "snap/c1/.7/data/x", 0700);
	assert_int_equal(look(f, ".7", &mine), THING_STRANGER);
	write_intent(f, ".7", &f->job.install, &mine);
	assert_int_equal(look(f, ".7", &mine), THING_OURS);
	assert_int_equal(look(f, ".7", NULL), THING_OURS);
	assert_int_equal(look(f, ".7", &other), THING_OTHER);
	write_intent(f, ".7", &other, &mine);
	assert_int_equal(look(f, ".7", &mine), THING_OTHER);
	make_folder(f, "snap/c1/8", 0777);
	write_intent(f, "8", &f->job.install, &mine);
	assert_int_equal(look(f, "8", &mine), THING_STRANGER); /* others could have written that */
	assert_int_equal(symlinkat(".7", f->place.fd, "9"), 0);
	assert_int_equal(look(f, "9", &mine), THING_STRANGER);
}

static void reads_only_trusted_files(void **state)
{
	struct fixture *f = *state;
	char *text = NULL;
	size_t size;

	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	assert_int_equal(place_read_file(f->place.fd, "none", &text, &size), ERR_NOT_FOUND);
	assert_int_equal(symlinkat("marker.json", f->place.fd, "link"), 0);
	assert_int_equal(place_read_file(f->place.fd, "link", &text, &size), ERR_CORRUPT);
	assert_int_equal(mkfifoat(f->place.fd, "fifo", 0600), 0);
	assert_int_equal(place_read_file(f->place.fd, "fifo", &text, &size), ERR_CORRUPT);
	assert_int_equal(fchmodat(f->place.fd, "marker.json", 0666, 0), 0);
	assert_int_equal(place_read_file(f->place.fd, "marker.json", &text, &size), ERR_CORRUPT);
	assert_null(text);
}

/* Stands before the C library's: fails with EIO when so many calls have gone well. */
static int good_readdirs = -1;

struct dirent *readdir(DIR *dir)
{
	static struct dirent *(*real)(DIR *dir);

	if (!real)
		real = (struct dirent * (*)(DIR *)) dlsym(RTLD_NEXT, sizeof(off_t) > sizeof(long) ? "readdir64" : "readdir");
	if (good_readdirs == 0) {
		errno = EIO;
		return NULL;
	}
	good_readdirs -= good_readdirs > 0;
	return real(dir);
}

/* Probes, readdir() failing after so many calls. The place's state; *ret_items: how many were told. */
static enum msg_place probe(struct fixture *f, int readdirs, uint32_t *ret_items)
{
	struct msg msg;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	f->job.link = pair[1];
	good_readdirs = readdirs;
	step_probe(&f->job, false);
	good_readdirs = -1;
	*ret_items = 0;
	while (msg_receive(pair[0], MSG_DONTWAIT, &msg) == 0 && msg.type == MSG_PROBED_ITEM)
		++*ret_items;
	assert_int_equal(msg.type, MSG_PROBED);
	close(pair[0]);
	close(pair[1]);
	return msg.u.probed.place;
}

/* Of what a listing that broke off did not name nobody may say that it is gone. */
static void a_listing_that_breaks_off_is_offline(void **state)
{
	struct fixture *f = *state;
	enum { ENTRIES = 2 + 1 + 1 + 3 }; /* dots, marker, clones, folders */
	uint32_t items;

	assert_int_equal(open_again(f, PLACE_SHARED, true), PLACE_ONLINE);
	make_folder(f, "snap/c1/clones", 0711);
	for (int i = 7; i <= 9; i++) {
		char name[32];

		snprintf(name, sizeof(name), "snap/c1/%d", i);
		make_folder(f, name, 0700);
	}
	assert_int_equal(probe(f, -1, &items), PLACE_ONLINE);
	assert_int_equal(items, 3);
	assert_int_equal(probe(f, ENTRIES, &items), PLACE_OFFLINE); /* instead of the end */
	assert_int_equal(probe(f, 0, &items), PLACE_OFFLINE);
	assert_int_equal(items, 0);
}

static void names(void **state)
{
	char name[PLACE_ID_SIZE];

	(void)state;
	place_name(PLACE_WHOLE, 7, name);
	assert_string_equal(name, "7");
	place_name(PLACE_MAKING, INT64_MAX, name);
	assert_string_equal(name, ".9223372036854775807");
	place_name(PLACE_GOING, INT64_MAX, name);
	assert_string_equal(name, ".del-9223372036854775807");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_made_only_without_records),
		TEST(a_lost_marker_is_offline),
		TEST(strangers_files_refuse),
		TEST(another_install_or_cluster_refuses),
		TEST(writable_by_others_refuses),
		TEST(anothers_folder_refuses),
		TEST(links_refuse),
		TEST(one_inside_the_other_refuses),
		TEST(another_folder_keeps_its_mode),
		TEST(a_link_leads_nobody_to_another_mount),
		TEST(locks_exclude),
		TEST(looks),
		TEST(reads_only_trusted_files),
		TEST(a_listing_that_breaks_off_is_offline),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
