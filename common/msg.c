/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One table of fields a message type drives its encoder and its decoder, so
 * that the two cannot differ.
 */
#include "common/msg.h"

#include "common/cursor.h"
#include "common/err.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

enum kind { END, U8, U16, U32, U64, I64, BOOL, STR, NONCE, CLUSTER, CLONE, FACTS, BLOB };

struct field {
	enum kind kind;
	uint8_t max; /* U8: the largest value allowed */
	uint16_t offset;
	uint16_t size; /* STR: of the array */
};

/* offset and size of a member, for the tables below */
#define F(k, s, m, top) {k, top, offsetof(struct s, m), sizeof(((struct s *)0)->m)}
#define E(s, m, top) F(U8, s, m, top)

static const struct field facts_fields[] = {
	F(NONCE, msg_facts, nonce, 0),
	F(I64, msg_facts, accepted_ms, 0),
	F(I64, msg_facts, started_ms, 0),
	F(I64, msg_facts, ended_ms, 0),
	F(I64, msg_facts, consistent_ms, 0),
	F(U64, msg_facts, cut_us, 0),
	F(U64, msg_facts, freeze_us, 0),
	F(U64, msg_facts, size, 0),
	F(BOOL, msg_facts, size_known, 0),
	E(msg_facts, mode, MODE_MAX),
	F(I64, msg_facts, expires_ms, 0),
	F(STR, msg_facts, principal, 0),
	F(STR, msg_facts, request, 0),
	F(STR, msg_facts, backend, 0),
	F(STR, msg_facts, procedure, 0),
	F(STR, msg_facts, promise, 0),
	F(STR, msg_facts, weakened, 0),
	F(STR, msg_facts, server, 0),
	F(STR, msg_facts, position, 0),
	F(STR, msg_facts, path, 0),
	{END},
};

static const struct field config_fields[] = {
	F(U32, msg_config, generation, 0),
	F(STR, msg_config, region_id, 0),
	F(STR, msg_config, account_id, 0),
	F(U32, msg_config, manual_per_day, 0),
	F(U32, msg_config, manual_retained, 0),
	F(U32, msg_config, creates_per_day, 0),
	F(I64, msg_config, utc_offset_min, 0),
	F(BOOL, msg_config, refund_deleted, 0),
	F(I64, msg_config, token_ttl_ms, 0),
	F(U32, msg_config, max_running, 0),
	F(I64, msg_config, job_timeout_ms, 0),
	F(I64, msg_config, history_ms, 0),
	F(U32, msg_config, connections, 0),
	F(U32, msg_config, connections_per_uid, 0),
	F(I64, msg_config, request_timeout_ms, 0),
	F(U64, msg_config, body_max, 0),
	F(U64, msg_config, map_size, 0),
	F(U32, msg_config, daemon_uid, 0),
	F(U32, msg_config, socket_gid, 0),
	F(STR, msg_config, state_dir, 0),
	{END},
};

static const struct field config_cluster_fields[] = {
	F(U32, msg_config_cluster, generation, 0),
	F(CLUSTER, msg_config_cluster, cluster, 0),
	F(STR, msg_config_cluster, description, 0),
	F(STR, msg_config_cluster, data_dir, 0),
	F(STR, msg_config_cluster, database, 0),
	E(msg_config_cluster, min_free_percent, 100),
	F(U64, msg_config_cluster, min_free_bytes, 0),
	F(STR, msg_config_cluster, refusal, 0),
	F(STR, msg_config_cluster, remedy, 0),
	F(I64, msg_config_cluster, verify_every_ms, 0),
	F(BOOL, msg_config_cluster, restore_in_place, 0),
	{END},
};

static const struct field config_end_fields[] = {
	F(U32, msg_config_end, generation, 0),
	F(U32, msg_config_end, clusters, 0),
	F(U32, msg_config_end, listeners, 0),
	F(U32, msg_config_end, keys, 0),
	F(U32, msg_config_end, statements, 0),
	F(BOOL, msg_config_end, policies, 0),
	{END},
};

static const struct field config_listener_fields[] = {
	F(U32, msg_config_listener, generation, 0),
	F(STR, msg_config_listener, path, 0),
	F(BOOL, msg_config_listener, require_signature, 0),
	{END},
};

