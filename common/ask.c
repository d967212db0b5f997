/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions and answers between worker and helper. Neither end believes the other. */
#include "common/ask.h"

#include "common/cursor.h"
#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

bool ask_is_clean(const char *str, bool lines)
{
	for (; *str; str++) {
		unsigned char c = (unsigned char)*str;

		if ((c < 0x20 || c == 0x7f) && !(lines && c == '\n'))
			return false;
	}
	return true;
}

static void get_clean(struct reader *r, char *str, size_t size, bool lines)
{
	get_str(r, str, size);
	if (!ask_is_clean(str, lines))
		r->failed = true;
}

int ask_encode_question(const struct ask_question *question, void *bytes, size_t size)
{
	struct writer w;

	writer_init(&w, bytes, size);
	put_u16(&w, question->type);
	if (question->type == ASK_CONNECT) {
		put_str(&w, question->conninfo);
		put_u32(&w, question->timeout_ms);
	} else if (question->type == ASK_FLUSH) {
		put_u64(&w, question->backup);
	} else if (question->type == ASK_START) {
		put_u64(&w, question->job);
		put_u64(&w, question->backup);
		put_u32(&w, question->timeout_ms);
	} else if (question->type == ASK_STOP || question->type == ASK_MY_LOCK) {
		put_u32(&w, question->timeout_ms);
	}
	return writer_end(&w);
}

int ask_decode_question(const void *bytes, size_t size, struct ask_question *ret_question)
{
	struct ask_question question = {0};
	struct reader r;
	uint16_t type;
	int error;

	reader_init(&r, bytes, size);
	type = get_u16(&r);
	if (type < ASK_CONNECT || type > ASK_TYPE_MAX || type == ASK_SOCKET)
		return ERR_INVALID;
	question.type = (uint8_t)type;
	if (type == ASK_CONNECT) {
		get_clean(&r, question.conninfo, sizeof(question.conninfo), false);
		question.timeout_ms = get_u32(&r);
	} else if (type == ASK_FLUSH) {
		question.backup = get_u64(&r);
	} else if (type == ASK_START) {
		question.job = get_u64(&r);
		question.backup = get_u64(&r);
		question.timeout_ms = get_u32(&r);
	} else if (type == ASK_STOP || type == ASK_MY_LOCK) {
		question.timeout_ms = get_u32(&r);
	}
	error = reader_end(&r);
	if (error == 0)
		*ret_question = question;
	return error;
}

static void put_facts(struct writer *w, const struct ask_facts *facts)
{
	put_u32(w, facts->version);
	put_str(w, facts->version_text);
	put_u64(w, facts->system_identifier);
	put_u8(w, facts->in_recovery);
	put_u8(w, facts->fsync);
	put_u8(w, facts->full_page_writes);
	put_u8(w, facts->data_checksums);
	put_u8(w, facts->wal_level);
	put_u32(w, facts->wal_segment_size);
	put_u32(w, facts->port);
	put_u32(w, facts->max_replication_slots);
	put_u8(w, facts->may_start);
	put_u8(w, facts->may_stop);
	put_u8(w, facts->may_slot);
	put_str(w, facts->data_directory);
	put_str(w, facts->config_file);
	put_str(w, facts->hba_file);
	put_str(w, facts->ident_file);
	put_str(w, facts->preload);
	put_str(w, facts->sources);
}

/* A power of two from 1 MiB to 1 GiB, as every server has. */
static bool is_segment_size(uint32_t size)
{
	return size >= 1U << 20 && size <= 1U << 30 && (size & (size - 1)) == 0;
}

