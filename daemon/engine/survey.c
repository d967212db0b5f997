/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One walk over each folder. A name that cannot be gone into is counted and passed by, so that one of them does not
 * hide the rest; time is looked at between names.
 */
#include "daemon/engine/survey.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/extents.h"
#include "daemon/engine/inodes.h"
#include "daemon/engine/names.h"
#include "daemon/engine/volume.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	NAMES_A_LOOK = 64, /* between two at the clock */
	EXTENTS_MS = 1000, /* for all largest files, after the walk */
	MARGIN_MS = 2000,  /* until a walker that does not answer is ended */
	FOLDER_MAX = PATH_MAX - NAME_MAX - 2
};

struct walk {
	const struct survey_question *question;
	const struct survey_root *root;
	struct survey *survey;
	dev_t device;
	struct inodes seen;
	unsigned names;
	char quiet[PATH_MAX]; /* nothing below it is taken: what it holds is counted only; "" */
	char (*largest)[PATH_MAX]; /* a part's */
};

size_t survey_part_of(const struct layout *layout, const char *path)
{
	for (size_t i = 1; i < layout->part_count; i++) {
		const struct layout_part *part = &layout->parts[i];
		size_t length = strlen(part->prefix);

		if (part->inside && length && strncmp(path, part->prefix, length) == 0 &&
		    (part->prefix[length - 1] == '/' || !strchr(path + length, '/')))
			return i;
	}
	return 0;
}

static void find(struct walk *walk, enum survey_kind kind, const char *path)
{
	struct survey_found *found = &walk->survey->found[kind];
	const char *role = walk->question->layout->parts[walk->root->part].role;
	size_t used = 0;

	if (found->count++)
		return;
	if (walk->root->part)
		used = (size_t)snprintf(found->first, sizeof(found->first), "%s: ", role);
	names_escape(path, found->first + used, sizeof(found->first) - used);
}

static void count(struct walk *walk, const struct tree_entry *entry)
{
	size_t part = walk->root->part ? walk->root->part : survey_part_of(walk->question->layout, entry->path);
	struct survey_size *size = &walk->survey->parts[part];
	uint64_t bytes = (uint64_t)entry->st.st_blocks * 512;
	bool several = !S_ISDIR(entry->st.st_mode) && entry->st.st_nlink > 1;

	if (!several || inodes_add(&walk->seen, entry->st.st_ino))
		size->bytes += bytes;
	if (!S_ISREG(entry->st.st_mode))
		return;
	size->files++;
	if (walk->largest[part][0] && bytes <= size->largest_bytes)
		return;
	size->largest_bytes = bytes;
	snprintf(walk->largest[part], PATH_MAX, "%s", entry->path);
}

/* Below a folder whose contents are not taken? The walk is depth first, so one such is enough to know. */
static bool is_quiet(const struct walk *walk, const char *path)
{
	size_t length = strlen(walk->quiet);

	return length && strncmp(path, walk->quiet, length) == 0 && path[length] == '/';
}

