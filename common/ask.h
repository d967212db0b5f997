/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a worker asks its database helper, and what the helper answers.
 *
 * One question or answer is one packet of a SEQPACKET socket pair: a 16-bit
 * type, then the type's fields in the order below, encoded by common/cursor. A
 * decoder consumes exactly the packet. One question is open at a time and gets one
 * answer of its type; before CONNECT's answer the helper may send SOCKET
 * any number of times. The helper passes on what a server said that
 * may be hostile: every string is bounded, without control characters (but
 * the newlines of a list), every number within its range, or the answer is malformed.
 *
 * question FLUSH (3) for backup 7:
 *   00 03  00 00 00 00 00 00 00 07
 * answer to it, done, the server's LSN being 0/3000148:
 *   00 03  00  00 00  00 00  00 00 00 00 03 00 01 48
 */
#ifndef DBSNAP_ASK_H
#define DBSNAP_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* STOP's answer is the longest: two blobs and the tablespaces. */
	ASK_PACKET_MAX = 204800,
	ASK_CONNINFO_SIZE = 1024,
	ASK_PATH_SIZE = 1024,
	ASK_LINES_SIZE = 4096,
	ASK_TEXT_SIZE = 512,
	ASK_BLOB_SIZE = 65536,
	ASK_TABLESPACES_MAX = 64
};

enum ask_type {
	/* Question: connect. Answers: SOCKET each time there is a new socket, then CONNECT. */
	ASK_CONNECT = 1,
	/* Question: the settings that a cut depends on. */
	ASK_FACTS = 2,
	/* Question: make everything acknowledged so far durable (a standby: nothing to do), and where is that? */
	ASK_FLUSH = 3,
	/* Answer only. The packet carries the descriptor of the socket to the server, connected perhaps not yet answered. */
	ASK_SOCKET = 4,
	/* Question: take a replication slot that ends with the session, and begin a backup that ends with it too. */
	ASK_START = 5,
	/* Question: end that backup. */
	ASK_STOP = 6,
	/* Question: the settings of a MariaDB that a cut depends on, and what this account may do. */
	ASK_MY_FACTS = 7,
	/* Question: hold writes to tables without transactions, DDL and commits, and where is that in the binary log? */
	ASK_MY_LOCK = 8,
	/* Question: let go of them. Done only if they were held until now. */
	ASK_MY_UNLOCK = 9,
	ASK_TYPE_MAX = 9
};

/* How a question ended, as a caller needs to tell it apart. */
enum ask_outcome {
	ASK_DONE = 0,
	ASK_NO_SERVER = 1, /* nothing listens there */
	ASK_REJECTED = 2,  /* the server does not let this role in */
	ASK_NOT_READY = 3, /* the server is starting, stopping or recovering */
	ASK_CROWDED = 4,   /* no connection is left */
	ASK_FORBIDDEN = 5, /* the role lacks a right; text names what was asked */
	ASK_LOST = 6,      /* the connection broke */
	ASK_FAILED = 7,    /* anything else that the server said */
	ASK_NONSENSE = 8,  /* an answer that no such server gives */
	ASK_IN_THE_WAY = 9, /* MY_LOCK: somebody else's work did not let us have it in time */
	ASK_OUTCOME_MAX = 9
};

struct ask_question {
	uint8_t type;                     /* enum ask_type, not SOCKET */
	char conninfo[ASK_CONNINFO_SIZE]; /* CONNECT */
	/*
	 * CONNECT: for connecting, and (PostgreSQL) for every statement later. START, STOP: for each statement from now
	 * on. MY_LOCK: how long anybody may be held, waiting for it included.
	 */
	uint32_t timeout_ms;
	uint64_t backup; /* FLUSH: the id, written into the WAL; START: the label is "dbsnap <id>" */
	uint64_t job;    /* START: the slot is dbsnap_<job> */
};

enum ask_wal_level { ASK_WAL_MINIMAL, ASK_WAL_REPLICA, ASK_WAL_LOGICAL, ASK_WAL_LEVEL_MAX = ASK_WAL_LOGICAL };

struct ask_facts {
	uint32_t version;    /* server_version_num: 150018 */
	char version_text[64]; /* "15.18" */
	uint64_t system_identifier;
	bool in_recovery;
	bool fsync;
	bool full_page_writes;
	bool data_checksums;
	uint8_t wal_level;   /* enum ask_wal_level */
	uint32_t wal_segment_size;
	uint32_t port;
	uint32_t max_replication_slots;
	/* What this role may do. */
	bool may_start; /* pg_backup_start(text, boolean), before 15 pg_start_backup(text, boolean, boolean) */
	bool may_stop;  /* pg_backup_stop(boolean), before 15 pg_stop_backup(boolean, boolean) */
	bool may_slot;  /* make a replication slot */
	char data_directory[ASK_PATH_SIZE];
	char config_file[ASK_PATH_SIZE];
	char hba_file[ASK_PATH_SIZE];
	char ident_file[ASK_PATH_SIZE];
	char preload[ASK_PATH_SIZE];     /* shared_preload_libraries */
	char sources[ASK_LINES_SIZE];    /* every file that a setting came from, one a line */
};

