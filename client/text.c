/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one difficulty: what the daemon answers holds text that a database user
 * or another caller chose; none of it may reach a terminal as a command.
 */
#include "client/text.h"

#include "client/client.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static char *format_args(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0) {
		fputs("dbsnap: out of memory\n", stderr);
		exit(STATUS_REFUSED);
	}
	return text;
}

char *text_format(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_args(format, args);
	va_end(args);
	return text;
}

/* Bytes of the UTF-8 sequence that begins with this one; 0: none does. */
static size_t sequence_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The code point at text, and the number of its bytes; -1 (and 1 byte) where there is no valid UTF-8. */
static int32_t decode(const unsigned char *text, size_t *ret_bytes)
{
	static const int32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t bytes = sequence_length(text[0]);
	int32_t point = bytes == 1 ? text[0] : bytes ? text[0] & (0x7f >> bytes) : -1;

	*ret_bytes = 1;
	for (size_t i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return -1;
		point = point << 6 | (text[i] & 0x3f);
	}
	if (!bytes || point < smallest[bytes] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
		return -1;
	*ret_bytes = bytes;
	return point;
}

static bool is_harmless(int32_t point)
{
	return point >= 0x20 && !(point >= 0x7f && point < 0xa0) && !(point >= 0x200b && point <= 0x200f) &&
	       !(point >= 0x2028 && point <= 0x202e) && !(point >= 0x2066 && point <= 0x2069) &&
	       point != 0xfeff;
}

char *text_escape(const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *from = (const unsigned char *)text;
	char *escaped = calloc(strlen(text) * 4 + 1, 1), *to = escaped;
	size_t bytes;

	if (!escaped)
		return text_format("(out of memory)");
	for (; *from; from += bytes) {
		bool keep = is_harmless(decode(from, &bytes));

		for (size_t i = 0; i < bytes; i++) {
			if (keep) {
				*to++ = (char)from[i];
				continue;
			}
			*to++ = '\\';
			*to++ = 'x';
			*to++ = hex[from[i] >> 4];
			*to++ = hex[from[i] & 15];
		}
	}
	return escaped;
}

size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static void say_args(FILE *file, const char *before, const char *format, va_list args)
{
	scope_free char *raw = format_args(format, args);
	scope_free char *clean = text_escape(raw);

	fprintf(file, "%s%s\n", before, clean);
}

void text_say(FILE *file, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(file, "", format, args);
	va_end(args);
}

void text_complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(stderr, "dbsnap: ", format, args);
	va_end(args);
}

void text_advise(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(stderr, "  ", format, args);
	va_end(args);
}

void text_pair(FILE *file, const char *label, const char *value)
{
	scope_free char *clean = text_escape(value);
	scope_free char *clean_label = text_escape(label);

	if (value[0])
		fprintf(file, "%-18s %s\n", clean_label, clean);
}

bool text_is_agreed(const char *question)
{
	char answer[16] = "";

	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

char *text_size(int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 0)
		return text_format("%s", "");
	/* 1023.96 would print as 1024.0: the next unit takes it. */
	for (; value >= 1023.95 && unit < 6; unit++)
		value /= 1024;
	return unit ? text_format("%.1f %s", value, units[unit]) : text_format("%" PRId64 " B", bytes);
}

char *text_free_of(int64_t free_bytes, int64_t total_bytes)
{
	scope_free char *free_text = text_size(free_bytes);
	scope_free char *total_text = text_size(total_bytes);

	if (free_bytes < 0 || total_bytes <= 0)
		return text_format("%s", "");
	return text_format("%s of %s (%.0f%%)", free_text, total_text,
			   100.0 * (double)free_bytes / (double)total_bytes);
}

char *text_span(int64_t seconds)
{
	if (seconds < 0)
		return text_format("0 s");
	if (seconds < 120)
		return text_format("%" PRId64 " s", seconds);
	if (seconds < 7200)
		return text_format("%" PRId64 " min", seconds / 60);
	if (seconds < 2 * CLOCK_S_PER_DAY)
		return text_format("%" PRId64 " h", seconds / 3600);
	return text_format("%" PRId64 " d", seconds / CLOCK_S_PER_DAY);
}

char *text_milliseconds(const char *api_ms)
{
	char *end;
	double ms = strtod(api_ms, &end);

	if (!api_ms[0] || *end)
		return text_format("%s", api_ms);
	if (ms > 0 && ms < 0.1)
		return text_format("< 0.1 ms");
	return ms > 0 && ms < 9.95 ? text_format("%.1f ms", ms) : text_format("%.0f ms", ms);
}

char *text_age(const char *api_time)
{
	int64_t then_ms;

	if (clock_parse(api_time, &then_ms) < 0)
		return text_format("%s", "");
	return text_span((clock_wall_ms() - then_ms) / CLOCK_MS_PER_S);
}

int text_parse_span(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	int64_t value = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9)
		return ERR_INVALID;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (text[i] - '0');
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + digits, units[i].unit) == 0) {
			*ret_ms = value * units[i].ms;
			return 0;
		}
	}
	return ERR_INVALID;
}

char *text_shell(const char *path)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,=";
	char *quoted, *to;

	if (path[0] && strspn(path, plain) == strlen(path))
		return text_format("%s", path);
	quoted = calloc(strlen(path) * 4 + 3, 1);
	if (!quoted)
		return text_format("(out of memory)");
	to = quoted;
	*to++ = '\'';
	for (; *path; path++) {
		if (*path == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *path;
	}
	*to = '\'';
	return quoted;
}
