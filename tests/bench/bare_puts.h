/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an accepted create puts, committed bare: the limit that acknowledgements are measured against. */
#ifndef DBSNAP_TESTS_BARE_PUTS_H
#define DBSNAP_TESTS_BARE_PUTS_H

#include <stdint.h>

struct bare_puts;

/* A new environment in the folder, opened like the store's. Says on standard error what failed, and exits. */
struct bare_puts *bare_puts_open(const char *dir);
/* One transaction of as many puts as an accepted create makes, of the same sizes. number: one more each time. */
void bare_puts_commit(struct bare_puts *puts, uint64_t number);
void bare_puts_close(struct bare_puts *puts);

#endif
