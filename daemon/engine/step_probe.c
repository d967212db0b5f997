/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is on disk: every name in the place, told as what its papers prove it to
 * be. Anything that could not be read makes the whole answer "cannot look",
 * because a name left out would be taken for gone.
 */
#include "daemon/engine/step.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/clones.h"
#include "daemon/engine/names.h"
#include "daemon/engine/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct probe {
	struct worker_job *job;
	struct place place;
	struct reason why;
	struct manifest manifest;
	struct msg msg; /* the item being told */
	uint32_t items;
	bool backups; /* were among them */
};

static void copy_name(const char *folder, const char *name, char *text, size_t size)
{
	snprintf(text, size, "%s%s", folder, name);
	for (; *text; text++) {
		if (*text < 0x21 || *text > 0x7e)
			*text = '?';
	}
}

/* folder: "" or "clones/". */
static void tell(struct probe *p, enum msg_item item, const char *folder, const char *name, uint64_t backup,
		 enum msg_owner owner, const struct nonce *nonce)
{
	struct msg_probed_item *told = &p->msg.u.probed_item;

	p->msg.type = MSG_PROBED_ITEM;
	snprintf(told->cluster, sizeof(told->cluster), "%s", p->job->cluster->id);
	told->item = (uint8_t)item;
	told->backup = backup;
	told->owner = (uint8_t)owner;
	copy_name(folder, name, told->name, sizeof(told->name));
	told->facts.nonce = *nonce;
	step_send(p->job, &p->msg);
	p->items++;
}

static void tell_stranger(struct probe *p, const char *folder, const char *name)
{
	const struct nonce none = {0};

	memset(&p->msg, 0, sizeof(p->msg));
	tell(p, ITEM_STRANGER, folder, name, 0, OWNER_NONE, &none);
}

/* The form and id that a name stands for; false: none of ours. */
static bool parse_name(const char *name, enum place_form *ret_form, uint64_t *ret_id)
{
	enum place_form form = PLACE_WHOLE;

	if (strncmp(name, ".del-", 5) == 0) {
		form = PLACE_GOING;
		name += 5;
	} else if (name[0] == '.') {
		form = PLACE_MAKING;
		name++;
	}
	*ret_form = form;
	return ident_parse_id(name, ret_id) == 0;
}

static enum msg_item judge(enum place_form form, const struct place_look *look)
{
	if (look->thing == THING_EMPTY && form != PLACE_WHOLE)
		return form == PLACE_GOING ? ITEM_DELETING : ITEM_PARTIAL;
	if (look->thing != THING_OURS)
		return ITEM_STRANGER;
	if (form == PLACE_GOING)
		return ITEM_DELETING;
	if (form == PLACE_MAKING)
		return look->has_manifest ? ITEM_PARTIAL_DONE : ITEM_PARTIAL;
	return look->has_manifest ? ITEM_BACKUP : ITEM_STRANGER;
}

static int tell_folder(struct probe *p, const char *name)
{
	enum place_form form;
	struct place_look look;
	enum msg_item item;
	uint64_t id;
	int error;

	memset(&p->msg, 0, sizeof(p->msg));
	if (!parse_name(name, &form, &id)) {
		tell_stranger(p, "", name);
		return 0;
	}
	error = place_look_at(p->job, &p->place, name, NULL, &look, &p->manifest, &p->why);
	if (error < 0)
		return error == ERR_NOT_FOUND ? 0 : error;
	if (look.thing == THING_NONE)
		return 0;
	item = look.has_manifest && p->manifest.backup != id ? ITEM_STRANGER : judge(form, &look);
	p->backups |= item == ITEM_BACKUP;
	if (look.has_manifest) {
		struct msg_facts *facts = &p->msg.u.probed_item.facts;

		*facts = p->manifest.facts;
		snprintf(facts->path, sizeof(facts->path), "%.990s/%" PRIu64, p->place.path, id);
	}
	tell(p, item, "", name, id, look.owner, &look.nonce);
	return 0;
}

static int tell_clone(struct probe *p, int clones_fd, const char *clone)
{
	struct clone_look look;
	int error = clones_look(p->job, clones_fd, clone, NULL, &look, &p->why);
	enum msg_item item = ITEM_STRANGER;

	if (error < 0)
		return error;
	if (look.paper == PAPER_OURS)
		item = look.has_whole && look.intent.made_ms ? ITEM_CLONE : ITEM_CLONE_PARTIAL;
	memset(&p->msg, 0, sizeof(p->msg));
	tell(p, item, "clones/", clone, look.intent.backup, look.owner, &look.intent.nonce);
	return 0;
}