static bool is_readable(const struct tree_entry *entry)
{
	int mode = S_ISDIR(entry->st.st_mode) ? R_OK | X_OK : R_OK;

	return faccessat(entry->dir_fd, entry->name, mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT;
}

static unsigned depth_of(const char *path)
{
	unsigned depth = 0;

	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

static bool is_deep(const struct tree_entry *entry)
{
	return S_ISDIR(entry->st.st_mode) && (depth_of(entry->path) >= TREE_DEPTH_MAX || strlen(entry->path) > FOLDER_MAX);
}

static enum tree_fate fate_of(struct walk *walk, const struct tree_entry *entry)
{
	const struct survey_question *question = walk->question;
	struct survey_found *refused = &walk->survey->found[SURVEY_REFUSED];
	struct reason why = {0};
	enum tree_fate fate = TREE_TAKE;

	if (question->judge)
		fate = question->judge(question->arg, walk->root->number, entry->path, &entry->st, &why);
	if (fate == TREE_REFUSE && refused->count++ == 0)
		names_escape(why.cause, refused->first, sizeof(refused->first));
	return fate;
}

/* What a backup would do with it, before anything below it is looked at. */
static void look(struct walk *walk, const struct tree_entry *entry, bool foreign)
{
	enum tree_fate fate = fate_of(walk, entry);
	mode_t mode = entry->st.st_mode;
	bool taken = fate == TREE_TAKE || fate == TREE_LAST;

	if (!taken)
		snprintf(walk->quiet, sizeof(walk->quiet), "%s", entry->path);
	if (foreign && fate != TREE_LEAVE_OUT)
		find(walk, SURVEY_FOREIGN, entry->path);
	else if (!taken)
		return;
	else if (S_ISLNK(mode))
		find(walk, SURVEY_LINK, entry->path);
	else if (!S_ISDIR(mode) && !S_ISREG(mode))
		find(walk, SURVEY_SPECIAL, entry->path);
	else if (!is_readable(entry))
		find(walk, SURVEY_UNREADABLE, entry->path);
	else if (is_deep(entry))
		find(walk, SURVEY_DEEP, entry->path);
}

static int visit(void *arg, const struct tree_entry *entry, struct reason *why)
{
	struct walk *walk = arg;
	bool foreign = entry->st.st_dev != walk->device;
	bool shut = S_ISDIR(entry->st.st_mode) && !is_readable(entry);

	if (walk->names++ % NAMES_A_LOOK == 0 && clock_running_ms() >= walk->question->deadline_ms)
		return reason_set(why, ERR_TIMEOUT, NULL, "there was no time for more");
	if (walk->root->taken && !is_quiet(walk, entry->path))
		look(walk, entry, foreign);
	if (!foreign)
		count(walk, entry);
	if (shut || foreign || is_deep(entry)) {
		walk->survey->parts[walk->root->part].measured = PART_AT_LEAST;
		return TREE_PASS_BY;
	}
	return 0;
}

static void walk_root(struct walk *walk, const struct survey_root *root, int fd)
{
	struct survey *survey = walk->survey;
	struct survey_size *size = &survey->parts[root->part];
	struct reason why = {0};
	struct stat st;

	walk->root = root;
	walk->quiet[0] = '\0';
	size->measured = PART_MEASURED;
	if (fstat(fd, &st) < 0) {
		size->measured = PART_NOT_MEASURED;
		return;
	}
	walk->device = st.st_dev;
	if (tree_walk(fd, visit, walk, &why) == 0)
		return;
	size->measured = PART_AT_LEAST;
	if (!survey->ended[0])
		names_escape(why.cause, survey->ended, sizeof(survey->ended));
}

static bool has_no_cow(int fd)
{
	struct volume volume;
	int flags = 0;

	return volume_of(fd, &volume) == 0 && volume_is_btrfs(&volume) && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
	       flags & FS_NOCOW_FL;
}

static void look_at_largest(struct walk *walk, size_t part, int root_fd, int64_t deadline_ms)
{
	struct survey_size *size = &walk->survey->parts[part];
	scope_close int fd = walk->largest[part][0] ? tree_open(root_fd, walk->largest[part], O_RDONLY, 0) : -1;
	struct stat st;

	names_escape(walk->largest[part], size->largest, sizeof(size->largest));
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		size->no_cow = part == walk->root->part && has_no_cow(root_fd);
		return;
	}
	size->no_cow = has_no_cow(fd);
	if (clock_running_ms() < deadline_ms)
		extents_count(fd, SURVEY_EXTENTS_MAX, deadline_ms, &size->extents, &size->more_extents);
}

/* The parts that lie in the data directory are as well measured as that one. */
static void end_root(struct walk *walk, const struct survey_root *root, int fd)
{
	const struct layout *layout = walk->question->layout;
	int64_t deadline_ms = walk->question->deadline_ms + EXTENTS_MS;

	walk->root = root;
	look_at_largest(walk, root->part, fd, deadline_ms);
	for (size_t i = 1; root->part == 0 && i < layout->part_count; i++) {
		if (!layout->parts[i].inside)
			continue;
		walk->survey->parts[i].measured = walk->survey->parts[0].measured;
		look_at_largest(walk, i, fd, deadline_ms);
	}
}

void survey_walk(const struct survey_question *question, const int *fds, struct survey *ret_survey)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	*ret_survey = (struct survey){0};
	if (walk)
		walk->largest = calloc(LAYOUT_PARTS_MAX, sizeof(*walk->largest));
	if (!walk || !walk->largest) {
		snprintf(ret_survey->ended, sizeof(ret_survey->ended), "out of memory");
		free(walk);
		return;
	}
	walk->question = question;
	walk->survey = ret_survey;
	for (size_t i = 0; i < question->count; i++) {
		walk_root(walk, &question->roots[i], fds[i]);
		inodes_free(&walk->seen); /* numbers are one file system's */
	}
	for (size_t i = 0; i < question->count; i++)
		end_root(walk, &question->roots[i], fds[i]);
	free(walk->largest);
	free(walk);
}

