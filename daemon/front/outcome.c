/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's bounds and the store's differ: what is too long is cut. */
#include "daemon/front/outcome.h"

#include <string.h>

void outcome_copy(char *text, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size) {
		length = size - 1;
		while (length > 0 && ((unsigned char)from[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(text, from, length);
	text[length] = '\0';
}

void outcome_failure(struct record_failure *failure, int code, const char *cause, const char *remedy)
{
	failure->code = code;
	outcome_copy(failure->cause, sizeof(failure->cause), cause);
	outcome_copy(failure->remedy, sizeof(failure->remedy), remedy);
}

void outcome_available(struct record_backup *backup, const struct msg_facts *facts, uint64_t cluster_size)
{
	backup->state = BACKUP_AVAILABLE;
	backup->started_ms = facts->started_ms;
	backup->ended_ms = facts->ended_ms;
	backup->consistent_ms = facts->consistent_ms;
	backup->cut_us = facts->cut_us;
	backup->freeze_us = facts->freeze_us;
	backup->size = facts->size_known ? facts->size : cluster_size;
	backup->size_ms = facts->size_known ? facts->ended_ms : 0;
	outcome_copy(backup->backend, sizeof(backup->backend), facts->backend);
	outcome_copy(backup->procedure, sizeof(backup->procedure), facts->procedure);
	outcome_copy(backup->promise, sizeof(backup->promise), facts->promise);
	outcome_copy(backup->weakened, sizeof(backup->weakened), facts->weakened);
	outcome_copy(backup->server, sizeof(backup->server), facts->server);
	outcome_copy(backup->position, sizeof(backup->position), facts->position);
	outcome_copy(backup->path, sizeof(backup->path), facts->path);
	backup->failure = (struct record_failure){0};
	backup->last_error[0] = '\0';
}
