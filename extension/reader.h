/*
 * Rows of the journal as structs, for those who read many of them.
 */
#ifndef BANK_READER_H
#define BANK_READER_H

#include "access/tableam.h"

#include "ledger.h"

/*
 * A row of either table of the journal.  Where a part of it is not understood,
 * something else stands there.
 */
typedef struct BankJournalRow
{
	bool		is_transfer;
	const char *fault;			/* what is not understood of it; null: nothing */
	ItemPointerData place;
	BankTransfer transfer;
	BankAccountEvent event;
} BankJournalRow;

/* One table of the journal, read through; next is valid until it is passed. */
typedef struct BankJournalScan
{
	BankRelation *table;
	TableScanDesc scan;
	TupleTableSlot *slot;
	MemoryContext context;
	bool		is_at_end;
	BankJournalRow next;
} BankJournalScan;

/* Both tables, read with the snapshot of the running query. */
typedef struct BankJournal
{
	BankLedger	ledger;
	TupleTableSlot *event_slot; /* for rows read by their place */
	TupleTableSlot *transfer_slot;
	BankJournalScan events;
	BankJournalScan transfers;
} BankJournal;

typedef void (*BankAccountCallback) (const BankAccount *account, const char *fault,
									 void *context);
typedef void (*BankJournalCallback) (const BankJournalRow *row, void *context);

extern void bank_reader_open(BankJournal *journal);
extern void bank_reader_close(BankJournal *journal);
extern void bank_reader_begin_scans(BankJournal *journal);
extern BankJournalScan *bank_reader_earliest(BankJournal *journal);
extern void bank_reader_advance(BankJournalScan *scan);
extern void bank_reader_end_scans(BankJournal *journal);
extern void bank_reader_fetch(BankJournal *journal, bool is_transfer,
							  ItemPointer place, BankJournalRow *row);
extern bool bank_reader_find_transfer(BankJournal *journal, const pg_uuid_t *id,
									  BankJournalRow *row);
extern bool bank_reader_find_event(BankJournal *journal,
								   const pg_uuid_t *account_id, int64 version,
								   BankJournalRow *row);
extern bool bank_reader_find_account(BankJournal *journal, const pg_uuid_t *id,
									 BankAccount *account, const char **fault);
extern void bank_reader_scan_accounts(BankJournal *journal,
									  BankAccountCallback callback,
									  void *context);
extern void bank_reader_scan_events(BankJournal *journal,
									const pg_uuid_t *account_id,
									BankJournalCallback callback, void *context);

#endif