static void get_facts(struct reader *r, struct ask_facts *facts)
{
	facts->version = get_u32(r);
	get_clean(r, facts->version_text, sizeof(facts->version_text), false);
	facts->system_identifier = get_u64(r);
	facts->in_recovery = get_bool(r);
	facts->fsync = get_bool(r);
	facts->full_page_writes = get_bool(r);
	facts->data_checksums = get_bool(r);
	facts->wal_level = get_enum(r, ASK_WAL_LEVEL_MAX);
	facts->wal_segment_size = get_u32(r);
	facts->port = get_u32(r);
	facts->max_replication_slots = get_u32(r);
	facts->may_start = get_bool(r);
	facts->may_stop = get_bool(r);
	facts->may_slot = get_bool(r);
	get_clean(r, facts->data_directory, sizeof(facts->data_directory), false);
	get_clean(r, facts->config_file, sizeof(facts->config_file), false);
	get_clean(r, facts->hba_file, sizeof(facts->hba_file), false);
	get_clean(r, facts->ident_file, sizeof(facts->ident_file), false);
	get_clean(r, facts->preload, sizeof(facts->preload), false);
	get_clean(r, facts->sources, sizeof(facts->sources), true);
	if (!is_segment_size(facts->wal_segment_size) || facts->port == 0 || facts->port > 65535)
		r->failed = true;
}

static uint32_t listed(const struct ask_tablespaces *tablespaces)
{
	return tablespaces->count < ASK_TABLESPACES_MAX ? tablespaces->count : ASK_TABLESPACES_MAX;
}

static void put_tablespaces(struct writer *w, const struct ask_tablespaces *tablespaces)
{
	put_u32(w, tablespaces->count);
	for (uint32_t i = 0; i < listed(tablespaces); i++) {
		put_u32(w, tablespaces->items[i].oid);
		put_str(w, tablespaces->items[i].location);
	}
}

/* Each has a number of its own, rising: nothing of the list can be two things. */
static void get_tablespaces(struct reader *r, struct ask_tablespaces *tablespaces)
{
	uint32_t last = 0;

	tablespaces->count = get_u32(r);
	for (uint32_t i = 0; i < listed(tablespaces) && reader_state(r) == 0; i++) {
		struct ask_tablespace *item = &tablespaces->items[i];

		item->oid = get_u32(r);
		get_clean(r, item->location, sizeof(item->location), false);
		if (item->oid <= last || item->location[0] == '\0')
			r->failed = true;
		last = item->oid;
	}
}

static void put_my_facts(struct writer *w, const struct ask_my_facts *my)
{
	put_str(w, my->version);
	put_str(w, my->data_dir);
	put_str(w, my->home_dir);
	put_str(w, my->data_files);
	put_str(w, my->redo_dir);
	put_str(w, my->undo_dir);
	put_str(w, my->aria_dir);
	put_str(w, my->binlog);
	put_str(w, my->binlog_index);
	put_str(w, my->myisam_recover);
	put_str(w, my->aria_recover);
	put_str(w, my->encryption);
	put_u32(w, my->flush_log_at_commit);
	put_u32(w, my->page_size);
	put_u32(w, my->aria_block_size);
	put_u32(w, my->lower_case_names);
	put_u64(w, my->lsn);
	put_u8(w, my->log_bin);
	put_u8(w, my->doublewrite);
	put_u8(w, my->wsrep);
	put_u8(w, my->may_lock);
	put_u8(w, my->may_position);
	put_u8(w, my->may_watch);
}

static void get_my_facts(struct reader *r, struct ask_my_facts *my)
{
	get_clean(r, my->version, sizeof(my->version), false);
	get_clean(r, my->data_dir, sizeof(my->data_dir), false);
	get_clean(r, my->home_dir, sizeof(my->home_dir), false);
	get_clean(r, my->data_files, sizeof(my->data_files), false);
	get_clean(r, my->redo_dir, sizeof(my->redo_dir), false);
	get_clean(r, my->undo_dir, sizeof(my->undo_dir), false);
	get_clean(r, my->aria_dir, sizeof(my->aria_dir), false);
	get_clean(r, my->binlog, sizeof(my->binlog), false);
	get_clean(r, my->binlog_index, sizeof(my->binlog_index), false);
	get_clean(r, my->myisam_recover, sizeof(my->myisam_recover), false);
	get_clean(r, my->aria_recover, sizeof(my->aria_recover), false);
	get_clean(r, my->encryption, sizeof(my->encryption), false);
	my->flush_log_at_commit = get_u32(r);
	my->page_size = get_u32(r);
	my->aria_block_size = get_u32(r);
	my->lower_case_names = get_u32(r);
	my->lsn = get_u64(r);
	my->log_bin = get_bool(r);
	my->doublewrite = get_bool(r);
	my->wsrep = get_bool(r);
	my->may_lock = get_bool(r);
	my->may_position = get_bool(r);
	my->may_watch = get_bool(r);
}

