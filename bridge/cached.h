/*
 * What Redis says itself of how far it was filled: a note beside the balances
 * that goes when they go.
 *
 * Redis may be flushed, started anew or brought back to an older state at any
 * moment, and what the database says of it would then be wrong for ever.
 */
#ifndef BRIDGE_CACHED_H
#define BRIDGE_CACHED_H

#include "redis.h"
#include "store.h"

/* A random token, then the offset of each partition. */
#define BRIDGE_CACHED_SIZE (24 + BRIDGE_PARTITIONS_MAX * 21)

typedef struct BridgeCached
{
	char		note[BRIDGE_CACHED_SIZE];	/* as Redis must have it */
} BridgeCached;

typedef enum BridgeCachedState
{
	BRIDGE_CACHED_KEPT,
	BRIDGE_CACHED_LOST,			/* Redis is not what it was: load again */
	BRIDGE_CACHED_FAILED		/* bank_redis_error says why */
} BridgeCachedState;

/*
 * Reads the note into *offsets, as far as *applied reaches.  Where there is
 * none, or one that cannot be ours, a new one is made and the offsets are
 * those of the beginning.  False where Redis failed.
 */
extern bool bridge_cached_load(BridgeCached *cached, BankRedis *redis,
							   const BridgeOffsets *applied,
							   BridgeOffsets *offsets);

/* Writes the offsets where Redis still has the note that was there before. */
extern BridgeCachedState bridge_cached_store(BridgeCached *cached,
											 BankRedis *redis,
											 const BridgeOffsets *offsets);

#endif
