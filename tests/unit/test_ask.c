/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/ask.h"

#include "common/err.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct ask_answer facts_answer = {
	.type = ASK_FACTS,
	.facts = {.version = 150018,
		  .version_text = "15.18",
		  .system_identifier = 7,
		  .fsync = true,
		  .wal_level = ASK_WAL_LOGICAL,
		  .wal_segment_size = 16 << 20,
		  .port = 5432,
		  .data_directory = "/srv/pg",
		  .may_start = true,
		  .sources = "/srv/pg/a\n/srv/pg/b\n"},
	.tablespaces = {.count = 2, .items = {{16385, "/srv/fast"}, {16386, "/srv/slow"}}},
};

static void test_worked_examples(void **state)
{
	static const uint8_t question[] = {0, 3, 0, 0, 0, 0, 0, 0, 0, 7};
	static const uint8_t answer[] = {0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0x48};
	struct ask_question asked = {.type = ASK_FLUSH, .backup = 7};
	struct ask_answer answered = {.type = ASK_FLUSH, .lsn = 0x3000148}, back;
	uint8_t bytes[64];

	(void)state;
	assert_int_equal(ask_encode_question(&asked, bytes, sizeof(bytes)), sizeof(question));
	assert_memory_equal(bytes, question, sizeof(question));
	assert_int_equal(ask_encode_answer(&answered, bytes, sizeof(bytes)), sizeof(answer));
	assert_memory_equal(bytes, answer, sizeof(answer));
	assert_int_equal(ask_decode_answer(bytes, sizeof(answer), &back), 0);
	assert_int_equal(back.lsn, 0x3000148);
}

static void test_questions_come_back(void **state)
{
	struct ask_question asked = {.type = ASK_CONNECT, .conninfo = "host=/tmp", .timeout_ms = 9}, back;
	uint8_t bytes[128];
	int size = ask_encode_question(&asked, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(ask_decode_question(bytes, (size_t)size, &back), 0);
	assert_string_equal(back.conninfo, asked.conninfo);
	assert_int_equal(back.timeout_ms, 9);
	for (int cut = 0; cut < size; cut++)
		assert_int_equal(ask_decode_question(bytes, (size_t)cut, &back), ERR_INVALID);
	bytes[1] = ASK_SOCKET;
	assert_int_equal(ask_decode_question(bytes, (size_t)size, &back), ERR_INVALID);
}

static void test_start_and_stop_come_back(void **state)
{
	struct ask_question start = {.type = ASK_START, .job = 9, .backup = 7, .timeout_ms = 5}, back;
	struct ask_question stop = {.type = ASK_STOP, .timeout_ms = 6};
	uint8_t bytes[64];
	int size = ask_encode_question(&start, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(ask_decode_question(bytes, (size_t)size, &back), 0);
	assert_memory_equal(&back, &start, sizeof(back));
	for (int cut = 0; cut < size; cut++)
		assert_int_equal(ask_decode_question(bytes, (size_t)cut, &back), ERR_INVALID);
	size = ask_encode_question(&stop, bytes, sizeof(bytes));
	assert_int_equal(ask_decode_question(bytes, (size_t)size, &back), 0);
	assert_memory_equal(&back, &stop, sizeof(back));
}

static void test_mariadb_comes_back(void **state)
{
	static const struct ask_answer facts = {
		.type = ASK_MY_FACTS,
		.my = {.version = "10.11.19-MariaDB", .data_dir = "/d/", .data_files = "ibdata1:12M:autoextend",
		       .redo_dir = "./", .binlog = "/d/b", .myisam_recover = "OFF", .page_size = 16384, .lsn = UINT64_C(1) << 40,
		       .log_bin = true, .may_position = true, .may_watch = true},
	};
	static const struct ask_answer locked = {
		.type = ASK_MY_LOCK, .my_position = {.gtid = "0-1-7", .file = "b.000001", .offset = 328, .held_us = 9}};
	const struct ask_answer *const all[] = {&facts, &locked};
	const struct ask_question lock = {.type = ASK_MY_LOCK, .timeout_ms = 5000};
	static struct ask_answer back;
	struct ask_question asked;
	static uint8_t bytes[ASK_PACKET_MAX];
	int size = ask_encode_question(&lock, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(ask_decode_question(bytes, (size_t)size, &asked), 0);
	assert_memory_equal(&asked, &lock, sizeof(asked));
	for (size_t i = 0; i < 2; i++) {
		size = ask_encode_answer(all[i], bytes, sizeof(bytes));
		assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), 0);
		assert_memory_equal(&back, all[i], sizeof(back));
		for (int cut = 0; cut < size; cut++)
			assert_int_equal(ask_decode_answer(bytes, (size_t)cut, &back), ERR_INVALID);
	}
}

static void test_started_comes_back(void **state)
{
	static const struct ask_answer started = {.type = ASK_START, .lsn = 0x2000028, .text = "no slot"};
	struct ask_answer back;
	uint8_t bytes[ASK_PACKET_MAX];
	int size = ask_encode_answer(&started, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), 0);
	assert_memory_equal(&back, &started, sizeof(back));
	bytes[size - 1] = 2;
	assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), ERR_INVALID);
}