static const struct field config_key_fields[] = {
	F(U32, msg_config_key, generation, 0),
	F(STR, msg_config_key, id, 0),
	F(STR, msg_config_key, secret, 0),
	F(BOOL, msg_config_key, has_uid, 0),
	F(U32, msg_config_key, uid, 0),
	F(BOOL, msg_config_key, has_gid, 0),
	F(U32, msg_config_key, gid, 0),
	{END},
};

static const struct field config_statement_fields[] = {
	F(U32, msg_config_statement, generation, 0),
	F(BLOB, msg_config_statement, statement, 0),
	{END},
};

static const struct field records_fields[] = {
	F(CLUSTER, msg_records, cluster, 0),
	F(U64, msg_records, records, 0),
	{END},
};

static const struct field hello_fields[] = {
	F(U16, msg_hello, protocol, 0),
	F(NONCE, msg_hello, install, 0),
	F(U32, msg_hello, clusters, 0),
	{END},
};

static const struct field running_fields[] = {
	F(U64, msg_running, job, 0),
	E(msg_running, kind, JOB_KIND_MAX),
	F(CLUSTER, msg_running, cluster, 0),
	F(U32, msg_running, attempt, 0),
	E(msg_running, phase, PHASE_MAX),
	E(msg_running, percent, 100),
	{END},
};

static const struct field running_end_fields[] = {
	F(U32, msg_running_end, jobs, 0),
	{END},
};

static const struct field job_fields[] = {
	F(U64, msg_job, job, 0),
	E(msg_job, kind, JOB_KIND_MAX),
	F(CLUSTER, msg_job, cluster, 0),
	F(U64, msg_job, backup, 0),
	F(CLONE, msg_job, clone, 0),
	F(NONCE, msg_job, nonce, 0),
	F(NONCE, msg_job, source, 0),
	F(U32, msg_job, attempt, 0),
	F(I64, msg_job, accepted_ms, 0),
	E(msg_job, mode, MODE_MAX),
	F(I64, msg_job, expires_ms, 0),
	F(U64, msg_job, known_size, 0),
	F(STR, msg_job, principal, 0),
	F(STR, msg_job, request, 0),
	E(msg_job, item, ITEM_MAX),
	F(BOOL, msg_job, settle, 0),
	{END},
};

static const struct field progress_fields[] = {
	F(U64, msg_progress, job, 0),
	E(msg_progress, phase, PHASE_MAX),
	E(msg_progress, percent, 100),
	F(U64, msg_progress, bytes_done, 0),
	F(U64, msg_progress, bytes_total, 0),
	{END},
};

static const struct field result_fields[] = {
	F(U64, msg_result, job, 0),
	F(U32, msg_result, attempt, 0),
	E(msg_result, outcome, OUTCOME_MAX),
	F(BOOL, msg_result, retry, 0),
	F(I64, msg_result, code, 0),
	F(STR, msg_result, cause, 0),
	F(STR, msg_result, remedy, 0),
	F(U64, msg_result, free_bytes, 0),
	F(U64, msg_result, total_bytes, 0),
	F(STR, msg_result, socket_dir, 0),
	F(U32, msg_result, port, 0),
	F(STR, msg_result, kept, 0),
	F(FACTS, msg_result, facts, 0),
	E(msg_result, verdict, VERDICT_MAX),
	F(STR, msg_result, checked, 0),
	F(STR, msg_result, found, 0),
	{END},
};

static const struct field cancel_fields[] = {
	F(U64, msg_cancel, job, 0),
	{END},
};

static const struct field probe_fields[] = {
	F(CLUSTER, msg_probe, cluster, 0),
	F(BOOL, msg_probe, exclusive, 0),
	{END},
};

static const struct field probed_item_fields[] = {
	F(CLUSTER, msg_probed_item, cluster, 0),
	E(msg_probed_item, item, ITEM_MAX),
	F(U64, msg_probed_item, backup, 0),
	F(STR, msg_probed_item, name, 0),
	E(msg_probed_item, owner, OWNER_MAX),
	F(FACTS, msg_probed_item, facts, 0),
	{END},
};

static const struct field probed_fields[] = {
	F(CLUSTER, msg_probed, cluster, 0),
	E(msg_probed, place, PLACE_MAX),
	F(I64, msg_probed, code, 0),
	F(STR, msg_probed, cause, 0),
	F(STR, msg_probed, remedy, 0),
	F(STR, msg_probed, snapshot_dir, 0),
	F(U64, msg_probed, free_bytes, 0),
	F(U64, msg_probed, total_bytes, 0),
	F(U64, msg_probed, file_system, 0),
	F(U32, msg_probed, items, 0),
	{END},
};

