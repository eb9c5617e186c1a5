/*
 * Rows of bank_report.notification that this session has leased.
 */
#ifndef BANK_CLAIM_H
#define BANK_CLAIM_H

#include "datatype/timestamp.h"

#include "bacen.h"

typedef struct BankClaim
{
	BankBacenNotification notification;
	int			requeued_after; /* attempts that no longer count */
} BankClaim;

/* Makes due what a clock that stepped back since would keep for too long. */
extern void bank_claim_recall(TimestampTz now);

/* How many rows, up to max, were due before the given time; locks none. */
extern int	bank_claim_count_due(int max, TimestampTz due);

/*
 * Leases up to max rows that were due before the given time, oldest first,
 * and counts an attempt of each; returns how many.  The caller commits before
 * he sends.
 */
extern int	bank_claim_take(BankClaim *claims, int max, TimestampTz due);

/*
 * Stores what came of an attempt, unless the lease ended and another attempt
 * began meanwhile.
 */
extern void bank_claim_settle(const BankClaim *claim,
							  const BankBacenOutcome *outcome);

#endif
