/*
 * Acts on a customer or a notification, as the ledger keeps them.
 */
#ifndef BANK_ACT_H
#define BANK_ACT_H

#include "optional.h"
#include "relation.h"

typedef enum BankAct
{
	BANK_CUSTOMER_CLOSING,
	BANK_CUSTOMER_REACTIVATED,
	BANK_NOTIFICATION_REQUEUED
} BankAct;

extern void bank_act_record(BankOpenMode mode, BankAct act,
							const pg_uuid_t *customer_id,
							const BankOptionalUuid *transfer_id);

#endif
