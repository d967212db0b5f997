/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What both readers of YAML ask of an event. Names begin with yamlev_: yaml_ is the library's. */
#ifndef DBSNAP_YAML_EVENT_H
#define DBSNAP_YAML_EVENT_H

#include <stdbool.h>
#include <yaml.h>

/* What stands before or for a value and is refused: "alias", "anchor", "explicit tag"; NULL: nothing. Static. */
const char *yamlev_decoration(const yaml_event_t *event);
/* Of a scalar: nothing, ~ or null, without quotes. */
bool yamlev_is_null(const yaml_event_t *event);

#endif
