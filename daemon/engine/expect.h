/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What to expect of a cut that was never measured: from how the cluster lies, and how much there is. Pure. */
#ifndef DBSNAP_ENGINE_EXPECT_H
#define DBSNAP_ENGINE_EXPECT_H

#include "daemon/engine/layout.h"

#include <stdbool.h>
#include <stdint.h>

/* All that a backup takes, as far as it was measured. */
struct expect_size {
	bool known;
	uint64_t bytes;
	uint64_t files;
	uint64_t extents; /* of the largest files */
};

/* Completes layout's expected, unless the database has said all of it. layout is admitted. */
void expect_cut(struct layout *layout, const struct expect_size *size);

#endif
