/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What became of tables while mariadb-backup copied them. It copies tables without transactions (MyISAM, Aria, CSV, ARCHIVE,
 * MERGE) one after the other; then it does to the copies what the server has noted in data_dir/ddl.log since BACKUP STAGE START,
 * also what had happened to a table before it was copied. So the copies of a table that was dropped, renamed or
 * given another engine, and made anew by the same name, are removed or get another table's rows, and it ends with "completed
 * OK!". TRUNCATE TABLE is not held and not noted. Seen with 10.11.19; its source is extra/mariabackup/ddl_log.cc.
 */
#ifndef DBSNAP_ENGINE_MY_DDL_H
#define DBSNAP_ENGINE_MY_DDL_H

#include "daemon/engine/job.h"

/*
 * In the walker, right after the copy: 0 if the image has all tables as they were at its end, but for emptied ones. Otherwise, and
 * where that cannot be told, a code, and why names the table: another attempt helps.
 */
int my_ddl_judge(int data_fd, int image_fd, struct reason *why);

/*
 * In the walker, when the program has done to its copies what the log says and the server still holds writers of such tables: 0 if
 * none of them has been emptied since it was copied, or a code with why. Later it is told by tables that are still shorter.
 */
int my_ddl_find_emptied(int data_fd, int image_fd, struct reason *why);

#endif
