/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A hash table of chains over one array. Who takes a nonce looks at a few others on the way, so that
 * what is over goes without a timer; only a full table is looked through, at most once a second.
 */
#include "daemon/front/nonces.h"

#include "common/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_STEP = 4, SWEEP_PAUSE_MS = 1000 };

struct entry {
	uint8_t hash[NONCES_HASH_SIZE];
	int64_t stamp_s;
	int64_t until_ms; /* by running time */
	uint32_t next;    /* in its chain or among the free ones: number + 1; 0: the last */
	uint16_t owner;
	uint8_t window;
	bool used;
};

struct nonces {
	size_t capacity, count;
	size_t hand;    /* where the look at a few others goes on */
	size_t touched; /* entries from here on were never used */
	uint32_t free;  /* number + 1 */
	uint32_t *chains;
	struct entry *entries;
	int64_t windows_ms[NONCES_WINDOWS];
	int64_t floor_s[NONCES_WINDOWS];
	int64_t swept_ms; /* running time of the last look through all; -1: never */
	size_t share;     /* of each owner in the guaranteed half */
	size_t shared;    /* how many lie in the other half */
	size_t owned[NONCES_OWNERS_MAX];
};

struct nonces *nonces_new(size_t capacity, const int64_t windows_ms[static NONCES_WINDOWS])
{
	struct nonces *nonces = calloc(1, sizeof(*nonces));

	assert(capacity >= 2 && capacity < UINT32_MAX);
	if (!nonces)
		return NULL;
	nonces->capacity = capacity;
	nonces->swept_ms = -1;
	nonces->chains = calloc(capacity, sizeof(nonces->chains[0]));
	nonces->entries = calloc(capacity, sizeof(nonces->entries[0]));
	if (!nonces->chains || !nonces->entries)
		return nonces_free(nonces);
	memcpy(nonces->windows_ms, windows_ms, sizeof(nonces->windows_ms));
	nonces_set_owners(nonces, 1);
	return nonces;
}

struct nonces *nonces_free(struct nonces *nonces)
{
	if (!nonces)
		return NULL;
	free(nonces->chains);
	free(nonces->entries);
	free(nonces);
	return NULL;
}

static size_t over_share(const struct nonces *nonces, size_t owned)
{
	return owned > nonces->share ? owned - nonces->share : 0;
}

void nonces_set_owners(struct nonces *nonces, unsigned count)
{
	nonces->share = nonces->capacity / 2 / (count ? count : 1);
	nonces->shared = 0;
	for (unsigned i = 0; i < NONCES_OWNERS_MAX; i++)
		nonces->shared += over_share(nonces, nonces->owned[i]);
}

size_t nonces_count(const struct nonces *nonces, unsigned owner)
{
	return nonces->owned[owner];
}

int64_t nonces_floor_s(const struct nonces *nonces, unsigned window)
{
	return nonces->floor_s[window];
}

static void raise_one(struct nonces *nonces, unsigned window, int64_t floor_s)
{
	if (nonces->floor_s[window] < floor_s)
		nonces->floor_s[window] = floor_s;
}

void nonces_raise_floor(struct nonces *nonces, int64_t floor_s)
{
	for (unsigned window = 0; window < NONCES_WINDOWS; window++)
		raise_one(nonces, window, floor_s);
}

static void change_owned(struct nonces *nonces, unsigned owner, bool more)
{
	nonces->shared -= over_share(nonces, nonces->owned[owner]);
	nonces->owned[owner] += more ? 1 : (size_t)-1;
	nonces->shared += over_share(nonces, nonces->owned[owner]);
	nonces->count += more ? 1 : (size_t)-1;
}

/* The hash is of a keyless function, but what is hashed was signed: chains are as long as chance has them. */
static uint32_t *chain_of(struct nonces *nonces, const uint8_t hash[static NONCES_HASH_SIZE])
{
	uint64_t number;

	memcpy(&number, hash, sizeof(number));
	return &nonces->chains[number % nonces->capacity];
}

