/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Patterns. A resource's name has exactly four ':' and one '/', for nothing in its parts may hold either. A pattern
 * with as many has them at the same places, so that each of its parts meets one part of the name: almost all
 * patterns are like that, and are told apart by a comparison or two. The others run over the whole name.
 */
#include "common/policy_parts.h"

#include <assert.h>
#include <string.h>

#define WORD "dbcluster"
#define TEXT(literal) ((struct policy_text){literal, sizeof(literal) - 1})

enum { PARTS = 6, NAME_PART_MAX = 63 };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Which bytes of the text compare without case: from, up to but not to. */
struct fold {
	size_t from, to;
};

static bool same(char pattern, const struct policy_text *text, size_t at, const struct fold *fold)
{
	char c = text->bytes[at];

	return pattern == c || (at >= fold->from && at < fold->to && lower(pattern) == lower(c));
}

static bool match(struct policy_text pattern, struct policy_text text, struct fold fold)
{
	size_t p = 0, t = 0, after_star = 0, star_text = 0;
	bool star = false;

	while (t < text.size) {
		if (p < pattern.size && pattern.bytes[p] == '*') {
			star = true;
			after_star = ++p;
			star_text = t;
		} else if (p < pattern.size && (pattern.bytes[p] == '?' || same(pattern.bytes[p], &text, t, &fold))) {
			p++;
			t++;
		} else if (star) {
			/* The last star takes one byte more; those before it need not be tried again. */
			p = after_star;
			t = ++star_text;
		} else {
			return false;
		}
	}
	while (p < pattern.size && pattern.bytes[p] == '*')
		p++;
	return p == pattern.size;
}

bool policy_match_text(struct policy_text pattern, struct policy_text text)
{
	return match(pattern, text, (struct fold){0, 0});
}

bool policy_match_text_ignoring_case(struct policy_text pattern, struct policy_text text)
{
	return match(pattern, text, (struct fold){0, text.size});
}

bool policy_equal_ignoring_case(struct policy_text a, struct policy_text b)
{
	if (a.size != b.size)
		return false;
	for (size_t i = 0; i < a.size; i++) {
		if (lower(a.bytes[i]) != lower(b.bytes[i]))
			return false;
	}
	return true;
}

static bool is_stars(struct policy_text text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.bytes[i] != '*')
			return false;
	}
	return text.size > 0;
}

static struct policy_piece piece_of(struct policy_text text)
{
	struct policy_piece piece = {.kind = POLICY_PIECE_GLOB, .text = text};
	const char *star;
	size_t wild = 0;

	if (is_stars(text))
		piece.kind = POLICY_PIECE_ANY;
	while (wild < text.size && text.bytes[wild] != '*' && text.bytes[wild] != '?')
		wild++;
	if (wild == text.size)
		piece.kind = POLICY_PIECE_LITERAL;
	star = memchr(text.bytes, '*', text.size);
	if (!star || piece.kind == POLICY_PIECE_ANY)
		return piece;
	wild = (size_t)(star - text.bytes);
	if (!memchr(star + 1, '*', text.size - wild - 1))
		piece = (struct policy_piece){POLICY_PIECE_ENDS, {text.bytes, wild}, {star + 1, text.size - wild - 1}};
	return piece;
}

/* A pattern without "*" at these bytes, of which there are as many. */
static bool match_beside(struct policy_text pattern, const char *bytes)
{
	for (size_t i = 0; i < pattern.size; i++) {
		if (pattern.bytes[i] != bytes[i] && pattern.bytes[i] != '?')
			return false;
	}
	return true;
}

static bool match_piece(const struct policy_piece *piece, const struct policy_text *text)
{
	switch (piece->kind) {
	case POLICY_PIECE_ANY:
		return true;
	case POLICY_PIECE_LITERAL:
		return piece->text.size == text->size && memcmp(piece->text.bytes, text->bytes, text->size) == 0;
	case POLICY_PIECE_ENDS:
		return piece->text.size + piece->tail.size <= text->size &&
		       match_beside(piece->text, text->bytes) &&
		       match_beside(piece->tail, text->bytes + text->size - piece->tail.size);
	case POLICY_PIECE_GLOB:
		break;
	}
	return policy_match_text(piece->text, *text);
}

/* Where the part at the pattern's end begins that some text of an id's characters matches: all of it can be one. */
static size_t id_tail(struct policy_text pattern)
{
	size_t begin = pattern.size;

	while (begin > 0 && strchr("abcdefghijklmnopqrstuvwxyz0123456789-*?", pattern.bytes[begin - 1]))
		begin--;
	return begin;
}

