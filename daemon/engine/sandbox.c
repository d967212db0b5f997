/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Capabilities, one row a kind of work. Without root there is nothing to give up. */
#include "daemon/engine/sandbox.h"

#include "common/err.h"
#include "common/proc.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define BIT(cap) (UINT64_C(1) << (cap))

/* Folders of the database's user can be opened, and made in. */
#define LOOK (BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_DAC_OVERRIDE))
/* A walker or helper becomes another user, loses everything for good, and can be ended. */
#define FORK (BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_KILL))
/* The server is found by /proc/PID, which shows itself to its own user only. */
#define SERVER BIT(CAP_SYS_PTRACE)
/* A snapshot of what another user owns; what lies in a sticky folder of his, or is read-only, can be removed. */
#define SNAPSHOT BIT(CAP_FOWNER)
/* The folder of an image is the database user's. */
#define GIVE BIT(CAP_CHOWN)
/* The removal of one; the namespaces that a backup is verified in, and that a clone's server runs in. */
#define DESTROY BIT(CAP_SYS_ADMIN)

static uint64_t mask_of(enum msg_type type, enum msg_job_kind kind)
{
	if (type == MSG_PROBE)
		return LOOK;
	if (type == MSG_CHECK)
		return LOOK | FORK | SERVER;
	if (type == MSG_MEASURE)
		return LOOK | FORK;
	if (type == MSG_SERVE)
		return LOOK | FORK | DESTROY;
	switch (kind) {
	case JOB_CREATE:
	case JOB_RESTORE:
		return LOOK | FORK | SERVER | SNAPSHOT | DESTROY | GIVE;
	case JOB_CLONE:
	case JOB_VERIFY:
		return LOOK | FORK | SNAPSHOT | DESTROY | GIVE;
	default:
		return LOOK | FORK | SNAPSHOT | DESTROY;
	}
}

int sandbox_engine(void)
{
	struct rlimit none = {0, 0};

	umask(077);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0)
		return err_from_errno(errno);
	return 0;
}

int sandbox_worker(enum msg_type type, enum msg_job_kind kind)
{
	return proc_keep_capabilities(mask_of(type, kind));
}