/* As long as anything may be: it still fits a packet, and the packet a socket. */
static struct ask_answer *largest_stop(void)
{
	static struct ask_answer answer;

	answer = (struct ask_answer){.type = ASK_STOP, .lsn = UINT64_MAX};
	memset(answer.text, 'x', sizeof(answer.text) - 1);
	memset(answer.label, 'x', sizeof(answer.label) - 1);
	memset(answer.map, '\n', sizeof(answer.map) - 1);
	answer.tablespaces.count = ASK_TABLESPACES_MAX + 1;
	for (uint32_t i = 0; i < ASK_TABLESPACES_MAX; i++) {
		answer.tablespaces.items[i].oid = i + 1;
		memset(answer.tablespaces.items[i].location, '/', ASK_PATH_SIZE - 1);
	}
	return &answer;
}

static void test_largest_answer_passes(void **state)
{
	const struct ask_answer *answer = largest_stop();
	static struct ask_answer back;
	int pair[2], passed;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(ask_send_answer(pair[0], answer, -1), 0);
	assert_int_equal(ask_receive_answer(pair[1], &back, &passed), 0);
	assert_memory_equal(&back, answer, sizeof(back));
	close(pair[0]);
	close(pair[1]);
}

static void refuse_stop(const struct ask_answer *answer)
{
	static struct ask_answer back;
	static uint8_t bytes[ASK_PACKET_MAX];
	int size = ask_encode_answer(answer, bytes, sizeof(bytes));

	assert_true(size > 0);
	assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), ERR_INVALID);
}

static void test_stop_is_judged(void **state)
{
	struct ask_answer *answer = largest_stop();

	(void)state;
	answer->label[9] = '\r';
	refuse_stop(answer);
	answer = largest_stop();
	answer->map[9] = '\x1b';
	refuse_stop(answer);
	answer = largest_stop();
	answer->tablespaces.items[1].oid = 1;
	refuse_stop(answer);
	answer = largest_stop();
	answer->tablespaces.items[0].oid = 0;
	refuse_stop(answer);
	answer = largest_stop();
	answer->tablespaces.items[9].location[0] = '\0';
	refuse_stop(answer);
	answer = largest_stop();
	answer->tablespaces.items[9].location[1] = '\n';
	refuse_stop(answer);
}

static void test_facts_come_back(void **state)
{
	struct ask_answer back;
	uint8_t bytes[ASK_PACKET_MAX];
	int size = ask_encode_answer(&facts_answer, bytes, sizeof(bytes));

	(void)state;
	assert_true(size > 0);
	assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), 0);
	assert_memory_equal(&back, &facts_answer, sizeof(back));
	for (int cut = 0; cut < size; cut++)
		assert_int_equal(ask_decode_answer(bytes, (size_t)cut, &back), ERR_INVALID);
	assert_int_equal(ask_decode_answer(bytes, (size_t)size + 1, &back), ERR_INVALID);
}

static void refuse_facts(void (*spoil)(struct ask_facts *facts))
{
	struct ask_answer answer = facts_answer, back;
	uint8_t bytes[ASK_PACKET_MAX];
	int size;

	spoil(&answer.facts);
	size = ask_encode_answer(&answer, bytes, sizeof(bytes));
	assert_true(size > 0);
	assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), ERR_INVALID);
}

static void spoil_segment(struct ask_facts *facts)
{
	facts->wal_segment_size = 3 << 20;
}

static void spoil_port(struct ask_facts *facts)
{
	facts->port = 65536;
}

static void spoil_level(struct ask_facts *facts)
{
	facts->wal_level = ASK_WAL_LEVEL_MAX + 1;
}

static void spoil_path(struct ask_facts *facts)
{
	snprintf(facts->data_directory, sizeof(facts->data_directory), "%s", "/srv\n/pg");
}

static void spoil_lines(struct ask_facts *facts)
{
	snprintf(facts->sources, sizeof(facts->sources), "%s", "/srv\x1b[31m");
}

