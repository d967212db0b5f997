/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server that is held still outlives whoever held it, so each hold is noted
 * before it begins, in frozen/ beside the socket: one file a cluster, "PID START", START being
 * the process's start time (field 22 of /proc/PID/stat), so that no other process of that number is ever
 * touched.
 */
#ifndef DBSNAP_ENGINE_FREEZE_H
#define DBSNAP_ENGINE_FREEZE_H

/*
 * Lets every process noted in the folder run again and removes the notes. Returns how many
 * notes there were, 0 when there is no such folder, or a code when one could not be undone (it is logged and
 * stays).
 */
int freeze_thaw_all(const char *socket_path);

#endif
