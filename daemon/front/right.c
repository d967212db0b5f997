/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is there and what is not take the same way: a look into the catalogue, and a decision. */
#include "daemon/front/right.h"

#include "common/err.h"
#include "common/policy.h"
#include "common/scope.h"
#include "daemon/front/api.h"
#include "daemon/front/authz.h"
#include "daemon/front/caller.h"
#include "daemon/front/front.h"
#include "daemon/front/param.h"
#include "daemon/front/present.h"
#include "daemon/front/reply.h"
#include "daemon/front/store.h"

#include <string.h>

/* What the request names by id. */
struct named {
	struct call *call;
	struct store_txn *txn;
	bool missing;                     /* one of them is, for this caller */
	bool several;                     /* they are of several clusters */
	char cluster[IDENT_CLUSTER_SIZE]; /* of the last one, if it is there */
	const char *mode;
	struct policy_decision decision;  /* on the last one: the first that is missing ends the search */
};

static bool forbid(struct call *call, const struct policy_decision *decision)
{
	authz_note(call, decision);
	reply_error(call, REPLY_FORBIDDEN, NULL);
	return false;
}

/* Reads that succeed are not recorded. */
static bool note(struct call *call, const struct policy_decision *decision)
{
	if (call->row->level != API_LEVEL_GET || call->hidden)
		authz_note(call, decision);
	return true;
}

static bool is_about_backups(const struct call *call)
{
	return call->row->about == API_ABOUT_BACKUP || call->row->about == API_ABOUT_BACKUPS;
}

static bool allows(const struct call *call, const char *cluster, const char *mode)
{
	struct policy_decision decision;

	return cluster[0] ? authz_allows(call, cluster, mode, &decision) : authz_allows_some(call, mode);
}

/* Whatever exists: is there anything at all with which it would be allowed? */
static bool could_be_allowed(const struct call *call)
{
	if (allows(call, call->cluster, NULL))
		return true;
	return is_about_backups(call) && (allows(call, call->cluster, present_mode(BACKUP_MANUAL)) ||
					  allows(call, call->cluster, present_mode(BACKUP_AUTOMATED)));
}

/* ---- what the ids are ---- */

/* cluster: of what is there; NULL: nothing is. */
static void judge(struct named *named, const char *cluster, const char *mode)
{
	const char *wanted = named->call->cluster;
	bool is_there = cluster && (!wanted[0] || strcmp(wanted, cluster) == 0);

	if (!is_there) {
		cluster = wanted;
		mode = NULL;
	} else if (strcmp(cluster, named->cluster) == 0 && mode == named->mode) {
		return; /* as the one before */
	}
	named->missing = !authz_allows(named->call, cluster, mode, &named->decision) || !is_there;
	if (!is_there) {
		named->cluster[0] = '\0';
		return;
	}
	named->several |= named->cluster[0] && strcmp(named->cluster, cluster) != 0;
	memcpy(named->cluster, cluster, strlen(cluster) + 1);
	named->mode = mode;
}

/* A job's id, or a deleted backup's, has a cluster and no mode. */
static int find_mode(const struct named *named, const char *cluster, uint64_t id, const char **ret_mode)
{
	struct record_backup_peek backup;
	int r = store_backup_peek(named->txn, cluster, id, &backup);

	if (r == 0 && backup_group(backup.state) != BACKUP_GROUP_GONE)
		*ret_mode = present_mode(backup.mode);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int judge_id(struct named *named, uint64_t id)
{
	char cluster[IDENT_CLUSTER_SIZE];
	const char *mode = NULL;
	int r = store_id_cluster(named->txn, id, cluster);
	bool is_there = r == 0;

	if (r == 0 && is_about_backups(named->call))
		r = find_mode(named, cluster, id, &mode);
	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	judge(named, is_there ? cluster : NULL, mode);
	return 0;
}

static int judge_ids(struct named *named, const char *text, size_t most)
{
	uint64_t ids[PARAM_IDS_MAX];
	int count = param_parse_ids(text, ids, most), r = 0;

	if (count == ERR_NOMEM)
		return count;
	if (count < 0) /* the operation says what is wrong with them */
		judge(named, NULL, NULL);
	for (int i = 0; r == 0 && i < count && !named->missing; i++)
		r = judge_id(named, ids[i]);
	return r;
}

static int judge_clone(struct named *named, const char *name)
{
	struct record_clone clone;
	int r = store_clone_get(named->txn, name, &clone);

	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	judge(named, r == 0 ? clone.cluster : NULL, NULL);
	return 0;
}

static int judge_named(struct named *named, const char *name)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(named->call->front->store, &txn);

	if (r < 0)
		return r;
	named->txn = txn;
	if (named->call->row->about == API_ABOUT_CLONE)
		return judge_clone(named, name);
	return judge_ids(named, name, named->call->row->about == API_ABOUT_BACKUPS ? PARAM_IDS_MAX : 1);
}