static struct entry *find(struct nonces *nonces, const uint8_t hash[static NONCES_HASH_SIZE])
{
	for (uint32_t at = *chain_of(nonces, hash); at; at = nonces->entries[at - 1].next) {
		if (memcmp(nonces->entries[at - 1].hash, hash, NONCES_HASH_SIZE) == 0)
			return &nonces->entries[at - 1];
	}
	return NULL;
}

static void forget(struct nonces *nonces, uint32_t number)
{
	struct entry *entry = &nonces->entries[number - 1];
	uint32_t *at = chain_of(nonces, entry->hash);

	while (*at != number)
		at = &nonces->entries[*at - 1].next;
	*at = entry->next;
	raise_one(nonces, entry->window, entry->stamp_s);
	change_owned(nonces, entry->owner, false);
	*entry = (struct entry){.next = nonces->free};
	nonces->free = number;
}

static int64_t end_of(const struct nonces *nonces, int64_t stamp_s, unsigned window)
{
	return stamp_s * 1000 + nonces->windows_ms[window];
}

static void look_at(struct nonces *nonces, size_t index, const struct nonces_now *now)
{
	const struct entry *entry = &nonces->entries[index];

	if (entry->used && now->running_ms > entry->until_ms &&
	    now->wall_ms > end_of(nonces, entry->stamp_s, entry->window))
		forget(nonces, (uint32_t)index + 1);
}

void nonces_sweep(struct nonces *nonces, const struct nonces_now *now)
{
	for (size_t i = 0; i < nonces->touched; i++)
		look_at(nonces, i, now);
	nonces->swept_ms = now->running_ms;
}

static void sweep_some(struct nonces *nonces, const struct nonces_now *now)
{
	for (size_t i = 0; i < SWEEP_STEP && nonces->touched > 0; i++) {
		nonces->hand = (nonces->hand + 1) % nonces->touched;
		look_at(nonces, nonces->hand, now);
	}
}

static bool has_room(const struct nonces *nonces, unsigned owner)
{
	if (nonces->count == nonces->capacity)
		return false;
	return nonces->owned[owner] < nonces->share || nonces->shared < nonces->capacity / 2;
}

int nonces_look(struct nonces *nonces, const struct nonces_item *item, const struct nonces_now *now)
{
	sweep_some(nonces, now);
	if (find(nonces, item->hash))
		return ERR_EXISTS;
	if (!has_room(nonces, item->owner) &&
	    (nonces->swept_ms < 0 || now->running_ms >= nonces->swept_ms + SWEEP_PAUSE_MS))
		nonces_sweep(nonces, now);
	return has_room(nonces, item->owner) ? 0 : ERR_FULL;
}

static uint32_t new_number(struct nonces *nonces)
{
	uint32_t number = nonces->free;

	if (number)
		nonces->free = nonces->entries[number - 1].next;
	else
		number = (uint32_t)++nonces->touched;
	return number;
}

void nonces_take(struct nonces *nonces, const struct nonces_item *item, const struct nonces_now *now)
{
	uint32_t *chain = chain_of(nonces, item->hash), number;
	int64_t left = end_of(nonces, item->stamp_s, item->window) - now->wall_ms;

	assert(item->window < NONCES_WINDOWS && item->owner < NONCES_OWNERS_MAX);
	assert(item->owner == NONCES_NOBODY || has_room(nonces, item->owner));
	if (find(nonces, item->hash))
		return;
	if (nonces->count == nonces->capacity) {
		raise_one(nonces, item->window, item->stamp_s);
		return;
	}
	number = new_number(nonces);
	nonces->entries[number - 1] = (struct entry){.stamp_s = item->stamp_s,
						     .until_ms = now->running_ms + (left > 0 ? left : 0),
						     .next = *chain,
						     .owner = (uint16_t)item->owner,
						     .window = (uint8_t)item->window,
						     .used = true};
	memcpy(nonces->entries[number - 1].hash, item->hash, NONCES_HASH_SIZE);
	*chain = number;
	change_owned(nonces, item->owner, true);
}
