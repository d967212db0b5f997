/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Valid encodings, made by the encoders themselves: what a corpus begins with where no text can be written by hand.
 *
 *   seeds FOLDER    FOLDER/ask, json, msg, record
 */
#include "common/ask.h"
#include "common/err.h"
#include "common/msg.h"
#include "daemon/engine/manifest.h"
#include "daemon/engine/note.h"
#include "daemon/front/record.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#define SET(array, text) snprintf(array, sizeof(array), "%s", text)

static const char *top;

/* kind: a byte before the rest, or -1. */
static void save(const char *target, const char *name, int kind, const void *bytes, size_t size)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", top, target);
	must(mkdir(path, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/seed-%s", top, target, name);
	file = fopen(path, "w");
	must(file);
	if (kind >= 0)
		putc(kind, file);
	must(fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void fill_facts(struct msg_facts *facts)
{
	facts->nonce.bytes[15] = 7;
	facts->accepted_ms = facts->started_ms = facts->ended_ms = facts->consistent_ms = INT64_C(1700000000123);
	facts->cut_us = 1200;
	facts->size = 12345678;
	facts->size_known = true;
	facts->mode = MODE_MANUAL;
	SET(facts->principal, "uid:1000");
	SET(facts->request, "8F89786C-126C-4FE0-85DA-937A6B90CD4D");
	SET(facts->backend, "btrfs");
	SET(facts->procedure, "A");
	SET(facts->promise, "atomic");
	SET(facts->weakened, "fsync is off\nfull_page_writes is off");
	SET(facts->server, "PostgreSQL 15.18");
	SET(facts->position, "LSN 0/3000148, timeline 1");
	SET(facts->path, "/srv/.dbsnap/pc-orders/7");
}

static void save_msg(const char *name, struct msg *msg)
{
	static uint8_t bytes[MSG_SIZE_MAX];
	int size = msg_encode(msg, bytes, sizeof(bytes));

	must(size > 0);
	save("msg", name, -1, bytes, (size_t)size);
}

static void save_msgs(void)
{
	static struct msg msg;
	char name[32];

	/* A message of each type with every field empty. */
	for (unsigned type = 0; type < 256; type++) {
		if (!msg_name(type))
			continue;
		msg = (struct msg){.type = (enum msg_type)type, .tag = 1};
		snprintf(name, sizeof(name), "empty-%u", type);
		save_msg(name, &msg);
	}
	msg = (struct msg){.type = MSG_RESULT, .u.result = {.job = 7, .attempt = 1, .outcome = OUTCOME_DONE, .port = 5432}};
	SET(msg.u.result.cause, "cause");
	SET(msg.u.result.socket_dir, "/srv/clone");
	fill_facts(&msg.u.result.facts);
	save_msg("result", &msg);
	msg = (struct msg){.type = MSG_PROBED_ITEM, .tag = 2, .u.probed_item = {.item = ITEM_CLONE, .owner = OWNER_OURS, .backup = 7}};
	SET(msg.u.probed_item.cluster, "pc-orders");
	SET(msg.u.probed_item.name, "clones/try");
	fill_facts(&msg.u.probed_item.facts);
	save_msg("probed-item", &msg);
	msg = (struct msg){.type = MSG_CHECK, .tag = 4, .u.check = {.depth = DEPTH_LAYOUT, .survey = true}};
	SET(msg.u.check.cluster, "pc-orders");
	save_msg("check", &msg);
	msg = (struct msg){.type = MSG_CHECKED_PART, .tag = 4,
			   .u.checked_part = {.inside = true, .measured = PART_AT_LEAST, .bytes = 1 << 20, .files = 3, .extents = 7,
					      .more_extents = true}};
	SET(msg.u.checked_part.cluster, "pc-orders");
	SET(msg.u.checked_part.role, "binary log");
	SET(msg.u.checked_part.taken, "snapshot");
	SET(msg.u.checked_part.largest, "mysql-bin.000007");
	save_msg("checked-part", &msg);
	msg = (struct msg){.type = MSG_CHECKED, .tag = 4,
			   .u.checked = {.depth = DEPTH_LAYOUT, .ok = true, .cut_us = 7000, .freeze_us = -1}};
	SET(msg.u.checked.cluster, "pc-orders");
	SET(msg.u.checked.weakened, "innodb_doublewrite was off");
	SET(msg.u.checked.account, "CREATE ROLE dbsnap LOGIN;\nGRANT pg_read_all_settings TO dbsnap;");
	SET(msg.u.checked.expected, "the median of the last 5 backups");
	save_msg("checked", &msg);
	msg = (struct msg){.type = MSG_SERVED, .tag = 3, .u.served = {.code = ERR_DATABASE}};
	SET(msg.u.served.cluster, "pc-orders");
	SET(msg.u.served.clone, "try");
	SET(msg.u.served.cause, "its server ended by itself (signal 9)");
	save_msg("served", &msg);
	msg = (struct msg){.type = MSG_JOB, .u.job = {.job = 7, .kind = JOB_CLONE, .backup = 6, .attempt = 2}};
	SET(msg.u.job.cluster, "pc-orders");
	SET(msg.u.job.clone, "try");
	save_msg("job", &msg);
	msg = (struct msg){.type = MSG_JOB,
			   .u.job = {.job = 7, .kind = JOB_DELETE_QUARANTINED, .backup = 6, .attempt = 1, .item = ITEM_DELETING}};
	SET(msg.u.job.cluster, "pc-orders");
	save_msg("job-quarantined", &msg);
}

static void save_asks(void)
{
	static struct ask_answer answer;
	static uint8_t bytes[ASK_PACKET_MAX];
	struct ask_question question = {.type = ASK_CONNECT, .timeout_ms = 5000};
	struct ask_facts *facts = &answer.facts;

	SET(question.conninfo, "host=/var/run/postgresql dbname=postgres");
	save("ask", "connect", -1, bytes, (size_t)ask_encode_question(&question, bytes, sizeof(bytes)));
	question = (struct ask_question){.type = ASK_FLUSH, .backup = 7};
	save("ask", "flush", -1, bytes, (size_t)ask_encode_question(&question, bytes, sizeof(bytes)));
	answer = (struct ask_answer){.type = ASK_FLUSH, .outcome = ASK_DONE, .lsn = 0x3000148};
	save("ask", "flushed", -1, bytes, (size_t)ask_encode_answer(&answer, bytes, sizeof(bytes)));
	answer = (struct ask_answer){.type = ASK_CONNECT, .outcome = ASK_REJECTED, .sqlstate = "28000", .text = "no"};
	save("ask", "rejected", -1, bytes, (size_t)ask_encode_answer(&answer, bytes, sizeof(bytes)));
	question = (struct ask_question){.type = ASK_MY_LOCK, .timeout_ms = 5000};
	save("ask", "lock", -1, bytes, (size_t)ask_encode_question(&question, bytes, sizeof(bytes)));
	answer = (struct ask_answer){.type = ASK_MY_LOCK,
				     .my_position = {.gtid = "0-1-7", .file = "b.000001", .offset = 328, .held_us = 9}};
	save("ask", "locked", -1, bytes, (size_t)ask_encode_answer(&answer, bytes, sizeof(bytes)));
	answer = (struct ask_answer){.type = ASK_MY_FACTS,
				     .my = {.version = "10.11.19-MariaDB", .data_dir = "/d/", .binlog = "/d/b", .log_bin = true}};
	save("ask", "mariadb", -1, bytes, (size_t)ask_encode_answer(&answer, bytes, sizeof(bytes)));
	question = (struct ask_question){.type = ASK_START, .job = 8, .backup = 7, .timeout_ms = 1000};
	save("ask", "start", -1, bytes, (size_t)ask_encode_question(&question, bytes, sizeof(bytes)));
	answer = (struct ask_answer){.type = ASK_START, .outcome = ASK_DONE, .lsn = 0x3000028, .slot = true};
	save("ask", "started", -1, bytes, (size_t)ask_encode_answer(&answer, bytes, sizeof(bytes)));
	answer = (struct ask_answer){.type = ASK_STOP, .outcome = ASK_DONE, .lsn = 0x3000138};
	SET(answer.label, "START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\nLABEL: dbsnap 7\n");
	SET(answer.map, "16384 /srv/ts\n");
	answer.tablespaces.count = 1;
	answer.tablespaces.items[0].oid = 16384;
	SET(answer.tablespaces.items[0].location, "/srv/ts");
	save("ask", "stopped", -1, bytes, (size_t)ask_encode_answer(&answer, bytes, sizeof(bytes)));
	answer = (struct ask_answer){.type = ASK_FACTS, .outcome = ASK_DONE};
	*facts = (struct ask_facts){.version = 150018, .version_text = "15.18", .fsync = true, .full_page_writes = true,
				    .wal_level = ASK_WAL_REPLICA, .wal_segment_size = 16 << 20, .port = 5432,
				    .max_replication_slots = 10, .data_directory = "/srv/pg"};
	SET(facts->sources, "/srv/pg/postgresql.conf\n/srv/pg/postgresql.auto.conf");
	save("ask", "facts", -1, bytes, (size_t)ask_encode_answer(&answer, bytes, sizeof(bytes)));
}

static void save_record(const char *name, int kind, const void *bytes, int size)
{
	must(size > 0);
	save("record", name, kind, bytes, (size_t)size);
}

static void save_texts_record(uint8_t *bytes, size_t size)
{
	static struct record_backup backup = {.state = BACKUP_DELETING, .mode = BACKUP_MANUAL, .refunded = true,
					      .end_state = BACKUP_FAILED, .backend = "btrfs", .path = "/srv/7",
					      .origin = {.principal = "uid:0", .request_id = "R"},
					      .failure = {.code = -2, .cause = "c", .remedy = "r"}};
	static struct record_job job = {.state = JOB_OPEN, .kind = JOB_KIND_CREATE, .mode = BACKUP_AUTOMATED,
					.backup = 7, .token = {.size = 1, .bytes = "k"}, .percent = 50};
	static struct record_clone clone = {.state = CLONE_AVAILABLE, .cluster = "pc-orders", .port = 5432,
					    .path = "/srv/clones/try"};
	static struct record_facts facts = {.layout = RECORD_LAYOUT_OK, .db_type = "postgresql", .refusal = "no"};

	save_record("backup", 0, bytes, record_backup_encode(&backup, bytes, size));
	save_record("job", 1, bytes, record_job_encode(&job, bytes, size));
	job = (struct record_job){.state = JOB_OPEN, .kind = JOB_KIND_DELETE_QUARANTINED, .backup = 7, .item = ITEM_PARTIAL};
	save_record("job-quarantined", 1, bytes, record_job_encode(&job, bytes, size));
	save_record("clone", 2, bytes, record_clone_encode(&clone, bytes, size));
	save_record("facts", 6, bytes, record_facts_encode(&facts, bytes, size));
}

static void save_records(void)
{
	static uint8_t bytes[RECORD_MAX];
	struct record_tomb tomb = {.end_state = BACKUP_AVAILABLE, .mode = BACKUP_MANUAL, .refunded = true};
	struct record_token token = {.job = 7, .created_ms = 1000};
	struct record_token_end end = {.running_ms = 1000};
	struct record_counts counts = {.tombs = 3};
	struct record_day day = {.accepted = 3, .refunded = 1};
	struct record_schedule schedule = {.policy = schedule_default(), .served_ms = 1000, .create = 7, .tries = 1};
	struct schedule_guard guard = {.wall_ms = 1000, .running_ms = 1000};

	save_texts_record(bytes, sizeof(bytes));
	save_record("tomb", 3, bytes, record_tomb_encode(&tomb, bytes, sizeof(bytes)));
	save_record("token", 4, bytes, record_token_encode(&token, bytes, sizeof(bytes)));
	save_record("end", 5, bytes, record_token_end_encode(&end, bytes, sizeof(bytes)));
	save_record("counts", 7, bytes, record_counts_encode(&counts, bytes, sizeof(bytes)));
	save_record("day", 8, bytes, record_day_encode(&day, bytes, sizeof(bytes)));
	save_record("schedule", 9, bytes, record_schedule_encode(&schedule, bytes, sizeof(bytes)));
	save_record("guard", 10, bytes, record_guard_encode(&guard, bytes, sizeof(bytes)));
}

static void save_text(const char *name, char *text)
{
	must(text);
	save("json", name, -1, text, strlen(text));
	free(text);
}

static void save_json(void)
{
	static struct manifest manifest = {.cluster = "pc-orders", .backup = 7, .job = 7, .attempt = 1,
					   .database = "postgresql", .data_dir = "/srv/\xc3\xa9\"\\\n", .part_count = 2};
	static struct conf_cluster cluster = {.id = "pc-orders", .data_dir = "/srv/pg", .identity_known = true,
					      .identity = {.uid = 104, .gid = 104, .group_count = 2, .groups = {1, 2}}};
	struct marker marker = {.cluster = "pc-orders", .fs_uuid = "u", .data_dir = "/srv/pg"};
	struct intent intent = {.cluster = "pc-orders", .backup = 7, .clone = "try", .job = 8, .attempt = 1, .port = 5432};
	struct nonce install = {.bytes = {1}};

	fill_facts(&manifest.facts);
	SET(manifest.parts[0].role, "data");
	save_text("marker", marker_encode(&marker));
	save_text("intent", intent_encode(&intent));
	save_text("manifest", manifest_encode(&manifest));
	save_text("note", note_encode(&cluster, &install));
}

int main(int argc, char *argv[])
{
	if (argc != 2) {
		fprintf(stderr, "usage: seeds FOLDER\n");
		return 2;
	}
	top = argv[1];
	save_msgs();
	save_asks();
	save_records();
	save_json();
	return 0;
}
