/*
 * Holds that end, and those whose time has come.
 */
#ifndef BANK_EXPIRY_H
#define BANK_EXPIRY_H

#include "ledger.h"

extern bool bank_expiry_is_due(const BankHold *hold, TimestampTz at);
extern bool bank_expiry_is_over(BankLedger *ledger, const BankHold *hold,
								const BankAccount *account);
extern void bank_expiry_end(BankLedger *ledger, BankAccount *account, BankHold *hold,
							BankHoldState state, BankAccountEvent *event);
extern void bank_expiry_end_due(BankLedger *ledger, BankAccount *account);

#endif
