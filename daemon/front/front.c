/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What does not belong to one module alone. */
#include "daemon/front/front.h"

#include "common/err.h"
#include "common/log.h"

#include <unistd.h>

struct quota_limits front_quota_limits(const struct front *front)
{
	return (struct quota_limits){
		.manual_retained = front->conf.manual_retained,
		.manual_per_day = front->conf.manual_per_day,
		.creates_per_day = front->conf.creates_per_day,
	};
}

void front_die(const char *what, int code)
{
	log_error("%s: %s; this process ends, the next one recovers", what, err_text(code));
	_exit(1);
}
