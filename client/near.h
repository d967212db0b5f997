/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which known names a mistyped one may have meant. Pure. */
#ifndef DBSNAP_CLIENT_NEAR_H
#define DBSNAP_CLIENT_NEAR_H

#include <stdbool.h>
#include <stddef.h>

/* Edits (insert, delete, change, swap of neighbours) from a to b; of names over 63 bytes only the beginning
 * counts. */
size_t near_distance(const char *a, const char *b);
/* Whether name is close enough to be what was meant by typed. */
bool near_is_near(const char *typed, const char *name);

#endif