static void test_facts_are_judged(void **state)
{
	(void)state;
	refuse_facts(spoil_segment);
	refuse_facts(spoil_port);
	refuse_facts(spoil_level);
	refuse_facts(spoil_path);
	refuse_facts(spoil_lines);
}

static void test_answers_over_their_bounds(void **state)
{
	struct ask_answer answer = {.type = ASK_CONNECT, .outcome = ASK_OUTCOME_MAX + 1}, back;
	uint8_t bytes[ASK_PACKET_MAX];
	int size = ask_encode_answer(&answer, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), ERR_INVALID);
	bytes[2] = ASK_FAILED;
	assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), 0);
	bytes[1] = ASK_TYPE_MAX + 1;
	assert_int_equal(ask_decode_answer(bytes, (size_t)size, &back), ERR_INVALID);
}

static void test_descriptor_is_passed(void **state)
{
	struct ask_answer answer = {.type = ASK_SOCKET}, back;
	int pair[2], pipe_fds[2], passed = -1;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(ask_send_answer(pair[0], &answer, pipe_fds[1]), 0);
	assert_int_equal(ask_receive_answer(pair[1], &back, &passed), 0);
	assert_true(passed >= 0);
	assert_int_equal(write(passed, "x", 1), 1);
	close(passed);
	assert_int_equal(ask_send_answer(pair[0], &answer, -1), 0);
	assert_int_equal(ask_receive_answer(pair[1], &back, &passed), 0);
	assert_int_equal(passed, -1);
	close(pair[0]);
	assert_int_equal(ask_receive_answer(pair[1], &back, &passed), ERR_CLOSED);
	close(pair[1]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* The lowest number that is free: what leaked would have it. */
static int lowest_free(void)
{
	int fd = dup(STDIN_FILENO);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

/* A good answer, and with it count times the descriptor fd. */
static void send_with(int link, int fd, size_t count)
{
	struct ask_answer answer = {.type = ASK_SOCKET};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	uint8_t bytes[ASK_PACKET_MAX];
	int size = ask_encode_answer(&answer, bytes, sizeof(bytes));
	struct iovec part = {.iov_base = bytes, .iov_len = (size_t)size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
				 .msg_controllen = CMSG_LEN(count * sizeof(int))};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &fd, sizeof(int));
	assert_int_equal(sendmsg(link, &message, 0), size);
}

static void test_more_descriptors_are_refused_and_closed(void **state)
{
	int pair[2], passed = -1, free_before;
	struct ask_answer back;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	free_before = lowest_free();
	for (size_t count = 2; count <= 8; count++) {
		send_with(pair[0], pair[0], count);
		assert_int_equal(ask_receive_answer(pair[1], &back, &passed), ERR_INVALID);
		assert_int_equal(passed, -1);
		assert_int_equal(lowest_free(), free_before);
	}
	close(pair[0]);
	close(pair[1]);
}

static void test_lsn(void **state)
{
	static const char *const bad[] = {"", "/", "0", "0/", "/0", "0/0 ", " 0/0", "g/0", "0/a", "123456789/0",
					  "0/123456789", "0/0/0", "-1/0"};
	char text[ASK_LSN_SIZE];
	uint64_t lsn = 1;

	(void)state;
	assert_int_equal(ask_parse_lsn("16/B374D848", &lsn), 0);
	assert_int_equal(lsn, 0x16B374D848);
	ask_format_lsn(lsn, text);
	assert_string_equal(text, "16/B374D848");
	assert_int_equal(ask_parse_lsn("FFFFFFFF/FFFFFFFF", &lsn), 0);
	ask_format_lsn(lsn, text);
	assert_string_equal(text, "FFFFFFFF/FFFFFFFF");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ask_parse_lsn(bad[i], &lsn), ERR_INVALID);
	assert_int_equal(lsn, UINT64_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worked_examples),
		cmocka_unit_test(test_questions_come_back),
		cmocka_unit_test(test_start_and_stop_come_back),
		cmocka_unit_test(test_started_comes_back),
		cmocka_unit_test(test_mariadb_comes_back),
		cmocka_unit_test(test_largest_answer_passes),
		cmocka_unit_test(test_stop_is_judged),
		cmocka_unit_test(test_facts_come_back),
		cmocka_unit_test(test_facts_are_judged),
		cmocka_unit_test(test_answers_over_their_bounds),
		cmocka_unit_test(test_descriptor_is_passed),
		cmocka_unit_test(test_more_descriptors_are_refused_and_closed),
		cmocka_unit_test(test_lsn),
	};

	return cmocka_run_group_tests_name("ask", tests, NULL, NULL);
}
