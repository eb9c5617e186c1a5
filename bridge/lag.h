/*
 * How long ago was written what is not yet confirmed.
 *
 * Promises: bounded memory; pure.  It knows nothing of the time before its first
 * sample, and the longer the lag is, the farther apart its samples are.
 */
#ifndef BRIDGE_LAG_H
#define BRIDGE_LAG_H

#include <stdint.h>

#define BRIDGE_LAG_SAMPLES 64

typedef struct BridgeLagSample
{
	int64_t		at_ms;
	uint64_t	lsn;			/* the end of the WAL then */
} BridgeLagSample;

/* All zero knows nothing. */
typedef struct BridgeLag
{
	int			count;
	BridgeLagSample samples[BRIDGE_LAG_SAMPLES];	/* not confirmed, oldest
													 * first */
} BridgeLag;

/* Notes where the WAL ends and what is confirmed; returns the lag in ms. */
extern int64_t bridge_lag_note(BridgeLag *lag, int64_t now_ms, uint64_t written,
							   uint64_t confirmed);

#endif
