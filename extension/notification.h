/*
 * Rows of bank_report.notification, claimed and settled by SPI.
 */
#ifndef BANK_NOTIFICATION_H
#define BANK_NOTIFICATION_H

#include "datatype/timestamp.h"

#include "bacen.h"

/* A row that this session has leased. */
typedef struct BankClaim
{
	BankBacenNotification notification;
	int			requeued_after; /* attempts that no longer count */
} BankClaim;

/*
 * Leases up to max rows that were due before the given time, oldest first,
 * and counts an attempt of each; returns how many.  The caller commits before
 * he sends.
 */
extern int	bank_notification_claim(BankClaim *claims, int max, TimestampTz due);

/*
 * Stores what came of an attempt, unless the lease ended and another attempt
 * began meanwhile.
 */
extern void bank_notification_settle(const BankClaim *claim,
									 const BankBacenOutcome *outcome);

#endif
