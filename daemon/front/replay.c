/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One transaction for both: the clock's mark and the nonce. */
#include "daemon/front/replay.h"

#include "common/err.h"
#include "common/log.h"
#include "common/scope.h"
#include "daemon/front/front.h"

#include <string.h>

/* The two clocks are not read at once: less than this between them is no jump. */
enum { MARGIN_MS = 20 };

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int keep(struct replay *replay, const struct nonces_item *item, bool ahead, const struct nonces_now *now)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct store_clock clock = replay->clock;
	struct store_nonce nonce = {.stamp_s = item->stamp_s, .window = (uint8_t)item->window};
	int r = store_begin(replay->front->store, &txn);

	if (clock.ahead_ms < now->wall_ms - now->running_ms)
		clock.ahead_ms = now->wall_ms - now->running_ms + MARGIN_MS;
	clock.wall_ms = later(clock.wall_ms, now->wall_ms);
	memcpy(nonce.hash, item->hash, sizeof(nonce.hash));
	if (r == 0)
		r = store_clock_put(txn, &clock);
	/* Every later front refuses what is stamped up to now: of that nothing need be kept any more. */
	if (r == 0 && ahead)
		r = store_nonce_keep(txn, &nonce, now->wall_ms / 1000);
	if (r == 0)
		r = store_commit(scope_take_ptr(txn));
	if (r == 0)
		replay->clock = clock;
	return r;
}

int replay_accept(void *arg, const struct nonces_item *item, const struct nonces_now *now)
{
	struct replay *replay = arg;
	bool ahead = item->stamp_s > now->wall_ms / 1000;

	if (!ahead && now->wall_ms - now->running_ms <= replay->clock.ahead_ms)
		return 0;
	return keep(replay, item, ahead, now);
}

static int remember(void *arg, const struct store_nonce *nonce)
{
	struct replay *replay = arg;
	struct nonces_item item = {.stamp_s = nonce->stamp_s, .window = nonce->window, .owner = NONCES_NOBODY};
	const struct front *front = replay->front;
	const struct nonces_now now = {front->started_ms, front->started_running_ms};

	if (nonce->window >= NONCES_WINDOWS)
		return ERR_CORRUPT;
	memcpy(item.hash, nonce->hash, sizeof(item.hash));
	nonces_take(sign_nonces(front->sign), &item, &now);
	return 0;
}

int replay_load(struct replay *replay)
{
	struct front *front = replay->front;
	scope_store_abort struct store_txn *txn = NULL;
	struct store_clock clock = {0};
	int64_t floor_ms = front->started_ms;
	int r = store_read(front->store, &txn);

	if (r == 0)
		r = store_clock_get(txn, &clock);
	if (r == 0)
		floor_ms = later(floor_ms, later(clock.wall_ms, front->started_running_ms + clock.ahead_ms));
	if (r == 0 || r == ERR_NOT_FOUND)
		r = store_nonce_each(txn, remember, replay);
	if (r < 0)
		return r;
	replay->clock = clock;
	nonces_raise_floor(sign_nonces(front->sign), floor_ms / 1000);
	if (floor_ms > front->started_ms + 1000)
		log_warning("the clock was set back by %lld s since signed requests were served: those that are stamped earlier than that are refused until it has caught up",
			    (long long)(floor_ms - front->started_ms) / 1000);
	return 0;
}
