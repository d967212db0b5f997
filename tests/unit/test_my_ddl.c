/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server's log of what happened to tables, and the image that mariadb-backup 10.11.19 made meanwhile: both as they were seen. */
#include "daemon/engine/my_ddl.h"

#include "common/err.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

enum { FILES = 8, TABLES = 40000 };

#define AT "2026-11-28 15:54:00\t"
#define DROP_D AT "DROP\tMyISAM\t0\tshop\td\tid1\t\t0\t\t\t\n"
#define CREATE_D AT "CREATE\tMyISAM\t0\tshop\td\tid2\t\t0\t\t\t\n"
#define RENAME(from, to, engine) AT "RENAME\t" engine "\t0\tshop\t" from "\tid1\t" engine "\t0\tshop\t" to "\tid1\n"
#define ALTER_D(from, to) AT "ALTER\t" from "\t0\tshop\td\tid1\t" to "\t0\tshop\td\tid2\n"

static const struct {
	const char *log;
	const char *image[FILES]; /* in it */
	const char *word;         /* of the cause; NULL: it is trusted */
} cases[] = {
	{"", {NULL}, NULL},
	{CREATE_D, {"d.frm", "d.MYI", "d.MYD"}, NULL},
	{CREATE_D, {"d.frm", "d.MYI"}, "shop/d"},
	{CREATE_D, {"d.MYI", "d.MYD"}, "shop/d"},
	/* It has copied the second d, and removed it for the first one. */
	{DROP_D CREATE_D, {NULL}, "shop/d"},
	{DROP_D CREATE_D, {"d.frm", "d.MYI", "d.MYD"}, NULL},
	{DROP_D CREATE_D DROP_D, {NULL}, NULL},
	{DROP_D, {NULL}, NULL},
	{DROP_D AT "CREATE\tInnoDB\t0\tshop\td\tid2\t\t0\t\t\t\n", {"d.ibd"}, "shop/d"},
	{DROP_D AT "CREATE\tInnoDB\t0\tshop\td\tid2\t\t0\t\t\t\n", {"d.frm", "d.ibd"}, NULL},
	{DROP_D AT "CREATE\tVIEW\t0\tshop\td\t\t\t0\t\t\t\n", {NULL}, "shop/d"},
	{DROP_D AT "CREATE\tVIEW\t0\tshop\td\t\t\t0\t\t\t\n", {"d.frm"}, NULL},
	{DROP_D RENAME("n", "d", "InnoDB"), {"d.ibd"}, "shop/d"},
	{ALTER_D("MyISAM", "InnoDB"), {"d.frm", "d.ibd"}, NULL},
	{ALTER_D("MyISAM", "InnoDB") ALTER_D("InnoDB", "MyISAM"), {"d.frm"}, "shop/d"},
	{ALTER_D("MyISAM", "MyISAM"), {"d.frm", "d.MYI", "d.MYD"}, NULL},
	{ALTER_D("InnoDB", "Aria"), {"d.frm", "d.MYI", "d.MYD"}, "shop/d"},
	{ALTER_D("InnoDB", "Aria"), {"d.frm", "d.MAI", "d.MAD"}, NULL},
	/* Rows go by names, and all files are there. */
	{RENAME("a", "t", "MyISAM") RENAME("b", "a", "MyISAM") RENAME("t", "b", "MyISAM"),
	 {"a.frm", "a.MYI", "a.MYD", "b.frm", "b.MYI", "b.MYD"},
	 "shop/a"},
	{RENAME("a", "t", "InnoDB") RENAME("b", "a", "InnoDB") RENAME("t", "b", "InnoDB"), {"a.frm", "b.frm"}, NULL},
	{RENAME("d", "r", "MyISAM") CREATE_D DROP_D, {"r.frm", "r.MYI", "r.MYD"}, "shop/d"},
	{RENAME("d", "r", "MyISAM"), {"r.frm", "r.MYI", "r.MYD"}, NULL},
	{RENAME("d", "old", "MyISAM") RENAME("n", "d", "InnoDB") AT "DROP\tMyISAM\t0\tshop\told\tid1\t\t0\t\t\t\n",
	 {"d.frm", "d.ibd"},
	 NULL},
	/* Which partitions there are is not looked at. */
	{AT "CREATE\tMyISAM\t1\tshop\tp\tid2\t\t0\t\t\t\n", {"p.frm", "p.par"}, NULL},
	{AT "DROP\tMyISAM\t1\tshop\tp\tid1\t\t0\t\t\t\n" AT "CREATE\tMyISAM\t1\tshop\tp\tid2\t\t0\t\t\t\n",
	 {"p.frm", "p.par"},
	 "shop/p"},
	{AT "EXCHANGE_PARTITION\tMyISAM\t0\tshop\tp\tid1\tMyISAM\t0\tshop\tx\tid2\n" AT "optimize\tMyISAM\t0\tshop\tp\tid1\t\t0\t\t\t\n",
	 {"p.frm", "p.MYI", "p.MYD", "x.frm", "x.MYI", "x.MYD"},
	 NULL},
	{AT "DROP\tDATABASE\t0\tshop\t\t\t\t0\t\t\t\n", {NULL}, NULL},
	{AT "DROP\tDATABASE\t0\tshop\t\t\t\t0\t\t\t\n" AT "CREATE\tDATABASE\t0\tshop\t\t\t\t0\t\t\t\n", {"db.opt"}, "database"},
	{AT "DROP\tDATABASE\t0\tshop\t\t\t\t0\t\t\t\n" CREATE_D, {"d.frm", "d.MYI", "d.MYD"}, "shop/d"},
	{AT "CREATE\tCSV\t0\tshop\ta-b $\tid1\t\t0\t\t\t\n", {"a@002db@0020@0024.frm", "a@002db@0020@0024.CSM", "a@002db@0020@0024.CSV"}, NULL},
	{AT "CREATE\tARCHIVE\t0\tshop\tm\xc3\xbcll\tid1\t\t0\t\t\t\n", {NULL}, NULL},
	{AT "DROP\tARCHIVE\t0\tshop\tm\xc3\xbcll\tid1\t\t0\t\t\t\n" AT "CREATE\tARCHIVE\t0\tshop\tm\xc3\xbcll\tid2\t\t0\t\t\t\n", {NULL}, "not ASCII"},
	{"nothing of the kind\n", {NULL}, "ddl.log"},
	{AT "DROP\tMyISAM\t0\tshop\n", {NULL}, "ddl.log"},
};

