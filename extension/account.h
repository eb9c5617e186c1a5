/*
 * Accounts as their callers name them.
 */
#ifndef BANK_ACCOUNT_H
#define BANK_ACCOUNT_H

#include "utils/uuid.h"

#include "ledger.h"

extern void bank_account_find(BankLedger *ledger, const pg_uuid_t *id,
							  BankAccount *account);
extern void bank_account_find_visible(BankLedger *ledger, const pg_uuid_t *id,
									  BankAccount *account);
extern void bank_account_raise_not_found(const pg_uuid_t *id)
			pg_attribute_noreturn();
extern void bank_account_raise_inactive(const pg_uuid_t *id)
			pg_attribute_noreturn();

#endif
