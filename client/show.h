/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shows everything that is known of one thing, a line a field. */
#ifndef DBSNAP_CLIENT_SHOW_H
#define DBSNAP_CLIENT_SHOW_H

#include <jansson.h>

/* Known fields first, in the order and words of people; then whatever else the object holds. */
void show_item(const json_t *item);
/* What a promise ("atomic") means by a backend ("btrfs"); "" for an unknown one. Static. */
const char *show_promise(const char *promise, const char *backend);

#endif
