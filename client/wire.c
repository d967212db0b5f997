/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * By hand, for a library that speaks every protocol costs more to load than the daemon takes for most of what it
 * is asked. What dbsnapd never sends (an encoding, an answer before the answer) is not understood.
 */
#include "client/wire.h"

#include "client/text.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { HEAD_MAX = 1 << 16, BODY_MAX = 64 << 20, PIECE = 1 << 14, CONNECT_MS = 10000 };

struct wire {
	const char *path;
	int fd; /* -1: none */
};

/* What has come of one answer. */
struct input {
	char *bytes; /* NULL, or with a NUL after its end */
	size_t used, room;
	int64_t until_ms;
};

struct head {
	size_t size; /* with the empty line */
	int status;
	int64_t retry_after_ms;
	size_t length; /* of the body; SIZE_MAX: it ends with the connection */
	bool keep;
};

struct wire *wire_new(const char *path)
{
	struct wire *wire = calloc(1, sizeof(*wire));

	if (wire)
		*wire = (struct wire){.path = path, .fd = -1};
	return wire;
}

void wire_disconnect(struct wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
}

struct wire *wire_free(struct wire *wire)
{
	if (wire)
		wire_disconnect(wire);
	free(wire);
	return NULL;
}

/* Where so many clients wait to be taken that there is no more room, connect() itself waits, but not for ever. */
static int connect_to(struct wire *wire, int64_t timeout_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int64_t ms = timeout_ms < CONNECT_MS ? timeout_ms : CONNECT_MS;
	struct timeval most = {ms / 1000, ms % 1000 * 1000};
	scope_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(wire->path) >= sizeof(address.sun_path))
		return ERR_OFFLINE;
	memcpy(address.sun_path, wire->path, strlen(wire->path));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EAGAIN ? ERR_TIMEOUT : ERR_OFFLINE;
	wire->fd = scope_take_fd(fd);
	return 0;
}

/* 0: so is the descriptor; else ERR_TIMEOUT. */
static int wait_for(int fd, short events, int64_t until_ms)
{
	struct pollfd item = {.fd = fd, .events = events};
	int64_t left;
	int ready;

	do {
		left = until_ms - clock_running_ms();
		ready = left > 0 ? poll(&item, 1, left > INT32_MAX ? INT32_MAX : (int)left) : 0;
	} while (ready < 0 && errno == EINTR);
	return ready > 0 ? 0 : ERR_TIMEOUT;
}

static int send_all(int fd, const char *bytes, int64_t until_ms)
{
	size_t size = strlen(bytes), sent = 0;

	while (sent < size) {
		ssize_t more = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (more >= 0)
			sent += (size_t)more;
		else if (errno != EAGAIN && errno != EINTR)
			return ERR_CLOSED;
		else if (wait_for(fd, POLLOUT, until_ms) < 0)
			return ERR_TIMEOUT;
	}
	return 0;
}

static bool make_room(struct input *in)
{
	size_t more = in->room ? in->room * 2 : PIECE;
	char *larger;

	if (in->room - in->used > PIECE / 2)
		return true;
	larger = realloc(in->bytes, more);
	if (!larger)
		return false;
	in->bytes = larger;
	in->room = more;
	return true;
}

/* 1: some bytes more; 0: the end. */
static int receive(int fd, struct input *in)
{
	ssize_t got;

	if (!make_room(in))
		return ERR_NOMEM;
	do {
		if (wait_for(fd, POLLIN, in->until_ms) < 0)
			return ERR_TIMEOUT;
		got = recv(fd, in->bytes + in->used, in->room - in->used - 1, MSG_DONTWAIT);
	} while (got < 0 && (errno == EAGAIN || errno == EINTR));
	if (got < 0)
		return ERR_CLOSED;
	in->used += (size_t)got;
	in->bytes[in->used] = '\0';
	return got > 0;
}

/* The line's value, if it is that header's. */
static const char *value_of(const char *line, const char *name)
{
	size_t length = strlen(name);

	if (strncasecmp(line, name, length) != 0 || line[length] != ':')
		return NULL;
	line += length + 1;
	return line + strspn(line, " \t");
}

static int take_number(const char *text, int64_t *ret_number)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (*text < '0' || *text > '9' || errno != 0 || end[strspn(end, " \t")] != '\0')
		return ERR_INVALID;
	*ret_number = number;
	return 0;
}

static int take_header(struct head *head, const char *line)
{
	int64_t number;
	const char *value;

	if ((value = value_of(line, "Content-Length"))) {
		if (take_number(value, &number) < 0)
			return ERR_INVALID;
		if (number > BODY_MAX)
			return ERR_TOO_LONG;
		head->length = (size_t)number;
	} else if ((value = value_of(line, "x-acs-retry-after"))) {
		if (take_number(value, &number) == 0)
			head->retry_after_ms = number;
	} else if ((value = value_of(line, "Connection"))) {
		head->keep = strcasecmp(value, "close") != 0;
	} else if (value_of(line, "Transfer-Encoding")) {
		return ERR_INVALID;
	}
	return 0;
}

