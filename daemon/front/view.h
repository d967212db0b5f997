/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The clusters that a list may show its caller: those he may do it to, or the one that he named. */
#ifndef DBSNAP_FRONT_VIEW_H
#define DBSNAP_FRONT_VIEW_H

#include "daemon/front/call.h"
#include "daemon/front/cluster.h"

#include <stdbool.h>
#include <stddef.h>

struct view {
	const struct cluster **clusters; /* by id; the array is owned */
	size_t count;
};

/* For a call whose right was checked. Out of memory ends the process. */
void view_make(const struct call *call, struct view *ret_view);
void view_clear(struct view *view);
bool view_has(const struct view *view, const char *cluster);

#define scope_view __attribute__((cleanup(view_clear)))

#endif
