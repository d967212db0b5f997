/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is kept of a cluster for the day when no file registers it any more: what
 * finding, deleting and cloning its backups needs, as one small JSON file. The install is that of the
 * store which has the records; all zero before one has said hello.
 */
#ifndef DBSNAP_ENGINE_NOTE_H
#define DBSNAP_ENGINE_NOTE_H

#include "common/conf.h"

#include <stddef.h>

/* The caller frees it; NULL: no memory. */
char *note_encode(const struct conf_cluster *cluster, const struct nonce *install);

/*
 * The cluster as it was; what a note does not have is empty. With neither identity_known nor
 * identity_from_owner the user could not be found out. 0; ERR_CORRUPT, ERR_VERSION, ERR_NOMEM.
 */
int note_decode(const char *text, size_t size, struct conf_cluster *ret_cluster, struct nonce *ret_install);

#endif
