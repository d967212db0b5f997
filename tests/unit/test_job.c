/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every pair of the tables, every boundary of the retry policy. */
#include "daemon/front/job.h"

#include "tests/unit/cmocka_all.h"

#include <string.h>

/* The arrows of design.md, written down a second time; all other pairs lead nowhere. */
struct arrow {
	int from, event, to;
};

static const struct arrow backup_arrows[] = {
	{BACKUP_PENDING, BACKUP_EVENT_START, BACKUP_RUNNING},
	{BACKUP_PENDING, BACKUP_EVENT_CANCEL, BACKUP_CANCELLED},
	{BACKUP_RUNNING, BACKUP_EVENT_AGAIN, BACKUP_PENDING},
	{BACKUP_RUNNING, BACKUP_EVENT_COMPLETE, BACKUP_AVAILABLE},
	{BACKUP_RUNNING, BACKUP_EVENT_FAIL, BACKUP_FAILED},
	{BACKUP_RUNNING, BACKUP_EVENT_CANCEL, BACKUP_CANCELLED},
	{BACKUP_AVAILABLE, BACKUP_EVENT_LOSE, BACKUP_LOST},
	{BACKUP_LOST, BACKUP_EVENT_FIND, BACKUP_AVAILABLE},
	{BACKUP_AVAILABLE, BACKUP_EVENT_DELETE, BACKUP_DELETING},
	{BACKUP_FAILED, BACKUP_EVENT_DELETE, BACKUP_DELETING},
	{BACKUP_CANCELLED, BACKUP_EVENT_DELETE, BACKUP_DELETING},
	{BACKUP_LOST, BACKUP_EVENT_DELETE, BACKUP_DELETING},
	{BACKUP_DELETING, BACKUP_EVENT_DELETED, BACKUP_DELETED},
};

static const struct arrow clone_arrows[] = {
	{CLONE_CREATING, CLONE_EVENT_COMPLETE, CLONE_AVAILABLE},
	{CLONE_CREATING, CLONE_EVENT_FAIL, CLONE_FAILED},
	{CLONE_AVAILABLE, CLONE_EVENT_DELETE, CLONE_DELETING},
	{CLONE_FAILED, CLONE_EVENT_DELETE, CLONE_DELETING},
	{CLONE_DELETING, CLONE_EVENT_DELETED, CLONE_DELETED},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int expected(const struct arrow *arrows, size_t count, int from, int event)
{
	for (size_t i = 0; i < count; i++) {
		if (arrows[i].from == from && arrows[i].event == event)
			return arrows[i].to;
	}
	return 0;
}

static void backup_every_pair(void **state)
{
	(void)state;
	for (int from = -1; from <= BACKUP_STATES; from++) {
		for (int event = -1; event <= BACKUP_EVENTS; event++)
			assert_int_equal(backup_next(from, event),
					 expected(backup_arrows, COUNT(backup_arrows), from, event));
	}
}

static void clone_every_pair(void **state)
{
	(void)state;
	for (int from = -1; from <= CLONE_STATES; from++) {
		for (int event = -1; event <= CLONE_EVENTS; event++)
			assert_int_equal(clone_next(from, event),
					 expected(clone_arrows, COUNT(clone_arrows), from, event));
	}
}

/* Rows: from; columns: to; N P R A F C L D X = none, pending ... deleted. */
static const char *const committable[BACKUP_STATES] = {
	/*                     NPRAFCLDX */
	[BACKUP_NONE] =       "---------",
	[BACKUP_PENDING] =    "-y-yyy---",
	[BACKUP_RUNNING] =    "---------",
	[BACKUP_AVAILABLE] =  "---y--yy-",
	[BACKUP_FAILED] =     "----y--y-",
	[BACKUP_CANCELLED] =  "-----y-y-",
	[BACKUP_LOST] =       "---y--yy-",
	[BACKUP_DELETING] =   "-------yy",
	[BACKUP_DELETED] =    "--------y",
};

static void backup_commits_every_pair(void **state)
{
	(void)state;
	for (int from = 0; from < BACKUP_STATES; from++) {
		for (int to = 0; to < BACKUP_STATES; to++)
			assert_int_equal(backup_committable(from, to), committable[from][to] == 'y');
		assert_false(backup_committable(from, -1));
		assert_false(backup_committable(from, BACKUP_STATES));
		assert_false(backup_committable(-1, from));
		assert_false(backup_committable(BACKUP_STATES, from));
	}
	assert_false(backup_committable(BACKUP_STATES, BACKUP_STATES));
	assert_false(backup_committable(-1, -1));
}

static void clone_commits_every_pair(void **state)
{
	(void)state;
	for (int from = -1; from <= CLONE_STATES; from++) {
		for (int to = -1; to <= CLONE_STATES; to++) {
			bool want = from == to && from >= CLONE_CREATING && from <= CLONE_DELETED;

			for (size_t i = 0; i < COUNT(clone_arrows); i++)
				want = want || (clone_arrows[i].from == from && clone_arrows[i].to == to);
			assert_int_equal(clone_committable(from, to), want);
		}
	}
}

static void groups_and_kinds_of_states(void **state)
{
	static const struct {
		int state, group;
		bool final, retained;
	} rows[] = {
		{BACKUP_NONE, 0, false, false},
		{BACKUP_PENDING, BACKUP_GROUP_RUNNING, false, true},
		{BACKUP_RUNNING, BACKUP_GROUP_RUNNING, false, true},
		{BACKUP_AVAILABLE, BACKUP_GROUP_SUCCESS, true, true},
		{BACKUP_FAILED, BACKUP_GROUP_FAILED, true, false},
		{BACKUP_CANCELLED, BACKUP_GROUP_FAILED, true, false},
		{BACKUP_LOST, BACKUP_GROUP_FAILED, true, false},
		{BACKUP_DELETING, BACKUP_GROUP_GONE, false, false},
		{BACKUP_DELETED, BACKUP_GROUP_GONE, false, false},
		{BACKUP_STATES, 0, false, false},
		{-1, 0, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(backup_group(rows[i].state), rows[i].group);
		assert_int_equal(backup_is_final(rows[i].state), rows[i].final);
		assert_int_equal(backup_is_retained(rows[i].state), rows[i].retained);
	}
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(backup_state_name(BACKUP_PENDING), "PENDING");
	assert_string_equal(backup_state_name(BACKUP_DELETED), "DELETED");
	assert_string_equal(clone_state_name(CLONE_CREATING), "CREATING");
	assert_string_equal(job_state_name(JOB_OPEN), "OPEN");
	assert_string_equal(job_kind_name(JOB_KIND_DELETE_CLONE), "DELETE_CLONE");
	for (int i = 1; i < BACKUP_STATES; i++)
		assert_string_not_equal(backup_state_name(i), "?");
	for (int i = 1; i < CLONE_STATES; i++)
		assert_string_not_equal(clone_state_name(i), "?");
	for (int i = 1; i < JOB_STATES; i++)
		assert_string_not_equal(job_state_name(i), "?");
	for (int i = 1; i < JOB_KINDS; i++)
		assert_string_not_equal(job_kind_name(i), "?");
	assert_string_equal(backup_state_name(0), "?");
	assert_string_equal(backup_state_name(BACKUP_STATES), "?");
	assert_string_equal(clone_state_name(-1), "?");
	assert_string_equal(job_state_name(JOB_STATES), "?");
	assert_string_equal(job_kind_name(JOB_KINDS), "?");
}

static void failures_three_in_all(void **state)
{
	static const int kinds[] = {JOB_KIND_CREATE, JOB_KIND_CLONE, JOB_KIND_VERIFY, JOB_KIND_RESTORE};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		assert_int_equal(job_pause_after_failure(kinds[i], 1), 100);
		assert_int_equal(job_pause_after_failure(kinds[i], 2), 1000);
		assert_int_equal(job_pause_after_failure(kinds[i], 3), -1);
		assert_int_equal(job_pause_after_failure(kinds[i], UINT32_MAX), -1);
	}
}

static void removals_for_ever(void **state)
{
	static const int kinds[] = {JOB_KIND_DELETE, JOB_KIND_DELETE_CLONE, JOB_KIND_DELETE_QUARANTINED};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		assert_int_equal(job_pause_after_failure(kinds[i], 1), 100);
		assert_int_equal(job_pause_after_failure(kinds[i], 2), 200);
		assert_int_equal(job_pause_after_failure(kinds[i], 3), 400);
		assert_int_equal(job_pause_after_failure(kinds[i], 12), 204800);
		assert_int_equal(job_pause_after_failure(kinds[i], 13), 300000);
		assert_int_equal(job_pause_after_failure(kinds[i], UINT32_MAX), 300000);
		assert_int_equal(job_pause_after_cutoff(kinds[i], 21), 0);
		assert_int_equal(job_pause_after_cutoff(kinds[i], UINT32_MAX), 0);
	}
}