static void put_my_position(struct writer *w, const struct ask_my_position *position)
{
	put_str(w, position->gtid);
	put_str(w, position->file);
	put_u64(w, position->offset);
	put_u64(w, position->held_us);
}

static void get_my_position(struct reader *r, struct ask_my_position *position)
{
	get_clean(r, position->gtid, sizeof(position->gtid), false);
	get_clean(r, position->file, sizeof(position->file), false);
	position->offset = get_u64(r);
	position->held_us = get_u64(r);
}

static void put_done(struct writer *w, const struct ask_answer *answer)
{
	if (answer->type == ASK_FACTS) {
		put_facts(w, &answer->facts);
		put_tablespaces(w, &answer->tablespaces);
	} else if (answer->type == ASK_FLUSH) {
		put_u64(w, answer->lsn);
	} else if (answer->type == ASK_START) {
		put_u64(w, answer->lsn);
		put_u8(w, answer->slot);
	} else if (answer->type == ASK_STOP) {
		put_u64(w, answer->lsn);
		put_str(w, answer->label);
		put_str(w, answer->map);
		put_tablespaces(w, &answer->tablespaces);
	} else if (answer->type == ASK_MY_FACTS) {
		put_my_facts(w, &answer->my);
	} else if (answer->type == ASK_MY_LOCK) {
		put_my_position(w, &answer->my_position);
	}
}

static void get_done(struct reader *r, struct ask_answer *answer)
{
	if (answer->type == ASK_FACTS) {
		get_facts(r, &answer->facts);
		get_tablespaces(r, &answer->tablespaces);
	} else if (answer->type == ASK_FLUSH) {
		answer->lsn = get_u64(r);
	} else if (answer->type == ASK_START) {
		answer->lsn = get_u64(r);
		answer->slot = get_bool(r);
	} else if (answer->type == ASK_STOP) {
		answer->lsn = get_u64(r);
		get_clean(r, answer->label, sizeof(answer->label), true);
		get_clean(r, answer->map, sizeof(answer->map), true);
		get_tablespaces(r, &answer->tablespaces);
	} else if (answer->type == ASK_MY_FACTS) {
		get_my_facts(r, &answer->my);
	} else if (answer->type == ASK_MY_LOCK) {
		get_my_position(r, &answer->my_position);
	}
}

int ask_encode_answer(const struct ask_answer *answer, void *bytes, size_t size)
{
	struct writer w;

	writer_init(&w, bytes, size);
	put_u16(&w, answer->type);
	put_u8(&w, answer->outcome);
	put_str(&w, answer->sqlstate);
	put_str(&w, answer->text);
	if (answer->outcome == ASK_DONE)
		put_done(&w, answer);
	return writer_end(&w);
}

int ask_decode_answer(const void *bytes, size_t size, struct ask_answer *ret_answer)
{
	struct ask_answer answer = {0};
	struct reader r;
	uint16_t type;
	int error;

	reader_init(&r, bytes, size);
	type = get_u16(&r);
	if (type < ASK_CONNECT || type > ASK_TYPE_MAX)
		return ERR_INVALID;
	answer.type = (uint8_t)type;
	answer.outcome = get_enum(&r, ASK_OUTCOME_MAX);
	get_clean(&r, answer.sqlstate, sizeof(answer.sqlstate), false);
	get_clean(&r, answer.text, sizeof(answer.text), false);
	if (reader_state(&r) == 0 && answer.outcome == ASK_DONE)
		get_done(&r, &answer);
	error = reader_end(&r);
	if (error == 0)
		*ret_answer = answer;
	return error;
}

