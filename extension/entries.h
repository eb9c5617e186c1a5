/*
 * Entries brought into the order of each account's versions, whatever the
 * order in which their rows are read.
 */
#ifndef BANK_ENTRIES_H
#define BANK_ENTRIES_H

#include "utils/hsearch.h"
#include "utils/tuplesort.h"

#include "chain.h"

typedef struct BankEntries
{
	BankJudge  *judge;
	TimestampTz since;			/* entries before it, and from until on, */
	TimestampTz until;			/* are left out */
	MemoryContext context;		/* of the two tables, bounded */
	MemoryContext sort_context;
	MemoryContext row_context;	/* of a row read again */
	HTAB	   *chains;			/* of the accounts there is room for */
	HTAB	   *waiting;		/* entries read before their turn */
	int64		waiting_max;
	int64		accounts;		/* judged that have no chain in the table */
	Tuplesortstate *sort;		/* entries there was no room for; null: none */
	TupleTableSlot *sort_input;
	TupleTableSlot *sort_slot;
} BankEntries;

extern void bank_entries_open(BankEntries *entries, BankJudge *judge,
							  TimestampTz since, TimestampTz until);
extern void bank_entries_close(BankEntries *entries);
extern void bank_entries_add_account(BankEntries *entries,
									 const BankAccount *account);
extern BankChain *bank_entries_find_chain(BankEntries *entries,
										  const pg_uuid_t *account_id);
extern void bank_entries_take(BankEntries *entries, const BankEntry *entry);
extern void bank_entries_sort(BankEntries *entries, const BankEntry *entry);
extern bool bank_entries_end_chain(BankEntries *entries, const BankChain *chain,
								   const BankAccount *account);
extern void bank_entries_finish(BankEntries *entries);

#endif
