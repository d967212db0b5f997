/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records as the API shows them: one object each, new, the caller's. */
#ifndef DBSNAP_FRONT_PRESENT_H
#define DBSNAP_FRONT_PRESENT_H

#include "daemon/front/front.h"
#include "daemon/front/param.h"
#include "daemon/front/store.h"

#include "daemon/front/doc.h"

/* "3.071" of microseconds. */
void present_milliseconds(struct doc *object, const char *name, uint64_t us);
/* "Manual", "Automated": static. */
const char *present_mode(enum backup_mode mode);
struct doc *present_backup(const struct front *front, const struct record_backup *backup);
/* An item of DescribeBackupTasks. job: a create. */
struct doc *present_task(const struct front *front, const struct record_job *job);
/* An item of DescribeJobs. */
struct doc *present_job(const struct front *front, const struct record_job *job);
/* running: its server answers. */
struct doc *present_clone(const struct record_clone *clone, bool running);

/* Puts the three counts (as strings) and Items.<kind>; takes items. */
void present_page(struct doc *object, const struct param_page *page, uint64_t total, const char *kind, struct doc *items);
/* The part of "PostgreSQL 15.18" behind the name; "" if there is none. Borrowed from server. */
const char *present_version(const char *server);

#endif