static const struct field check_fields[] = {
	F(CLUSTER, msg_check, cluster, 0),
	E(msg_check, depth, DEPTH_MAX),
	F(BOOL, msg_check, survey, 0),
	F(U64, msg_check, needed, 0),
	F(U64, msg_check, backup, 0),
	F(NONCE, msg_check, nonce, 0),
	{END},
};

static const struct field checked_part_fields[] = {
	F(CLUSTER, msg_checked_part, cluster, 0),
	F(STR, msg_checked_part, role, 0),
	F(STR, msg_checked_part, path, 0),
	F(STR, msg_checked_part, device, 0),
	F(STR, msg_checked_part, file_system, 0),
	F(STR, msg_checked_part, subvolume, 0),
	F(BOOL, msg_checked_part, inside, 0),
	F(STR, msg_checked_part, taken, 0),
	E(msg_checked_part, measured, PART_MEASURED_MAX),
	F(U64, msg_checked_part, bytes, 0),
	F(U64, msg_checked_part, files, 0),
	F(STR, msg_checked_part, largest, 0),
	F(U64, msg_checked_part, extents, 0),
	F(BOOL, msg_checked_part, more_extents, 0),
	{END},
};

static const struct field checked_fields[] = {
	F(CLUSTER, msg_checked, cluster, 0),
	E(msg_checked, depth, DEPTH_MAX),
	E(msg_checked, place, PLACE_MAX),
	F(BOOL, msg_checked, ok, 0),
	F(I64, msg_checked, code, 0),
	F(BOOL, msg_checked, retry, 0),
	F(STR, msg_checked, backend, 0),
	F(STR, msg_checked, procedure, 0),
	F(STR, msg_checked, promise, 0),
	F(STR, msg_checked, database, 0),
	F(STR, msg_checked, server, 0),
	F(STR, msg_checked, snapshot_dir, 0),
	F(STR, msg_checked, warnings, 0),
	F(STR, msg_checked, why_not, 0),
	F(STR, msg_checked, refusal, 0),
	F(STR, msg_checked, remedy, 0),
	F(U64, msg_checked, free_bytes, 0),
	F(U64, msg_checked, total_bytes, 0),
	F(BOOL, msg_checked, space_low, 0),
	F(STR, msg_checked, space, 0),
	F(STR, msg_checked, steps, 0),
	F(STR, msg_checked, weakened, 0),
	F(STR, msg_checked, account, 0),
	F(I64, msg_checked, cut_us, 0),
	F(I64, msg_checked, freeze_us, 0),
	F(STR, msg_checked, expected, 0),
	{END},
};

static const struct field measure_fields[] = {
	F(CLUSTER, msg_measure, cluster, 0),
	F(U64, msg_measure, backup, 0),
	F(NONCE, msg_measure, nonce, 0),
	{END},
};

static const struct field measured_fields[] = {
	F(CLUSTER, msg_measured, cluster, 0),
	F(U64, msg_measured, backup, 0),
	F(I64, msg_measured, code, 0),
	F(U64, msg_measured, size, 0),
	F(I64, msg_measured, measured_ms, 0),
	{END},
};

static const struct field hold_fields[] = {
	F(U64, msg_hold, job, 0),
	F(U32, msg_hold, pid, 0),
	F(U64, msg_hold, pid_start, 0),
	F(U32, msg_hold, max_ms, 0),
	{END},
};

static const struct field release_fields[] = {
	F(U64, msg_release, job, 0),
	F(I64, msg_release, code, 0),
	F(U64, msg_release, held_us, 0),
	{END},
};

static const struct field serve_fields[] = {
	F(CLUSTER, msg_serve, cluster, 0),
	F(CLONE, msg_serve, clone, 0),
	F(U64, msg_serve, backup, 0),
	F(NONCE, msg_serve, nonce, 0),
	F(I64, msg_serve, ttl_ms, 0),
	{END},
};

static const struct field serving_fields[] = {
	F(CLUSTER, msg_serving, cluster, 0),
	F(CLONE, msg_serving, clone, 0),
	F(NONCE, msg_serving, nonce, 0),
	{END},
};

static const struct field served_fields[] = {
	F(CLUSTER, msg_served, cluster, 0),
	F(CLONE, msg_served, clone, 0),
	F(NONCE, msg_served, nonce, 0),
	F(I64, msg_served, code, 0),
	F(STR, msg_served, cause, 0),
	F(STR, msg_served, remedy, 0),
	{END},
};

