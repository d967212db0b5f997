/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One counter in a page of shared memory, which needs no lock: one process writes, the other reads. */
#include "daemon/engine/gauge.h"

#include "daemon/engine/job.h"

#include <sys/mman.h>

static uint64_t *share_counter(void)
{
	void *page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? NULL : page;
}

static unsigned percent_of(const struct gauge *gauge)
{
	if (gauge->total == 0)
		return gauge->from;
	return gauge->from + (unsigned)((double)(gauge->to - gauge->from) * (double)gauge->told / (double)gauge->total);
}

void gauge_begin(struct worker_job *job, enum msg_phase phase, unsigned from, unsigned to, uint64_t total)
{
	job->gauge = (struct gauge){.done = share_counter(), .total = total, .phase = phase, .from = from, .to = to};
	job_progress(job, phase, from);
}

void gauge_tell(struct worker_job *job)
{
	struct gauge *gauge = &job->gauge;
	uint64_t done = __atomic_load_n(gauge->done, __ATOMIC_RELAXED);

	/* What comes while it is walked is beyond what was known. */
	if (gauge->total && done > gauge->total)
		done = gauge->total;
	if (done <= gauge->told)
		return;
	gauge->told = done;
	job_progress(job, gauge->phase, percent_of(gauge));
}

void gauge_end(struct worker_job *job)
{
	if (job->gauge.done)
		munmap(job->gauge.done, sizeof(uint64_t));
	job->gauge.done = NULL;
}