static void cutoffs_twenty_in_a_row(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 20; n++)
		assert_int_equal(job_pause_after_cutoff(JOB_KIND_CREATE, n), 0);
	assert_int_equal(job_pause_after_cutoff(JOB_KIND_CREATE, 21), -1);
	assert_int_equal(job_pause_after_cutoff(JOB_KIND_CLONE, UINT32_MAX), -1);
}

static void pins_and_removals(void **state)
{
	static const struct {
		int kind;
		bool removal, pins, may_fail;
	} rows[] = {
		{0, false, false, true},
		{JOB_KIND_CREATE, false, false, true},
		{JOB_KIND_DELETE, true, false, false},
		{JOB_KIND_CLONE, false, true, true},
		{JOB_KIND_DELETE_CLONE, true, false, false},
		{JOB_KIND_VERIFY, false, true, true},
		{JOB_KIND_RESTORE, false, true, true},
		{JOB_KIND_DELETE_QUARANTINED, true, false, true},
		{JOB_KINDS, false, false, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(job_is_removal(rows[i].kind), rows[i].removal);
		assert_int_equal(job_pins_backup(rows[i].kind), rows[i].pins);
		assert_int_equal(job_may_fail(rows[i].kind), rows[i].may_fail);
	}
}

int main(void)
{
	const struct CMUnitTest job[] = {
		cmocka_unit_test(backup_every_pair),
		cmocka_unit_test(clone_every_pair),
		cmocka_unit_test(backup_commits_every_pair),
		cmocka_unit_test(clone_commits_every_pair),
		cmocka_unit_test(groups_and_kinds_of_states),
		cmocka_unit_test(names),
		cmocka_unit_test(failures_three_in_all),
		cmocka_unit_test(removals_for_ever),
		cmocka_unit_test(cutoffs_twenty_in_a_row),
		cmocka_unit_test(pins_and_removals),
	};

	return cmocka_run_group_tests(job, NULL, NULL);
}
