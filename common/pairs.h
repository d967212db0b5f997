/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strings of "key = value" pairs. The rules of quoting are those of libpq. */
#ifndef DBSNAP_PAIRS_H
#define DBSNAP_PAIRS_H

enum { PAIRS_KEY_SIZE = 64, PAIRS_VALUE_SIZE = 1024 };

struct pair {
	char key[PAIRS_KEY_SIZE];
	char value[PAIRS_VALUE_SIZE];
};

/* The pair at text, blanks before it skipped. What follows it; text's end if there is none (key is ""); NULL: malformed. */
const char *pairs_next(const char *text, struct pair *ret_pair);

#endif
