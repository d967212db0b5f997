/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages between front, engine and workers: what a decoder takes, the encoder writes in the same bytes. */
#include "common/msg.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

static void check_taken(const struct msg *msg, const uint8_t *data, size_t size)
{
	static uint8_t bytes[MSG_SIZE_MAX];
	int written = msg_encode(msg, bytes, sizeof(bytes));

	must(msg_name(msg->type));
	must(size <= sizeof(bytes));
	must(written == (int)size);
	must(memcmp(bytes, data, size) == 0);
	must(msg_encode(msg, bytes, size - 1) == ERR_TOO_LONG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg *msg = fuzz_output(sizeof(*msg));
	int error = msg_decode(data, size, msg);

	if (error == 0)
		check_taken(msg, data, size);
	else
		must(error == ERR_INVALID && fuzz_untouched(msg, sizeof(*msg)));
	free(msg);
	return 0;
}
