/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starts, watches and replaces the front, and keeps what could not be sent to
 * it yet. A front that says anything malformed is killed; a new one follows after a pause that grows.
 */
#ifndef DBSNAP_ENGINE_KEEPER_H
#define DBSNAP_ENGINE_KEEPER_H

#include "common/msg.h"
#include "common/proc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct engine;

enum {
	KEEPER_DEATHS = 10,          /* so many in a minute end the engine */
	KEEPER_END_WAIT_MS = 10000   /* for a front to end after its link was closed */
};

struct packet {
	struct packet *next;
	size_t size;
	uint8_t bytes[];
};

struct keeper {
	struct proc_identity identity; /* the front's */
	pid_t pid;                     /* 0: none */
	int link;                      /* -1 */
	uint32_t life;                 /* counts fronts */
	uint32_t records;              /* RECORDS of this life so far */
	bool hello;                    /* of this life */
	bool ready;                    /* of this life */
	bool greeted;                  /* some front has said hello */
	bool replaced;         /* this life was ended by the engine: however it ends is no word of its own */
	uint64_t pinged, ponged;       /* numbers */
	int64_t started_ms;            /* running times */
	int64_t restart_ms;            /* 0: no start is due */
	int64_t kill_ms;               /* its link is closed: when patience ends; 0: it is not */
	int64_t pause_ms;
	int64_t deaths_ms[KEEPER_DEATHS];
	unsigned death_count;
	struct packet *first, **last; /* waiting to be sent; owned */
	size_t waiting;               /* bytes */
};

void keeper_init(struct keeper *keeper, const struct proc_identity *identity);
/* Forks and execs a front and sends it the configuration. 0 or ERR_IO. */
int keeper_start(struct engine *engine);
/* Sends or keeps; with no front: drops. */
void keeper_send(struct engine *engine, const struct msg *msg);
/* The link takes more. */
void keeper_flush(struct engine *engine);
/* So much is waiting that workers should not be read from. */
bool keeper_is_congested(const struct engine *engine);
/* Kills it; SIGCHLD does the rest. */
void keeper_replace(struct engine *engine, const char *why);
/* SIGCHLD: plans a new start, or gives up (engine->failed, engine->stopping). */
void keeper_reap(struct engine *engine);
/* The link is at its end, or is to be: the front ends by itself, or is killed after KEEPER_END_WAIT_MS. */
void keeper_end_link(struct engine *engine);
/* Starts what is due, kills what does not end. */
void keeper_check_time(struct engine *engine, int64_t now_ms);
/* When to be called again; INT64_MAX for never. */
int64_t keeper_next_time(const struct engine *engine);
void keeper_free(struct keeper *keeper);

#endif
