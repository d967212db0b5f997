/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The nonces of verified requests, so that none is served twice. In memory, bounded, pure: both clocks are arguments.
 *
 * A nonce is forgotten when its timestamp is out of its window by the wall clock, and as much running time
 * has passed as it had left when it was taken, so a wall clock that jumps ahead forgets nothing early.
 * What was forgotten raises the floor: a timestamp that is not later than it may have been served before
 * and is refused, so a wall clock that is set back brings no forgotten request to life again. While clocks are
 * right the floor lies out of the window and is never met. Each window has a floor of its own.
 *
 * Half of the room is shared out evenly to the owners, whoever comes may have the other half: one owner
 * cannot use up all.
 */
#ifndef DBSNAP_FRONT_NONCES_H
#define DBSNAP_FRONT_NONCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NONCES_HASH_SIZE = 16,
	NONCES_WINDOWS = 2,
	NONCES_OWNERS_MAX = 512,
	NONCES_NOBODY = 0 /* the owner of what an earlier front took */
};

struct nonces;

struct nonces_now {
	int64_t wall_ms;
	int64_t running_ms;
};

/* A nonce with what a request says of it. */
struct nonces_item {
	uint8_t hash[NONCES_HASH_SIZE]; /* of key id and nonce */
	int64_t stamp_s;                /* seconds since 1970 */
	unsigned window;                /* number below NONCES_WINDOWS */
	unsigned owner;                 /* number below NONCES_OWNERS_MAX */
};

/* windows_ms: the length of each, either way. capacity: at least 2. NULL: out of memory. */
struct nonces *nonces_new(size_t capacity, const int64_t windows_ms[static NONCES_WINDOWS]);
/* Takes NULL. Returns NULL. */
struct nonces *nonces_free(struct nonces *nonces);

/* How many owners the guaranteed half is for. */
void nonces_set_owners(struct nonces *nonces, unsigned count);
/* How many nonces of this owner are remembered. */
size_t nonces_count(const struct nonces *nonces, unsigned owner);

/* A timestamp not later than this is refused. Never falls. Seconds since 1970. */
int64_t nonces_floor_s(const struct nonces *nonces, unsigned window);
void nonces_raise_floor(struct nonces *nonces, int64_t floor_s);

/* May it be taken? 0; ERR_EXISTS: it was; ERR_FULL: there is no room, or not for this owner. */
int nonces_look(struct nonces *nonces, const struct nonces_item *item, const struct nonces_now *now);
/* Takes one that nonces_look() allowed; with NONCES_NOBODY any: the floor stands in for one that has no room. */
void nonces_take(struct nonces *nonces, const struct nonces_item *item, const struct nonces_now *now);
/* Forgets all that is over. Takes time: for a reload. */
void nonces_sweep(struct nonces *nonces, const struct nonces_now *now);

#endif
