/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UTF-8 as it may come from outside. */
#ifndef DBSNAP_UTF8_H
#define DBSNAP_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* No sequence in it is overlong, a surrogate, beyond U+10FFFF or cut off. */
bool utf8_is_valid(const char *text, size_t size);

#endif
