/*
 * What every movement of money has in common: its arguments, its locks, its
 * key, and what must hold before it is appended.
 */
#ifndef BANK_POSTING_H
#define BANK_POSTING_H

#include "ledger.h"

/* The judgements below are SQLSTATEs; 0: nothing stands in the way. */
extern int	bank_posting_judge_amount(int64 amount);
extern int	bank_posting_judge(const BankLedger *ledger,
							   const BankTransfer *transfer,
							   const BankAccount *from, const BankAccount *to);
extern int	bank_posting_judge_debit(const BankAccount *from, int64 amount,
									 TimestampTz at);
extern int	bank_posting_judge_replay(const BankTransfer *posted,
									  const BankTransfer *asked);
extern void bank_posting_raise(const BankLedger *ledger, int sqlstate,
							   const BankTransfer *transfer,
							   const BankAccount *from, const BankAccount *to)
			pg_attribute_noreturn();

extern void bank_posting_require_amount(int64 amount);
extern void bank_posting_require_two_accounts(const pg_uuid_t *from,
											  const pg_uuid_t *to);
extern bool bank_posting_have_same_holder(const BankAccount *from,
										  const BankAccount *to);
extern void bank_posting_require_same_holder(const BankAccount *from,
											 const BankAccount *to);
extern const char *bank_posting_reference(FunctionCallInfo fcinfo, int argument);
extern bool bank_posting_reference_fits(const char *reference);

extern void bank_posting_lock(BankLedger *ledger, BankAccount *account);
extern void bank_posting_lock_pair(BankLedger *ledger, BankAccount *a,
								   BankAccount *b);
extern bool bank_posting_find_replay(BankLedger *ledger, BankTransfer *asked);
extern void bank_posting_append(BankLedger *ledger, BankTransfer *transfer,
								BankAccount *from, BankAccount *to);

#endif
