/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the fuzz targets share. A target is one LLVMFuzzerTestOneInput(), which libFuzzer calls with inputs that
 * it makes (--enable-fuzz), and replay.c with those of the corpus (make check). It says with must() what has to
 * hold of every input; that nothing crashes is the least of it.
 */
#ifndef DBSNAP_FUZZ_H
#define DBSNAP_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Always compiled in: ends the process at the input that breaks it. */
#define must(condition) \
	((condition) ? (void)0 : (fprintf(stderr, "%s:%d: must: %s\n", __FILE__, __LINE__, #condition), abort()))

enum { FUZZ_FILL = 0xa5 };

/* What an output is filled with before a call, and whether the call has left it alone. */
static inline void fuzz_fill(void *output, size_t size)
{
	memset(output, FUZZ_FILL, size);
}

static inline bool fuzz_untouched(const void *output, size_t size)
{
	const uint8_t *bytes = output;

	/* Each byte is the fill because the one before it is. */
	return bytes[0] == FUZZ_FILL && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Memory for an output, filled: large ones are no guests of the stack. */
static inline void *fuzz_output(size_t size)
{
	void *output = malloc(size);

	must(output);
	fuzz_fill(output, size);
	return output;
}

#endif