/* Where the server's files and the image's are. */
struct sides {
	int data, image;
};

static struct sides make_sides(const struct folder *folder)
{
	struct sides sides;

	mkdirat(folder->fd, "data", 0700);
	mkdirat(folder->fd, "image", 0700);
	mkdirat(folder->fd, "data/shop", 0700);
	mkdirat(folder->fd, "image/shop", 0700);
	sides.data = openat(folder->fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sides.image = openat(folder->fd, "image", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(sides.data >= 0 && sides.image >= 0);
	return sides;
}

static void close_sides(const struct sides *sides)
{
	close(sides->data);
	close(sides->image);
}

/* What it says of them. "": it trusts the image. */
static const char *judge(const struct sides *sides, struct reason *why)
{
	int error;

	*why = (struct reason){0};
	error = my_ddl_judge(sides->data, sides->image, why);
	assert_int_equal(error, why->code);
	assert_true(error <= 0);
	return why->cause;
}

static void test_log(void **state)
{
	const struct folder *folder = *state;
	struct sides sides = make_sides(folder);
	struct reason why;
	char path[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		folder_write(folder, "data/ddl.log", cases[i].log);
		for (size_t n = 0; n < FILES && cases[i].image[n]; n++) {
			snprintf(path, sizeof(path), "image/shop/%s", cases[i].image[n]);
			folder_write(folder, path, "");
		}
		judge(&sides, &why);
		if (cases[i].word ? !why.retry || !strstr(why.cause, cases[i].word) : why.code != 0)
			fail_msg("case %zu: %s", i, why.cause);
		for (size_t n = 0; n < FILES && cases[i].image[n]; n++) {
			snprintf(path, sizeof(path), "image/shop/%s", cases[i].image[n]);
			unlinkat(folder->fd, path, 0);
		}
	}
	close_sides(&sides);
}

static void test_no_log(void **state)
{
	struct sides sides = make_sides(*state);
	struct reason why;

	assert_string_equal(judge(&sides, &why), "");
	/* One that leads elsewhere, or hangs, is the server's no more. */
	assert_int_equal(symlinkat("/dev/null", sides.data, "ddl.log"), 0);
	assert_non_null(strstr(judge(&sides, &why), "ddl.log"));
	close_sides(&sides);
}

static void test_line_without_end(void **state)
{
	struct sides sides = make_sides(*state);
	char line[10000];
	struct reason why;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	folder_write(*state, "data/ddl.log", line);
	assert_non_null(strstr(judge(&sides, &why), "ddl.log"));
	close_sides(&sides);
}

/* TRUNCATE TABLE is in no log. */
static void test_emptied(void **state)
{
	struct sides sides = make_sides(*state);
	struct reason why;

	why = (struct reason){0};
	folder_write(*state, "image/shop/d.MYD", "two rows");
	assert_int_equal(my_ddl_find_emptied(sides.data, sides.image, &why), 0);
	folder_write(*state, "data/shop/d.MYD", "two rows, three");
	assert_int_equal(my_ddl_find_emptied(sides.data, sides.image, &why), 0);
	folder_write(*state, "data/shop/d.MYD", "");
	assert_int_equal(my_ddl_find_emptied(sides.data, sides.image, &why), ERR_DATABASE);
	assert_non_null(strstr(why.cause, "emptied"));
	assert_true(why.retry);
	close_sides(&sides);
}

/* Many tables are no reason to be slow, and there is an end. */
static void test_many(void **state)
{
	struct sides sides = make_sides(*state);
	struct reason why;
	FILE *file;

	for (int many = 1; many <= 3; many += 2) {
		file = fdopen(openat(sides.data, "ddl.log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "w");
		assert_non_null(file);
		for (int i = 0; i < many * TABLES; i++)
			fprintf(file, AT "DROP\tMyISAM\t0\tshop\tt%d\tid\t\t0\t\t\t\n", i);
		fclose(file);
		judge(&sides, &why);
		assert_true(many == 1 ? why.code == 0 : strstr(why.cause, "100000") != NULL);
	}
	close_sides(&sides);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_log, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_no_log, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_line_without_end, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_emptied, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_many, folder_make, folder_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