/* Each clone once, whichever of its three names come: by its paper, else by what has none. */
static int tell_clones_name(struct probe *p, int clones_fd, const char *name)
{
	char clone[IDENT_CLONE_SIZE + 8];
	struct clone_look look;
	char *suffix;
	int error;

	snprintf(clone, sizeof(clone), "%.70s", name[0] == '.' ? name + 1 : name);
	suffix = name[0] == '.' ? strstr(clone, ".json") : NULL;
	if (suffix && strcmp(suffix, ".json.new") == 0)
		return 0;
	if (suffix && strcmp(suffix, ".json") == 0)
		*suffix = '\0';
	else
		suffix = NULL;
	if (!ident_is_clone(clone)) {
		tell_stranger(p, "clones/", name);
		return 0;
	}
	if (suffix)
		return tell_clone(p, clones_fd, clone);
	error = clones_look(p->job, clones_fd, clone, NULL, &look, &p->why);
	if (error < 0 || look.paper != PAPER_NONE)
		return error; /* told with its paper */
	tell_stranger(p, "clones/", name);
	return 0;
}

static int list_clones(struct probe *p)
{
	scope_close int fd = clones_open(&p->place, false, &p->why);
	scope_closedir DIR *dir = NULL;
	int error = 0, more = -1;
	const char *name;

	if (fd < 0)
		return fd == ERR_NOT_FOUND ? 0 : fd;
	dir = names_open(fd);
	while (error == 0 && dir && (more = names_next(dir, &name)) > 0)
		error = tell_clones_name(p, fd, name);
	if (error == 0 && more < 0)
		error = reason_set_errno(&p->why, errno, "cannot read %s/clones", p->place.path);
	return error;
}

static bool is_ours(const char *name)
{
	static const char *const names[] = {"clones", "marker.json", "marker.json.new", PLACE_RESTORE, PLACE_RESTORE ".new"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static int list_folders(struct probe *p)
{
	scope_closedir DIR *dir = names_open(p->place.fd);
	int error = 0, more = -1;
	const char *name;

	while (error == 0 && dir && (more = names_next(dir, &name)) > 0) {
		if (!is_ours(name))
			error = tell_folder(p, name);
	}
	if (error == 0 && more < 0)
		error = reason_set_errno(&p->why, errno, "cannot read %s", p->place.path);
	/* Who hears of a backup may adopt it: its name has to be on disk, not only in memory. */
	return error == 0 && p->backups ? place_sync(p->place.fd, &p->why) : error;
}

static void tell_end(struct probe *p)
{
	struct msg_probed *told = &p->msg.u.probed;
	struct space space;

	memset(&p->msg, 0, sizeof(p->msg));
	p->msg.type = MSG_PROBED;
	snprintf(told->cluster, sizeof(told->cluster), "%s", p->job->cluster->id);
	told->place = (uint8_t)p->place.state;
	told->code = p->why.code;
	memcpy(told->cause, p->why.cause, sizeof(told->cause));
	memcpy(told->remedy, p->why.remedy, sizeof(told->remedy));
	memcpy(told->snapshot_dir, p->place.path, sizeof(told->snapshot_dir));
	told->items = p->items;
	if (p->place.fd >= 0 && space_read(p->place.fd, &space) == 0) {
		told->free_bytes = space.free_bytes;
		told->total_bytes = space.total_bytes;
		told->file_system = p->place.volume.number;
	}
	step_send(p->job, &p->msg);
}

void step_probe(struct worker_job *job, bool exclusive)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct reason source = {0};
	int error;

	if (!p)
		_exit(1); /* the engine answers for a worker that did not */
	p->job = job;
	job_open_source(job, &source);
	error = place_open(job, exclusive ? PLACE_EXCLUSIVE : PLACE_SHARED, true, &p->place, &p->why);
	if (error == 0)
		error = list_folders(p);
	if (error == 0)
		error = list_clones(p);
	if (error < 0 && p->place.state == PLACE_ONLINE)
		p->place.state = PLACE_OFFLINE;
	/* "No marker" is the smaller half of the truth when the database's own folder is missing. */
	if (p->place.state == PLACE_OFFLINE && job->data_fd < 0 && !job->retired) {
		p->why = source;
		if (!source.retry)
			p->place.state = PLACE_REFUSED;
	}
	tell_end(p);
	place_close(&p->place);
	free(p);
}
