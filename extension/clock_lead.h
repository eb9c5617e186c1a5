/*
 * Accounts whose last date the machine's clock has not reached.
 */
#ifndef BANK_CLOCK_LEAD_H
#define BANK_CLOCK_LEAD_H

#include "ledger.h"

extern bool bank_clock_lead_is_too_far(const BankLedger *ledger, const BankAccount *account);
extern void bank_clock_lead_raise(const BankAccount *account)
			pg_attribute_noreturn();

#endif
