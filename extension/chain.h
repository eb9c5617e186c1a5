/*
 * What one account's entries must be, one after the other.
 */
#ifndef BANK_CHAIN_H
#define BANK_CHAIN_H

#include "finding.h"
#include "reader.h"

/* A journal row as one of its accounts has it. */
typedef struct BankEntry
{
	pg_uuid_t	account_id;
	int64		version;
	const char *kind;
	int64		change;			/* what it adds to the balance */
	int64		balance;
	int64		held;
	TimestampTz dated;
	int32		period;
	const BankOptionalUuid *previous;	/* the transfer before it */
	const BankDigest *digest;
	bool		is_payer;
	const BankJournalRow *row;
} BankEntry;

/* An account as its entries so far make it. */
typedef struct BankChain
{
	pg_uuid_t	account_id;		/* first: key of a hash table */
	bool		is_known;		/* the account has a row; it says: */
	bool		is_settlement;
	char		currency[BANK_CURRENCY_SIZE];
	pg_uuid_t	customer_id;
	TimestampTz opened_at;
	TimestampTz closed_at;		/* infinity while it is open */

	bool		is_closed;		/* the last entry closes it */
	int64		version;		/* of the last entry; 0: there was none */
	int64		balance;
	int64		held;
	TimestampTz dated;
	BankOptionalUuid last_transfer;
	BankDigest	digest;
	BankOptionalAmount limit;	/* as last set ... */
	TimestampTz limit_due;		/* ... from then on, and before ... */
	BankOptionalAmount limit_before;	/* ... this one */
	BankOptionalTime clock_accepted_at; /* as last accepted */
	bool		is_cut;			/* entries before the first one were not read */
	int32		waiting;		/* entries read before their turn */
} BankChain;

/* What judges chains: the journal, and where findings go. */
typedef struct BankJudge
{
	BankJournal *journal;
	BankFindings *findings;
	int32		open_period;	/* no row is of a later one */
} BankJudge;

extern void bank_chain_entry_of(const BankJournalRow *row, bool is_payer,
								BankEntry *entry);
extern void bank_chain_begin(BankChain *chain, const pg_uuid_t *account_id,
							 const BankAccount *account);
extern void bank_chain_continue(BankChain *chain, const BankEntry *entry);
extern void bank_chain_judge(BankJudge *judge, BankChain *chain,
							 const BankEntry *entry);
extern void bank_chain_finish(BankJudge *judge, const BankChain *chain,
							  const BankAccount *account);
extern void bank_chain_judge_transfer(BankJudge *judge,
									  const BankTransfer *transfer,
									  const BankChain *payer,
									  const BankChain *payee);

#endif
