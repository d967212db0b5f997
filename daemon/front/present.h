/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records as the API shows them: one object each, new, the caller's. */
#ifndef DBSNAP_FRONT_PRESENT_H
#define DBSNAP_FRONT_PRESENT_H

#include "daemon/front/front.h"
#include "daemon/front/param.h"
#include "daemon/front/store.h"

#include <jansson.h>

/* "3.071" of microseconds. */
void present_milliseconds(json_t *object, const char *name, uint64_t us);
/* "Manual", "Automated": static. */
const char *present_mode(enum backup_mode mode);
json_t *present_backup(const struct front *front, const struct record_backup *backup);
/* An item of DescribeBackupTasks. job: a create. */
json_t *present_task(const struct front *front, const struct record_job *job);
/* An item of DescribeJobs. */
json_t *present_job(const struct front *front, const struct record_job *job);
/* running: its server answers. */
json_t *present_clone(const struct record_clone *clone, bool running);

/* Puts the three counts (as strings) and Items.<kind>; takes items. */
void present_page(json_t *object, const struct param_page *page, uint64_t total, const char *kind, json_t *items);
/* The part of "PostgreSQL 15.18" behind the name; "" if there is none. Borrowed from server. */
const char *present_version(const char *server);

#endif