/* ---- what follows ---- */

static bool check_named(struct call *call, const char *name)
{
	struct named named = {.call = call};
	struct policy_decision decision;
	bool on_nothing = authz_allows(call, call->cluster, NULL, &decision);
	int r;

	/* Who is refused whatever it is learns nothing from the time it takes either: nothing is looked up. */
	if (!on_nothing && !could_be_allowed(call))
		return forbid(call, &decision);
	r = judge_named(&named, name);
	if (r < 0) {
		reply_store_error(call, r);
		return false;
	}
	call->hidden = named.missing;
	/* Where the caller may not go only the audit record names it. */
	if (named.cluster[0] && (named.missing ? !on_nothing : !named.several))
		memcpy(call->cluster, named.cluster, sizeof(named.cluster));
	if (named.missing && !on_nothing)
		return forbid(call, &named.decision);
	return note(call, &named.decision);
}

static bool check_one(struct call *call)
{
	const char *mode = call->row->operation == OPERATION_CREATE_BACKUP ? present_mode(BACKUP_MANUAL) : NULL;
	struct policy_decision decision;

	if (!authz_allows(call, call->cluster, mode, &decision))
		return forbid(call, &decision);
	return note(call, &decision);
}

/* Those of the mode that the request names, or that are allowed: who may not see a mode does not by naming none. */
static bool check_backups(struct call *call)
{
	static const enum backup_mode modes[] = {BACKUP_MANUAL, BACKUP_AUTOMATED};
	const char *wanted = request_get(&call->request, "BackupMode");
	struct policy_decision decision = {.answer = POLICY_SILENT};
	size_t seen = 0;

	for (size_t i = 0; i < 2; i++) {
		const char *mode = present_mode(modes[i]), *other = present_mode(modes[1 - i]);

		if ((wanted && strcmp(wanted, other) == 0) || !authz_allows(call, call->cluster, mode, &decision))
			continue;
		call->mode = (uint8_t)modes[i];
		seen++;
	}
	if (seen == 0)
		return forbid(call, &decision);
	if (seen == 2)
		call->mode = 0;
	return true;
}

static bool check_list(struct call *call)
{
	const struct policy_decision nobody = {.answer = POLICY_SILENT};

	return authz_allows_some(call, NULL) || forbid(call, &nobody);
}

bool right_check(struct call *call)
{
	const char *name = api_name(call);

	call->generation = call->front->conf.generation;
	if (name)
		return check_named(call, name);
	if (operation_lists_backups(call->row->operation))
		return check_backups(call);
	return call->cluster[0] ? check_one(call) : check_list(call);
}

void right_keep(struct call *call)
{
	if (peer_copy(call->peer, &call->kept) < 0)
		front_die("keeping who asks", ERR_NOMEM);
	call->peer = &call->kept;
}

bool right_check_again(struct call *call)
{
	if (call->generation == call->front->conf.generation)
		return true;
	call->generation = call->front->conf.generation;
	return caller_identify_again(call) && check_one(call);
}
