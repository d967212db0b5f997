/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The front's state_dir: made if missing, else its owner and mode are checked. Never looked into. */
#ifndef DBSNAP_ENGINE_STATEDIR_H
#define DBSNAP_ENGINE_STATEDIR_H

#include "common/conf.h"

/* 0; or a code, logged with the remedy. That it lies in no data_dir is the configuration's check. */
int statedir_prepare(const struct conf *conf, const struct proc_identity *owner);

#endif