enum { ASK_GTID_SIZE = 1024 };

/* Paths as the server says them: relative ones are its data directory's. */
struct ask_my_facts {
	char version[64];      /* "10.11.19-MariaDB-0+deb12u1-log" */
	char data_dir[ASK_PATH_SIZE];
	char home_dir[ASK_PATH_SIZE];      /* innodb_data_home_dir; "" */
	char data_files[ASK_PATH_SIZE];    /* innodb_data_file_path: "ibdata1:12M:autoextend" */
	char redo_dir[ASK_PATH_SIZE];      /* innodb_log_group_home_dir */
	char undo_dir[ASK_PATH_SIZE];      /* innodb_undo_directory; "" */
	char aria_dir[ASK_PATH_SIZE];      /* aria_log_dir_path; "" */
	char binlog[ASK_PATH_SIZE];        /* log_bin_basename; "" without a binary log */
	char binlog_index[ASK_PATH_SIZE];  /* log_bin_index; "" */
	char myisam_recover[64];           /* myisam_recover_options: "BACKUP,QUICK", "OFF" */
	char aria_recover[64];
	char encryption[64];               /* the plugin of that kind that is in use; "" */
	uint32_t flush_log_at_commit;      /* innodb_flush_log_at_trx_commit */
	uint32_t page_size;                /* innodb_page_size */
	uint32_t aria_block_size;
	uint32_t lower_case_names;         /* lower_case_table_names */
	uint64_t lsn;                      /* up to which the redo log was flushed; 0: the server does not say */
	bool log_bin;
	bool doublewrite;
	bool wsrep;
	bool may_lock;     /* RELOAD */
	bool may_position; /* BINLOG MONITOR */
	bool may_watch;    /* PROCESS */
};

/* Where a locked server's binary log is. */
struct ask_my_position {
	char gtid[ASK_GTID_SIZE]; /* gtid_binlog_pos; "" */
	char file[256];           /* "" without a binary log */
	uint64_t offset;
	uint64_t held_us;         /* since when somebody may have been waiting for us */
};

struct ask_tablespace {
	uint32_t oid;
	char location[ASK_PATH_SIZE];
};

/* Those that have a location: all but pg_default and pg_global. */
struct ask_tablespaces {
	uint32_t count; /* that the server has; the first ASK_TABLESPACES_MAX are listed, by oid */
	struct ask_tablespace items[ASK_TABLESPACES_MAX];
};

/* Large: some 200 KiB. */
struct ask_answer {
	uint8_t type;    /* enum ask_type */
	uint8_t outcome; /* enum ask_outcome */
	char sqlstate[6]; /* "" when there is none */
	/* What the server or libpq said; "" when done, but for START without a slot: why there is none. */
	char text[ASK_TEXT_SIZE];
	/* What follows when done. */
	struct ask_facts facts; /* FACTS */
	struct ask_tablespaces tablespaces; /* FACTS; STOP: as they are after it */
	uint64_t lsn;              /* FLUSH; START: where recovery begins; STOP: where the image is consistent */
	bool slot;                 /* START: WAL from there on is held back until the session ends */
	char label[ASK_BLOB_SIZE]; /* STOP: contents of backup_label */
	char map[ASK_BLOB_SIZE];   /* STOP: contents of tablespace_map; "": no such file */
	struct ask_my_facts my;             /* MY_FACTS */
	struct ask_my_position my_position; /* MY_LOCK */
};

/* The number of bytes written, or ERR_TOO_LONG. */
int ask_encode_question(const struct ask_question *question, void *bytes, size_t size);
int ask_encode_answer(const struct ask_answer *answer, void *bytes, size_t size);
/* 0 or ERR_INVALID. */
int ask_decode_question(const void *bytes, size_t size, struct ask_question *ret_question);
int ask_decode_answer(const void *bytes, size_t size, struct ask_answer *ret_answer);

/*
 * One packet on a socket, blocking. fd_passed: a descriptor that goes with an answer, or -1.
 * 0, ERR_CLOSED, ERR_IO or ERR_TOO_LONG.
 */
int ask_send_question(int fd, const struct ask_question *question);
int ask_send_answer(int fd, const struct ask_answer *answer, int fd_passed);
/*
 * 0, ERR_CLOSED (end of file), ERR_INVALID (malformed, or more than one descriptor) or ERR_IO.
 * *ret_fd: the descriptor that came with the answer (the caller's, close-on-exec), or -1.
 */
int ask_receive_question(int fd, struct ask_question *ret_question);
int ask_receive_answer(int fd, struct ask_answer *ret_answer, int *ret_fd);

/* No control characters; lines: newlines are fine. */
bool ask_is_clean(const char *str, bool lines);

/* "16/B374D848" of an LSN. */
enum { ASK_LSN_SIZE = 18 };
void ask_format_lsn(uint64_t lsn, char text[static ASK_LSN_SIZE]);
/* Exactly what a server prints: one to eight upper-case hexadecimal digits, '/', the same. 0 or ERR_INVALID. */
int ask_parse_lsn(const char *text, uint64_t *ret_lsn);

#endif
