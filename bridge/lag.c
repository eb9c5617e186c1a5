/*
 * How long ago was written what is not yet confirmed.
 */
#include "lag.h"

#include <string.h>

static void
drop_confirmed(BridgeLag *lag, uint64_t confirmed)
{
	int			passed = 0;

	while (passed < lag->count && lag->samples[passed].lsn <= confirmed)
		passed++;
	lag->count -= passed;
	memmove(lag->samples, lag->samples + passed,
			(size_t) lag->count * sizeof(BridgeLagSample));
}

/* Keeps every second sample, the oldest among them. */
static void
thin_out(BridgeLag *lag)
{
	lag->count = (lag->count + 1) / 2;
	for (int i = 1; i < lag->count; i++)
		lag->samples[i] = lag->samples[2 * i];
}

int64_t
bridge_lag_note(BridgeLag *lag, int64_t now_ms, uint64_t written,
				uint64_t confirmed)
{
	drop_confirmed(lag, confirmed);
	if (lag->count == BRIDGE_LAG_SAMPLES)
		thin_out(lag);
	if (written > confirmed)
		lag->samples[lag->count++] = (BridgeLagSample)
	{
		.at_ms = now_ms, .lsn = written
	};
	return lag->count == 0 ? 0 : now_ms - lag->samples[0].at_ms;
}
