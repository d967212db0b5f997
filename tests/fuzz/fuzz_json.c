/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The small JSON files: marker, intent and manifest of a snapshot_dir, and the engine's note of a cluster. What is
 * read from a text, written and read again is the same.
 */
#include "daemon/engine/manifest.h"
#include "daemon/engine/note.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const char *text)
{
	must(text);
	for (const char *c = text; *c; c++)
		must((*c >= ' ' && *c <= '~') || *c == '\n');
}

static void check_refused(int error, const void *output, size_t size)
{
	must(error == ERR_CORRUPT || error == ERR_VERSION);
	must(fuzz_untouched(output, size));
}

/*
 * What was taken, or NULL. Every field is in the text, so equal texts are equal structs. Static: some are too large to
 * be allocated for each input.
 */
#define KIND(name) \
	static const struct name *take_##name(const char *text, size_t size) \
	{ \
		static struct name taken, again; \
		char *first, *second; \
		int error; \
\
		fuzz_fill(&taken, sizeof(taken)); \
		error = name##_decode(text, size, &taken); \
		if (error < 0) { \
			check_refused(error, &taken, sizeof(taken)); \
			return NULL; \
		} \
		first = name##_encode(&taken); \
		check_text(first); \
		must(name##_decode(first, strlen(first), &again) == 0); \
		second = name##_encode(&again); \
		must(second && strcmp(first, second) == 0); \
		free(first); \
		free(second); \
		return &taken; \
	}

KIND(marker)
KIND(intent)
KIND(manifest)

static bool check_marker(const char *text, size_t size)
{
	const struct marker *marker = take_marker(text, size);

	if (marker)
		must(ident_is_cluster(marker->cluster));
	return marker != NULL;
}

static bool check_intent(const char *text, size_t size)
{
	const struct intent *intent = take_intent(text, size);

	if (intent)
		must(ident_is_cluster(intent->cluster) && (!intent->clone[0] || ident_is_clone(intent->clone)));
	return intent != NULL;
}

static bool check_manifest(const char *text, size_t size)
{
	const struct manifest *manifest = take_manifest(text, size);

	if (manifest)
		must(ident_is_cluster(manifest->cluster) && manifest->part_count <= MANIFEST_PARTS_MAX &&
		     manifest->facts.mode <= MODE_MAX);
	return manifest != NULL;
}

static void check_cluster(const struct conf_cluster *cluster)
{
	const size_t groups_max = sizeof(cluster->identity.groups) / sizeof(cluster->identity.groups[0]);

	must(ident_is_cluster(cluster->id) && cluster->data_dir[0] == '/');
	must(cluster->min_free.percent >= 0 && cluster->min_free.percent <= 100 && cluster->min_free.bytes >= 0);
	must(!cluster->identity_known || cluster->identity.group_count <= groups_max);
}

static bool check_note(const char *text, size_t size)
{
	struct conf_cluster *taken = fuzz_output(sizeof(*taken)), *again = fuzz_output(sizeof(*again));
	struct nonce install;
	char *first, *second;
	int error;

	fuzz_fill(&install, sizeof(install));
	error = note_decode(text, size, taken, &install);
	if (error < 0) {
		check_refused(error, taken, sizeof(*taken));
		must(fuzz_untouched(&install, sizeof(install)));
	} else {
		check_cluster(taken);
		first = note_encode(taken, &install);
		check_text(first);
		must(note_decode(first, strlen(first), again, &install) == 0);
		second = note_encode(again, &install);
		must(second && strcmp(first, second) == 0);
		free(first);
		free(second);
	}
	free(taken);
	free(again);
	return error == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	int taken = check_marker(text, size) + check_intent(text, size) + check_manifest(text, size) + check_note(text, size);

	/* Each kind of file names itself. */
	must(taken <= 1);
	return 0;
}
