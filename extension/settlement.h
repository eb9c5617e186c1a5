/*
 * Settlement accounts: the other side of deposits and withdrawals.
 */
#ifndef BANK_SETTLEMENT_H
#define BANK_SETTLEMENT_H

#include "ledger.h"

extern bool bank_settlement_owns(const pg_uuid_t *id);
extern void bank_settlement_lock(BankLedger *ledger, const char *currency,
								 int64 change, BankAccount *account);

#endif
