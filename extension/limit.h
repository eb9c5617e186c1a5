/*
 * Gross debits of an account in a local day, and the most they may reach.
 */
#ifndef BANK_LIMIT_H
#define BANK_LIMIT_H

#include "ledger.h"

extern DateADT bank_limit_day(TimestampTz at);
extern bool bank_limit_allows(const BankAccount *account, int64 amount,
							  TimestampTz at);
extern void bank_limit_raise_exceeded(const BankAccount *account, int64 amount)
			pg_attribute_noreturn();
extern bool bank_limit_can_count(const BankAccount *account, int64 amount,
								 TimestampTz at);
extern void bank_limit_raise_uncountable(const BankAccount *account, int64 amount)
			pg_attribute_noreturn();
extern void bank_limit_spend(BankAccount *account, int64 amount, TimestampTz at);
extern void bank_limit_give_back(BankAccount *account, int64 amount,
								 DateADT counted_day);

#endif