/* Room and alignment for one descriptor. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int send_packet(int fd, void *bytes, size_t size, int fd_passed)
{
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union control control = {0};
	ssize_t sent;

	if (fd_passed >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd_passed, sizeof(int));
	}
	do {
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? err_from_errno(errno) : 0;
}

int ask_send_question(int fd, const struct ask_question *question)
{
	uint8_t bytes[ASK_CONNINFO_SIZE + 16];
	int size = ask_encode_question(question, bytes, sizeof(bytes));

	return size < 0 ? size : send_packet(fd, bytes, (size_t)size, -1);
}

int ask_send_answer(int fd, const struct ask_answer *answer, int fd_passed)
{
	uint8_t bytes[ASK_PACKET_MAX];
	int size = ask_encode_answer(answer, bytes, sizeof(bytes));

	return size < 0 ? size : send_packet(fd, bytes, (size_t)size, fd_passed);
}

/*
 * The descriptor that came along; none: -1. False: anything else came along, and is closed. The control buffer is
 * aligned, so the kernel may find room in it for a second descriptor without setting MSG_CTRUNC.
 */
static bool take_passed(struct msghdr *message, int *ret_fd)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	size_t count;
	int fd;

	*ret_fd = -1;
	if (!header)
		return true;
	if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return false;
	count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
	for (size_t i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
		if (count == 1)
			*ret_fd = fd;
		else
			close(fd);
	}
	return count == 1;
}

/* The packet's size, or a code. */
static int receive_packet(int fd, void *bytes, size_t size, int *ret_fd)
{
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	union control control;
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	scope_close int passed = -1;
	bool sound;
	ssize_t got;

	do {
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_from_errno(errno);
	sound = take_passed(&message, &passed);
	if (got == 0)
		return ERR_CLOSED;
	if (!sound || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return ERR_INVALID;
	*ret_fd = scope_take_fd(passed);
	return (int)got;
}

int ask_receive_question(int fd, struct ask_question *ret_question)
{
	uint8_t bytes[ASK_CONNINFO_SIZE + 16];
	scope_close int passed = -1;
	int size = receive_packet(fd, bytes, sizeof(bytes), &passed);

	if (size < 0)
		return size;
	return passed >= 0 ? ERR_INVALID : ask_decode_question(bytes, (size_t)size, ret_question);
}

int ask_receive_answer(int fd, struct ask_answer *ret_answer, int *ret_fd)
{
	uint8_t bytes[ASK_PACKET_MAX];
	scope_close int passed = -1;
	int size = receive_packet(fd, bytes, sizeof(bytes), &passed);
	int error;

	if (size < 0)
		return size;
	error = ask_decode_answer(bytes, (size_t)size, ret_answer);
	if (error == 0)
		*ret_fd = scope_take_fd(passed);
	return error;
}

void ask_format_lsn(uint64_t lsn, char text[static ASK_LSN_SIZE])
{
	snprintf(text, ASK_LSN_SIZE, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
}

/* Up to eight digits; what follows them, or NULL. */
static const char *parse_half(const char *text, uint32_t *ret_half)
{
	static const char digits[] = "0123456789ABCDEF";
	uint32_t half = 0;
	int count = 0;

	for (; *text && strchr(digits, *text) && count <= 8; text++, count++)
		half = half << 4 | (uint32_t)(strchr(digits, *text) - digits);
	*ret_half = half;
	return count >= 1 && count <= 8 ? text : NULL;
}

int ask_parse_lsn(const char *text, uint64_t *ret_lsn)
{
	uint32_t high, low;

	text = parse_half(text, &high);
	if (!text || *text != '/')
		return ERR_INVALID;
	text = parse_half(text + 1, &low);
	if (!text || *text)
		return ERR_INVALID;
	*ret_lsn = (uint64_t)high << 32 | low;
	return 0;
}
