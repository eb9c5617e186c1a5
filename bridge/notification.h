/*
 * The rows of bank_report.notification that bank-bridge report writes, with
 * its offsets and its generation.  Every later attempt is the retry's.
 */
#ifndef BRIDGE_NOTIFICATION_H
#define BRIDGE_NOTIFICATION_H

#include "bacen.h"
#include "consumer.h"
#include "record.h"
#include "store.h"

/* Takes the next generation: for BridgeStoreSpec. */
extern const char bridge_notification_claim[];

/* A transfer to be stored, and what became of it. */
typedef struct BridgeNotification
{
	BridgeTransfer transfer;
	bool		is_ours;		/* stored as being sent, by this call */
} BridgeNotification;

typedef struct BridgeNotificationBatch
{
	BridgeNotification *items;
	int			count;			/* may be 0: offsets alone */
	int			wanted;			/* first so many: to be stored as being sent,
								 * as far as rate and circuit let them */
	const char *topic;
	const BridgeOffsets *offsets;
	int64_t		lease_ms;
	int64_t		stored;			/* set: rows that did not exist */
	int64_t		lost;			/* set: items the ledger lost, not stored */
} BridgeNotificationBatch;

/* How the first attempt ended. */
typedef struct BridgeResult
{
	char		transfer_id[BANK_UUID_SIZE];
	BankBacenOutcome outcome;
	const char *state;			/* delivered, pending or dead */
	int64_t		delay_ms;		/* until the next attempt, where pending */
} BridgeResult;

/* Reads the offset of every partition; false where the store failed. */
extern bool bridge_notification_load(BridgeStore *store, const char *topic,
									 BridgeOffsets *offsets);

/*
 * Stores the rows that do not exist and moves the offsets, in one
 * transaction.  Sets is_ours of each item, and the counts of the batch.
 */
extern BridgeEffect bridge_notification_store(BridgeStore *store,
											  BridgeNotificationBatch *batch);

/*
 * Stores results, each only where the row still awaits it.  False where the
 * store failed: they may be stored again.
 */
extern bool bridge_notification_finish(BridgeStore *store,
									   const BridgeResult *results, int count);

typedef enum BridgeCircuit
{
	BRIDGE_CIRCUIT_CLOSED,
	BRIDGE_CIRCUIT_HALF_OPEN,
	BRIDGE_CIRCUIT_OPEN
} BridgeCircuit;

/* What BACEN has not taken. */
typedef struct BridgeBacklog
{
	int64_t		pending;
	int64_t		sending;
	int64_t		dead;
	int64_t		oldest_ms;		/* age of the oldest transfer, dead ones
								 * apart; -1: none */
	BridgeCircuit circuit;
} BridgeBacklog;

/* Counts it; false where the store failed. */
extern bool bridge_notification_count(BridgeStore *store, BridgeBacklog *backlog);

/* Frees what stays between batches. */
extern void bridge_notification_free(void);

#endif
