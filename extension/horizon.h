/*
 * Up to which date the journal, as a snapshot has it, is complete.
 */
#ifndef BANK_HORIZON_H
#define BANK_HORIZON_H

#include "datatype/timestamp.h"
#include "utils/snapshot.h"

/* A transaction that has an id, and when it began. */
typedef struct BankRunning
{
	TransactionId xid;
	TimestampTz began;
} BankRunning;

/* Who ran at a moment. */
typedef struct BankHorizon
{
	TimestampTz at;
	TransactionId next_xid;		/* of the next transaction to get one */
	int			nrunning;
	BankRunning *running;
} BankHorizon;

extern void bank_horizon_look(BankHorizon *horizon);
extern TimestampTz bank_horizon_of(const BankHorizon *horizon, Snapshot snapshot);

#endif