static const struct field ping_fields[] = {
	F(U64, msg_ping, number, 0),
	{END},
};

static const struct field log_fields[] = {
	E(msg_log, level, LOG_LEVEL_DEBUG),
	F(CLUSTER, msg_log, cluster, 0),
	F(U64, msg_log, backup, 0),
	F(U64, msg_log, job, 0),
	F(CLONE, msg_log, clone, 0),
	F(STR, msg_log, request, 0),
	F(STR, msg_log, text, 0),
	{END},
};

static const struct field no_fields[] = {{END}};

static const struct type {
	const char *name;
	const struct field *fields;
} types[] = {
	[MSG_CONFIG] = {"CONFIG", config_fields},
	[MSG_CONFIG_CLUSTER] = {"CONFIG_CLUSTER", config_cluster_fields},
	[MSG_CONFIG_END] = {"CONFIG_END", config_end_fields},
	[MSG_CONFIG_LISTENER] = {"CONFIG_LISTENER", config_listener_fields},
	[MSG_CONFIG_KEY] = {"CONFIG_KEY", config_key_fields},
	[MSG_CONFIG_STATEMENT] = {"CONFIG_STATEMENT", config_statement_fields},
	[MSG_RECORDS] = {"RECORDS", records_fields},
	[MSG_HELLO] = {"HELLO", hello_fields},
	[MSG_RUNNING] = {"RUNNING", running_fields},
	[MSG_RUNNING_END] = {"RUNNING_END", running_end_fields},
	[MSG_READY] = {"READY", no_fields},
	[MSG_JOB] = {"JOB", job_fields},
	[MSG_PROGRESS] = {"PROGRESS", progress_fields},
	[MSG_RESULT] = {"RESULT", result_fields},
	[MSG_CANCEL] = {"CANCEL", cancel_fields},
	[MSG_PROBE] = {"PROBE", probe_fields},
	[MSG_PROBED_ITEM] = {"PROBED_ITEM", probed_item_fields},
	[MSG_PROBED] = {"PROBED", probed_fields},
	[MSG_CHECK] = {"CHECK", check_fields},
	[MSG_CHECKED_PART] = {"CHECKED_PART", checked_part_fields},
	[MSG_CHECKED] = {"CHECKED", checked_fields},
	[MSG_MEASURE] = {"MEASURE", measure_fields},
	[MSG_MEASURED] = {"MEASURED", measured_fields},
	[MSG_HOLD] = {"HOLD", hold_fields},
	[MSG_RELEASE] = {"RELEASE", release_fields},
	[MSG_SERVE] = {"SERVE", serve_fields},
	[MSG_SERVING] = {"SERVING", serving_fields},
	[MSG_SERVED] = {"SERVED", served_fields},
	[MSG_UNSERVE] = {"UNSERVE", serving_fields},
	[MSG_PING] = {"PING", ping_fields},
	[MSG_PONG] = {"PONG", ping_fields},
	[MSG_STOP] = {"STOP", no_fields},
	[MSG_LOG] = {"LOG", log_fields},
	[MSG_CLOCK] = {"CLOCK", no_fields},
};

static const struct type *type_of(unsigned number)
{
	if (number >= sizeof(types) / sizeof(types[0]) || !types[number].name)
		return NULL;
	return &types[number];
}

const char *msg_name(unsigned type)
{
	const struct type *t = type_of(type);

	return t ? t->name : NULL;
}

static void put_blob(struct writer *w, const struct msg_blob *blob)
{
	put_u16(w, blob->size);
	put_bytes(w, blob->bytes, blob->size);
}

static void get_blob(struct reader *r, struct msg_blob *blob)
{
	blob->size = get_u16(r);
	if (blob->size > sizeof(blob->bytes))
		r->failed = true;
	else
		get_bytes(r, blob->bytes, blob->size);
}

static void put_fields(struct writer *w, const struct field *f, const char *base)
{
	for (; f->kind != END; f++) {
		const void *member = base + f->offset;

		switch (f->kind) {
		case U8:
			put_u8(w, *(const uint8_t *)member);
			break;
		case BOOL:
			put_u8(w, *(const bool *)member);
			break;
		case U16:
			put_u16(w, *(const uint16_t *)member);
			break;
		case U32:
			put_u32(w, *(const uint32_t *)member);
			break;
		case U64:
			put_u64(w, *(const uint64_t *)member);
			break;
		case I64:
			put_i64(w, *(const int64_t *)member);
			break;
		case NONCE:
			put_bytes(w, member, sizeof(struct nonce));
			break;
		case FACTS:
			put_fields(w, facts_fields, member);
			break;
		case BLOB:
			put_blob(w, member);
			break;
		default:
			put_str(w, member);
		}
	}
}

