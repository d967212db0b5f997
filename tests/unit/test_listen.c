/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whoever owns the socket's folder can change names in it at any moment. */
#include "daemon/engine/listen.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
	char top[64];
	char victim[80]; /* a file of ours that nobody else may read */
	struct conf conf;
	struct conf_listen *own; /* the first of conf */
	struct listens listens;
};

/* Not NULL: bind()'s socket is replaced by a link to this as soon as it is there. */
static const char *link_to;

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	static int (*real)(int fd, const struct sockaddr *address, socklen_t size);
	const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;

	if (!real)
		real = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
	if (real(fd, address, size) < 0)
		return -1;
	if (link_to) {
		assert_int_equal(unlink(path), 0);
		assert_int_equal(symlink(link_to, path), 0);
	}
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	FILE *file;

	snprintf(f->top, sizeof(f->top), "%s", "/var/tmp/test-listen.XXXXXX");
	if (!mkdtemp(f->top))
		return -1;
	snprintf(f->victim, sizeof(f->victim), "%s/victim", f->top);
	file = fopen(f->victim, "w");
	if (!file || fclose(file) != 0 || chmod(f->victim, 0600) < 0)
		return -1;
	f->own = &f->conf.listens[0];
	snprintf(f->own->path, sizeof(f->own->path), "%s/s", f->top);
	f->conf.listen_count = 1;
	f->own->mode = 0666;
	f->own->gid = getegid();
	*state = f;
	return 0;
}

static void remove_locks(const struct fixture *f)
{
	char path[128];

	for (const char *name = "st"; *name; name++) {
		snprintf(path, sizeof(path), "%s/%c.lock", f->top, *name);
		unlink(path);
	}
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	link_to = NULL;
	listens_close(&f->listens);
	unlink(f->own->path);
	unlink(f->victim);
	remove_locks(f);
	rmdir(f->top);
	free(f);
	return 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static void binds_and_unlinks(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(listens_open(&f->conf, &f->listens), 0);
	assert_int_equal(mode_of(f->own->path), S_IFSOCK | 0666);
	listens_close(&f->listens);
	assert_int_equal(access(f->own->path, F_OK), -1);
}

/* What was bound before the one that fails is given back. */
static void binds_all_or_none(void **state)
{
	struct fixture *f = *state;
	struct conf_listen *second = &f->conf.listens[1];

	*second = *f->own;
	snprintf(second->path, sizeof(second->path), "%s/t", f->top);
	second->mode = 0600;
	f->conf.listen_count = 2;
	assert_int_equal(listens_open(&f->conf, &f->listens), 0);
	assert_int_equal(mode_of(f->own->path), S_IFSOCK | 0666);
	assert_int_equal(mode_of(second->path), S_IFSOCK | 0600);
	listens_close(&f->listens);
	assert_int_equal(access(f->own->path, F_OK), -1);
	assert_int_equal(access(second->path, F_OK), -1);
	memcpy(second->path, f->victim, sizeof(f->victim));
	assert_int_equal(listens_open(&f->conf, &f->listens), ERR_EXISTS);
	listens_close(&f->listens);
	assert_int_equal(access(f->own->path, F_OK), -1);
	assert_int_equal(mode_of(f->victim), S_IFREG | 0600);
}

static void gives_nobody_a_file_by_a_link(void **state)
{
	struct fixture *f = *state;

	link_to = f->victim;
	assert_true(listens_open(&f->conf, &f->listens) < 0);
	assert_int_equal(mode_of(f->victim), S_IFREG | 0600);
}

static void leaves_the_name_to_whoever_took_it(void **state)
{
	struct fixture *f = *state;
	struct listens other;

	assert_int_equal(listens_open(&f->conf, &f->listens), 0);
	assert_int_equal(unlink(f->own->path), 0);
	assert_int_equal(listens_open(&f->conf, &other), 0);
	listens_close(&f->listens);
	assert_int_equal(access(f->own->path, F_OK), 0);
	listens_close(&other);
	assert_int_equal(access(f->own->path, F_OK), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(binds_and_unlinks),
		TEST(binds_all_or_none),
		TEST(gives_nobody_a_file_by_a_link),
		TEST(leaves_the_name_to_whoever_took_it),
	};

	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
