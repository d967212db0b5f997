/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What protects from replays across the end of a front: its memory of nonces goes with it. A new front refuses
 * what is stamped not later than its start, in whole seconds, and not later than what the wall clock would say
 * if it had never been set back while signed requests were served: who has a right clock never meets either,
 * and nothing has to be kept for him. Only a request that is stamped later than our clock would live on after
 * a restart; its nonce is committed to the catalogue before it is served. So clients with a right clock never pay
 * that commit, and a client whose clock is fast pays it for each request.
 *
 * How far wall time was ahead of running time when a signed request was last served is kept as well, committed
 * before the first such request and whenever it has grown. In another boot running time begins anew: what is known then
 * is the last wall time that was kept, and the moment of the earlier boot.
 */
#ifndef DBSNAP_FRONT_REPLAY_H
#define DBSNAP_FRONT_REPLAY_H

#include "daemon/front/sign.h"
#include "daemon/front/store.h"

struct front;

struct replay {
	struct front *front;
	struct store_clock clock; /* as kept */
};

/* The accept function of sign_new(); arg: the struct replay. Waits for the disk if something is to be kept. */
sign_accept_fn replay_accept;
/* At the start, with the store open: the floor, and the nonces that were kept. 0 or an error of the store. */
int replay_load(struct replay *replay);

#endif