static int walk_for(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)why;
	survey_walk(arg, fds, answer);
	return 0;
}

static void tidy_text(char text[static SURVEY_TEXT_SIZE])
{
	text[SURVEY_TEXT_SIZE - 1] = '\0';
	for (char *c = text; *c; c++)
		*c = *c < 0x20 || *c > 0x7e ? '?' : *c;
}

/* The walker is the database's user: its words are strings that end, numbers that are some. */
static void tidy(struct survey *survey)
{
	for (size_t i = 0; i < LAYOUT_PARTS_MAX; i++) {
		struct survey_size *size = &survey->parts[i];

		if (size->measured > PART_MEASURED_MAX)
			size->measured = PART_NOT_MEASURED;
		size->no_cow = *(unsigned char *)&size->no_cow != 0;
		size->more_extents = *(unsigned char *)&size->more_extents != 0;
		tidy_text(size->largest);
	}
	for (int kind = 0; kind < SURVEY_KINDS; kind++)
		tidy_text(survey->found[kind].first);
	tidy_text(survey->ended);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* A part that lies elsewhere, if it is to be measured and can be opened. A link's target may be relative: to its folder. */
static int open_elsewhere(struct worker_job *job, const struct layout_part *part)
{
	char path[2 * MSG_PATH_SIZE];
	struct reason ignored = {0};
	int fd = -1;

	if (part->inside || strcmp(part->role, "snapshots") == 0 || strcmp(part->role, "configuration") == 0)
		return -1;
	snprintf(path, sizeof(path), "%s%s%s", part->path[0] == '/' ? "" : job->cluster->data_dir,
		 part->path[0] == '/' ? "" : "/", part->path);
	return walker_open(job, path, &fd, &ignored) == 0 ? fd : -1;
}

/* Tablespaces are in the judge's numbers as the server lists them. */
static void list_roots(struct worker_job *job, const struct layout *layout, struct survey_question *question, int *fds)
{
	size_t spaces = 0;

	question->roots[0] = (struct survey_root){.taken = true};
	fds[0] = job->data_fd;
	question->count = 1;
	for (size_t i = 1; i < layout->part_count; i++) {
		bool is_space = begins(layout->parts[i].role, "tablespace ");
		int fd = open_elsewhere(job, &layout->parts[i]);

		spaces += is_space;
		if (fd < 0)
			continue;
		question->roots[question->count] = (struct survey_root){.part = i, .number = spaces, .taken = is_space};
		fds[question->count++] = fd;
	}
}

int survey_take(struct worker_job *job, const struct layout *layout, const struct db_walk *walk, int limit_ms,
		struct survey *ret_survey, struct reason *why)
{
	scope_free struct survey_question *question = calloc(1, sizeof(*question));
	int64_t deadline_ms = job->deadline_ms;
	int fds[LAYOUT_PARTS_MAX], error;

	if (!question)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	question->layout = layout;
	question->judge = walk->plan.judge;
	question->arg = walk->plan.arg;
	question->deadline_ms = clock_running_ms() + limit_ms;
	job->deadline_ms = question->deadline_ms + EXTENTS_MS + MARGIN_MS;
	list_roots(job, layout, question, fds);
	error = walker_run(job, walk_for, question, fds, question->count, ret_survey, sizeof(*ret_survey), why);
	job->deadline_ms = deadline_ms;
	for (size_t i = 1; i < question->count; i++)
		close(fds[i]);
	if (error == 0)
		tidy(ret_survey);
	return error;
}

/* "base/x", "base/x and 3 more". */
static const char *name_found(const struct survey_found *found, char text[static SURVEY_TEXT_SIZE + 32])
{
	if (found->count == 1)
		snprintf(text, SURVEY_TEXT_SIZE + 32, "%s", found->first);
	else
		snprintf(text, SURVEY_TEXT_SIZE + 32, "%s and %" PRIu32 " more", found->first, found->count - 1);
	return text;
}

/* The job's own walk decides: by its time what stands there may have gone. So each may pass by itself. */
static int refuse(const struct survey *survey, bool walks, struct reason *why)
{
	const struct survey_found *found = survey->found;
	char text[SURVEY_TEXT_SIZE + 32];

	if (found[SURVEY_FOREIGN].count)
		return reason_set_retry(why, ERR_LAYOUT, "make it a plain folder or move it away; a mount or subvolume of its own is in no backup",
				  "part of the database lies on another device than the folder around it (a mount or a nested "
				  "subvolume): %s", name_found(&found[SURVEY_FOREIGN], text));
	if (walks && found[SURVEY_REFUSED].count)
		return reason_set_retry(why, ERR_LAYOUT, "replace the link by what it leads to", "%s",
				  found[SURVEY_REFUSED].first);
	if (walks && found[SURVEY_UNREADABLE].count)
		return reason_set_retry(why, ERR_LAYOUT, "give it to database.user, or move it out of there: it is none of the database's",
				  "the walk would fail at what database.user cannot read: %s",
				  name_found(&found[SURVEY_UNREADABLE], text));
	if (walks && found[SURVEY_DEEP].count)
		return reason_set_retry(why, ERR_LAYOUT, "move some of it up, or away",
				  "the walk would fail at folders that are nested too deeply (more than %d): %s", TREE_DEPTH_MAX,
				  name_found(&found[SURVEY_DEEP], text));
	return 0;
}

static void warn_of_no_cow(const struct survey *survey, struct layout *layout)
{
	for (size_t i = 0; i < layout->part_count; i++) {
		const struct survey_size *size = &survey->parts[i];

		if (!size->no_cow)
			continue;
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"%s is nodatacow (chattr +C, or a mount option)%s%s: a backup of it is right, but btrfs keeps no "
				"checksums of it and does not notice when the disk damages it", layout->parts[i].role,
				size->largest[0] ? ", by its largest file " : "", size->largest);
		return;
	}
}

int survey_judge(const struct survey *survey, struct layout *layout, struct reason *why)
{
	const struct survey_found *links = &survey->found[SURVEY_LINK], *special = &survey->found[SURVEY_SPECIAL];
	bool by_program = strcmp(layout->procedure, "F") == 0, walks = !layout->snap->atomic && !by_program;
	char text[SURVEY_TEXT_SIZE + 32];

	warn_of_no_cow(survey, layout);
	if (!walks && survey->found[SURVEY_REFUSED].count)
		layout_add_line(layout->warnings, sizeof(layout->warnings), "no clone can be made of a backup: %s",
				survey->found[SURVEY_REFUSED].first);
	if (links->count)
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"symbolic links are not followed, and a clone is made without them: %s", name_found(links, text));
	if (walks && special->count)
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"sockets, FIFOs and devices are left out of a backup: %s", name_found(special, text));
	if (survey->ended[0])
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"not every name was looked at: %s", survey->ended);
	/* mariadb-backup takes what it knows, and no other name is in its way. */
	return by_program ? 0 : refuse(survey, walks, why);
}
