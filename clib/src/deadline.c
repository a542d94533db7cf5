#include <stddef.h>

#include "poll.h"

enum { NS = 1000000000 };

struct nmd_deadline nmd_deadline_in(const struct timespec *ts)
{
	struct nmd_deadline d = {.kind = NMD_UNTIL};

	if (!ts)
		return (struct nmd_deadline){.kind = NMD_FOREVER};
	if (ts->tv_sec <= 0 && ts->tv_nsec <= 0)
		return (struct nmd_deadline){.kind = NMD_NOW};
	clock_gettime(CLOCK_MONOTONIC, &d.at);
	if (__builtin_add_overflow(d.at.tv_sec, ts->tv_sec, &d.at.tv_sec))
		return (struct nmd_deadline){.kind = NMD_FOREVER};
	d.at.tv_nsec += ts->tv_nsec;
	if (d.at.tv_nsec >= NS) {
		d.at.tv_nsec -= NS;
		d.at.tv_sec++;
	}
	return d;
}

struct nmd_deadline nmd_deadline_ms(int ms)
{
	const struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

	return nmd_deadline_in(ms < 0 ? NULL : &ts);
}

const struct timespec *nmd_deadline_left(const struct nmd_deadline *d, int64_t cap, struct timespec *ts)
{
	struct timespec now;

	*ts = (struct timespec){0};
	if (d->kind == NMD_UNTIL) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		ts->tv_sec = d->at.tv_sec - now.tv_sec;
		ts->tv_nsec = d->at.tv_nsec - now.tv_nsec;
		if (ts->tv_nsec < 0) {
			ts->tv_nsec += NS;
			ts->tv_sec--;
		}
		if (ts->tv_sec < 0)
			*ts = (struct timespec){0};
	}
	bool longer = d->kind == NMD_FOREVER || ts->tv_sec > 0 || ts->tv_nsec > cap;
	if (cap && longer) {
		*ts = (struct timespec){0, cap};
		return ts;
	}
	return d->kind == NMD_FOREVER ? NULL : ts;
}

bool nmd_deadline_passed(const struct nmd_deadline *d)
{
	struct timespec ts;

	if (d->kind == NMD_FOREVER)
		return false;
	nmd_deadline_left(d, 0, &ts);
	return ts.tv_sec == 0 && ts.tv_nsec == 0;
}