/* The parts of a pattern that ':' and '/' divide; how many there are, which may be more than fit. */
static size_t split(struct policy_text text, struct policy_text parts[PARTS])
{
	size_t count = 0, begin = 0;

	for (size_t i = 0; i <= text.size; i++) {
		/* The first five end at a ':', the next at a '/'; a divider that is out of order is one too many. */
		if (i < text.size && text.bytes[i] != ':' && text.bytes[i] != '/')
			continue;
		if (i < text.size && (text.bytes[i] == '/') != (count == PARTS - 2))
			return PARTS + 1;
		if (count < PARTS)
			parts[count] = (struct policy_text){text.bytes + begin, i - begin};
		count++;
		begin = i + 1;
	}
	return count;
}

void policy_compile_resource(struct policy_text text, struct policy_resource *ret_resource)
{
	struct policy_resource resource = {.form = POLICY_RESOURCE_GLOB, .text = text};
	struct policy_text parts[PARTS];

	if (is_stars(text)) {
		resource.form = POLICY_RESOURCE_EVERYTHING;
	} else if (split(text, parts) == PARTS) {
		resource.form = policy_match_text(parts[0], TEXT("acs")) &&
						policy_match_text(parts[1], TEXT("polardb")) &&
						policy_match_text_ignoring_case(parts[4], TEXT(WORD))
					? POLICY_RESOURCE_PIECES
					: POLICY_RESOURCE_NOTHING;
		resource.region = piece_of(parts[2]);
		resource.account = piece_of(parts[3]);
		resource.id = piece_of(parts[5]);
		resource.id_is_possible = id_tail(parts[5]) == 0;
	}
	*ret_resource = resource;
}

/* Appends to the target's name. */
static struct policy_text append(struct policy_target *target, const char *text)
{
	struct policy_text part = {target->name + target->whole.size, strlen(text)};

	memcpy(target->name + target->whole.size, text, part.size);
	target->whole.size += part.size;
	return part;
}

void policy_target_of(const char *region_id, const char *account_id, const char *cluster,
		      struct policy_target *ret_target)
{
	assert(strlen(region_id) <= NAME_PART_MAX && strlen(account_id) <= NAME_PART_MAX &&
	       strlen(cluster) <= NAME_PART_MAX);
	ret_target->whole = (struct policy_text){ret_target->name, 0};
	append(ret_target, "acs:polardb:");
	ret_target->region = append(ret_target, region_id);
	append(ret_target, ":");
	ret_target->account = append(ret_target, account_id);
	append(ret_target, ":");
	ret_target->word = ret_target->whole.size;
	append(ret_target, WORD "/");
	ret_target->id = append(ret_target, cluster);
}

/* By the whole name, whose id is empty but with POLICY_ONE. */
static bool match_whole(struct policy_text pattern, const struct policy_target *target, enum policy_scope scope)
{
	struct fold fold = {target->word, target->word + strlen(WORD)};

	/* What ends in a star, and matches without an id, matches with whichever follows. */
	if (scope == POLICY_EACH && pattern.bytes[pattern.size - 1] != '*')
		return false;
	if (scope != POLICY_SOME)
		return match(pattern, target->whole, fold);
	/* A beginning of it has to match without an id, and what it leaves over is for the id. */
	for (size_t begin = id_tail(pattern); begin <= pattern.size; begin++) {
		if (match((struct policy_text){pattern.bytes, begin}, target->whole, fold))
			return true;
	}
	return false;
}

bool policy_match_resource(const struct policy_resource *resource, const struct policy_target *target,
			   enum policy_scope scope)
{
	switch (resource->form) {
	case POLICY_RESOURCE_EVERYTHING:
		return true;
	case POLICY_RESOURCE_NOTHING:
		return false;
	case POLICY_RESOURCE_PIECES:
		if (scope == POLICY_ONE && !match_piece(&resource->id, &target->id))
			return false;
		if (scope == POLICY_EACH && resource->id.kind != POLICY_PIECE_ANY)
			return false;
		if (scope == POLICY_SOME && !resource->id_is_possible)
			return false;
		return match_piece(&resource->region, &target->region) &&
		       match_piece(&resource->account, &target->account);
	case POLICY_RESOURCE_GLOB:
		break;
	}
	return match_whole(resource->text, target, scope);
}