/* "HTTP/1.1 200 OK": what is not of that version ends with its connection, if it does not say otherwise. */
static int take_status(struct head *head, const char *line)
{
	const char *digits = line + 9;

	if (strncmp(line, "HTTP/1.", 7) != 0 || line[7] == '\0' || line[8] != ' ' || strspn(digits, "0123456789") != 3)
		return ERR_INVALID;
	head->status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
	head->keep = line[7] == '1';
	return head->status < 200 ? ERR_INVALID : 0;
}

/* The bytes up to the empty line, which become lines. */
static int parse_head(char *bytes, struct head *ret_head)
{
	struct head head = {.length = SIZE_MAX};
	char *end = strstr(bytes, "\r\n\r\n"), *rest, *line;
	int error;

	head.size = (size_t)(end + 4 - bytes);
	*end = '\0';
	line = strtok_r(bytes, "\r\n", &rest);
	error = line ? take_status(&head, line) : ERR_INVALID;
	while (error == 0 && (line = strtok_r(NULL, "\r\n", &rest)))
		error = take_header(&head, line);
	if (error == 0)
		*ret_head = head;
	return error;
}

static int read_head(int fd, struct input *in, struct head *ret_head)
{
	while (!in->used || !strstr(in->bytes, "\r\n\r\n")) {
		int more = in->used > HEAD_MAX ? ERR_INVALID : receive(fd, in);

		if (more <= 0)
			return more < 0 ? more : ERR_CLOSED;
		/* A NUL would hide what follows it. */
		if (strlen(in->bytes) != in->used && !strstr(in->bytes, "\r\n\r\n"))
			return ERR_INVALID;
	}
	return parse_head(in->bytes, ret_head);
}

static int read_body(int fd, struct input *in, const struct head *head)
{
	int more = 1;

	while (in->used - head->size < head->length && more > 0) {
		if (in->used - head->size > BODY_MAX)
			return ERR_TOO_LONG;
		more = receive(fd, in);
	}
	if (more == 0 && head->length != SIZE_MAX)
		return ERR_CLOSED;
	if (more >= 0 && head->length != SIZE_MAX && in->used - head->size > head->length)
		return ERR_INVALID;
	return more < 0 ? more : 0;
}

static int read_answer(struct wire *wire, struct input *in, struct wire_answer *ret_answer)
{
	struct head head = {0};
	int error = read_head(wire->fd, in, &head);

	if (error == 0)
		error = read_body(wire->fd, in, &head);
	if (error < 0)
		return error;
	if (!head.keep || head.length == SIZE_MAX)
		wire_disconnect(wire);
	memmove(in->bytes, in->bytes + head.size, in->used - head.size + 1);
	*ret_answer = (struct wire_answer){.status = head.status, .retry_after_ms = head.retry_after_ms,
					   .size = in->used - head.size};
	ret_answer->body = scope_take_ptr(in->bytes);
	return 0;
}

/* One try. *ret_dead: the connection was at its end before a byte of the answer came. */
static int try_exchange(struct wire *wire, const char *request, int64_t until_ms, struct wire_answer *ret_answer,
			bool *ret_dead)
{
	struct input in = {.until_ms = until_ms};
	int sent = send_all(wire->fd, request, until_ms), error = sent;

	/* Who does not want to read it whole may have answered all the same. */
	if (sent == 0 || sent == ERR_CLOSED)
		error = read_answer(wire, &in, ret_answer);
	*ret_dead = error == ERR_CLOSED && in.used == 0;
	free(in.bytes);
	if (error < 0)
		wire_disconnect(wire);
	return error;
}

int wire_exchange(struct wire *wire, const char *form, int64_t timeout_ms, struct wire_answer *ret_answer)
{
	scope_free char *request = text_format("POST / HTTP/1.1\r\n"
					       "Host: localhost\r\n"
					       "User-Agent: dbsnap/" PACKAGE_VERSION "\r\n"
					       "Content-Type: application/x-www-form-urlencoded\r\n"
					       "Content-Length: %zu\r\n"
					       "\r\n%s", strlen(form), form);
	int64_t until_ms = clock_running_ms() + timeout_ms;
	bool kept, dead;
	int error;

	do {
		kept = wire->fd >= 0;
		error = kept ? 0 : connect_to(wire, until_ms - clock_running_ms());
		if (error == 0)
			error = try_exchange(wire, request, until_ms, ret_answer, &dead);
		else
			dead = false;
	} while (dead && kept);
	return error;
}
