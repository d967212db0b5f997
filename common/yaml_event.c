/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/yaml_event.h"

#include <string.h>

const char *yamlev_decoration(const yaml_event_t *event)
{
	const void *anchor = NULL, *tag = NULL;

	if (event->type == YAML_ALIAS_EVENT)
		return "alias";
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	}
	return anchor ? "anchor" : tag ? "explicit tag" : NULL;
}

bool yamlev_is_null(const yaml_event_t *event)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp((const char *)event->data.scalar.value, words[i]) == 0)
			return true;
	}
	return false;
}
