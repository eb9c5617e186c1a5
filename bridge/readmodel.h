/*
 * The read model of balances in the search database: rows, offsets and the
 * generation of bank-bridge project.
 */
#ifndef BRIDGE_READMODEL_H
#define BRIDGE_READMODEL_H

#include "consumer.h"
#include "redis.h"
#include "store.h"

/* Takes the next generation: for BridgeStoreSpec. */
extern const char bridge_readmodel_claim[];

/* Balances with no account twice, and the offsets reached with them. */
typedef struct BridgeReadmodelBatch
{
	const BankRedisBalance *const *balances;
	int			count;			/* may be 0: offsets alone */
	const char *topic;
	const BridgeOffsets *applied;
	const BridgeOffsets *cached;
} BridgeReadmodelBatch;

/* Reads both offsets of every partition; false where the store failed. */
extern bool bridge_readmodel_load(BridgeStore *store, const char *topic,
								  BridgeOffsets *applied,
								  BridgeOffsets *cached);

/*
 * Makes rows as new as the batch and moves the offsets, in one transaction;
 * neither ever goes back.  Adds the rows it changed to *changed.
 */
extern BridgeEffect bridge_readmodel_store(BridgeStore *store,
										   const BridgeReadmodelBatch *batch,
										   int64_t *changed);

/*
 * Makes each balance as new as its row, where that is newer; the balances are
 * in the order of accounts.  False where the store failed.
 */
extern bool bridge_readmodel_renew(BridgeStore *store, BankRedisBalance *balances,
								   int count);

/* Frees what stays between batches. */
extern void bridge_readmodel_free(void);

#endif