/* A string that must be empty or pass check. */
static void get_name(struct reader *r, char *str, size_t size, bool (*check)(const char *))
{
	get_str(r, str, size);
	if (str[0] && !check(str))
		r->failed = true;
}

static void get_fields(struct reader *r, const struct field *f, char *base)
{
	for (; f->kind != END; f++) {
		void *member = base + f->offset;

		switch (f->kind) {
		case U8:
			*(uint8_t *)member = get_enum(r, f->max);
			break;
		case BOOL:
			*(bool *)member = get_bool(r);
			break;
		case U16:
			*(uint16_t *)member = get_u16(r);
			break;
		case U32:
			*(uint32_t *)member = get_u32(r);
			break;
		case U64:
			*(uint64_t *)member = get_u64(r);
			break;
		case I64:
			*(int64_t *)member = get_i64(r);
			break;
		case NONCE:
			get_bytes(r, member, sizeof(struct nonce));
			break;
		case FACTS:
			get_fields(r, facts_fields, member);
			break;
		case BLOB:
			get_blob(r, member);
			break;
		case CLUSTER:
			get_name(r, member, f->size, ident_is_cluster);
			break;
		case CLONE:
			get_name(r, member, f->size, ident_is_clone);
			break;
		default:
			get_str(r, member, f->size);
		}
	}
}

/* Of a secret nothing stays on the stack. */
static void wipe_key(enum msg_type type, void *bytes, size_t size)
{
	if (type == MSG_CONFIG_KEY)
		explicit_bzero(bytes, size);
}

int msg_encode(const struct msg *msg, void *bytes, size_t size)
{
	const struct type *type = type_of(msg->type);
	struct writer w;

	if (!type)
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_u16(&w, (uint16_t)msg->type);
	put_u32(&w, msg->tag);
	put_fields(&w, type->fields, (const char *)&msg->u);
	return writer_end(&w);
}

int msg_decode(const void *bytes, size_t size, struct msg *ret_msg)
{
	const struct type *type;
	struct msg msg = {0};
	struct reader r;
	unsigned number;

	reader_init(&r, bytes, size);
	number = get_u16(&r);
	type = type_of(number);
	if (!type)
		return ERR_INVALID;
	msg.type = (enum msg_type)number;
	msg.tag = get_u32(&r);
	get_fields(&r, type->fields, (char *)&msg.u);
	if (reader_end(&r) < 0)
		return ERR_INVALID;
	*ret_msg = msg;
	wipe_key(msg.type, &msg, sizeof(msg));
	return 0;
}

static int from_errno(void)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return ERR_BUSY;
	return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? ERR_CLOSED : ERR_IO;
}

static int send_with(int fd, const struct msg *msg, int flags)
{
	char bytes[MSG_SIZE_MAX];
	int size = msg_encode(msg, bytes, sizeof(bytes));
	ssize_t sent;

	if (size < 0)
		return size;
	do
		sent = send(fd, bytes, (size_t)size, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	wipe_key(msg->type, bytes, (size_t)size);
	return sent < 0 ? from_errno() : 0;
}

int msg_send(int fd, const struct msg *msg)
{
	return send_with(fd, msg, MSG_DONTWAIT);
}

int msg_send_wait(int fd, const struct msg *msg)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int r;

	while ((r = send_with(fd, msg, MSG_DONTWAIT)) == ERR_BUSY) {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return ERR_IO;
	}
	return r;
}

int msg_receive(int fd, int flags, struct msg *ret_msg)
{
	char bytes[MSG_SIZE_MAX];
	ssize_t size;
	int r;

	do
		size = recv(fd, bytes, sizeof(bytes), flags | MSG_TRUNC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return from_errno();
	if (size == 0)
		return ERR_CLOSED;
	if ((size_t)size > sizeof(bytes))
		return ERR_INVALID;
	r = msg_decode(bytes, (size_t)size, ret_msg);
	if (r == 0)
		wipe_key(ret_msg->type, bytes, (size_t)size);
	return r;
}
