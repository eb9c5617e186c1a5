/*
 * Transactions sent and not yet acknowledged, and the LSN that is safe to
 * confirm: the end of the last one in the unbroken run, from the oldest, of
 * which nothing is outstanding.
 *
 * Promises: bounded memory, made once; pure.
 */
#ifndef BRIDGE_INFLIGHT_H
#define BRIDGE_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct BridgeInflightEntry
{
	uint64_t	end_lsn;		/* 0: its commit is not read yet */
	uint64_t	outstanding;	/* records not acknowledged */
} BridgeInflightEntry;

typedef struct BridgeInflight
{
	BridgeInflightEntry *entries;
	uint64_t	capacity;		/* a power of two */
	uint64_t	oldest;			/* number of the oldest transaction */
	uint64_t	next;			/* number of the next one */
	uint64_t	records;		/* outstanding in all */
	uint64_t	safe_lsn;
} BridgeInflight;

/* Makes room for capacity transactions; false where memory is short. */
extern bool bridge_inflight_create(BridgeInflight *inflight, uint64_t capacity);
extern void bridge_inflight_free(BridgeInflight *inflight);

/* No further transaction may begin now. */
extern bool bridge_inflight_full(const BridgeInflight *inflight);

/* Nothing is outstanding and no transaction is open. */
extern bool bridge_inflight_empty(const BridgeInflight *inflight);

/* Opens a transaction; the one before must be closed, and there is room. */
extern void bridge_inflight_begin(BridgeInflight *inflight);

/* Counts a record of the open transaction; returns the transaction's number. */
extern uint64_t bridge_inflight_add(BridgeInflight *inflight);

/* Takes back the last bridge_inflight_add: the record was not sent. */
extern void bridge_inflight_withdraw(BridgeInflight *inflight);

/* Closes the open transaction. */
extern void bridge_inflight_commit(BridgeInflight *inflight, uint64_t end_lsn);

/* One record of the numbered transaction is acknowledged. */
extern void bridge_inflight_acknowledge(BridgeInflight *inflight,
										uint64_t number);

#endif
