/*
 * The journal read in bulk: both of its tables from end to end, merged by
 * date, and single rows by place or key.
 *
 * Rows are inserted nearly in the order of their dates, so reading the older
 * of the two next rows gives each account's entries nearly in the order of its
 * versions.  Nearly is all that is promised.
 *
 * Promises:  everything is read with the snapshot of the running query, without
 *            a lock that a writer could meet; a row that is not understood is
 *            given with what is not, and is no error.
 * Memory:    a scan's next row lives until it is passed; rows fetched or found
 *            are in the current memory context.
 * Raises:    XX001 for a row that is gone though the snapshot sees it.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "bank.h"
#include "reader.h"

/* Opens all tables at once: what is opened must outlive the rows' contexts. */
void
bank_reader_open(BankJournal *journal)
{
	memset(journal, 0, sizeof(*journal));
	bank_ledger_open(&journal->ledger, BANK_OPEN_READ);
	(void) bank_ledger_account_table(&journal->ledger);
	journal->ledger.now = GetCurrentTimestamp();
	journal->event_slot =
		table_slot_create(bank_ledger_event_table(&journal->ledger)->relation, NULL);
	journal->transfer_slot =
		table_slot_create(bank_ledger_transfer_table(&journal->ledger)->relation, NULL);
}

void
bank_reader_close(BankJournal *journal)
{
	ExecDropSingleTupleTableSlot(journal->event_slot);
	ExecDropSingleTupleTableSlot(journal->transfer_slot);
	bank_ledger_close(&journal->ledger);
}

static void
read_row(const BankRow *values, bool is_transfer, BankJournalRow *row)
{
	BankRow		lenient = *values;

	row->place = values->slot->tts_tid;
	row->is_transfer = is_transfer;
	row->fault = NULL;
	lenient.fault = &row->fault;
	if (is_transfer)
		bank_ledger_read_transfer(&lenient, &row->transfer);
	else
		bank_ledger_read_event(&lenient, &row->event);
}

static void
read_slot(const BankRelation *table, TupleTableSlot *slot, bool is_transfer,
		  BankJournalRow *row)
{
	BankRow		values;

	bank_relation_read_slot(table, slot, &values);
	read_row(&values, is_transfer, row);
}

/* Passes the scan's next row. */
void
bank_reader_advance(BankJournalScan *scan)
{
	MemoryContext caller = CurrentMemoryContext;

	MemoryContextReset(scan->context);
	scan->is_at_end = !table_scan_getnextslot(scan->scan, ForwardScanDirection,
											  scan->slot);
	if (scan->is_at_end)
		return;
	MemoryContextSwitchTo(scan->context);
	read_slot(scan->table, scan->slot, scan->next.is_transfer, &scan->next);
	MemoryContextSwitchTo(caller);
}

/* From the first page on: a scan that joins another one begins anywhere. */
static void
begin_scan(BankJournalScan *scan, BankRelation *table, bool is_transfer)
{
	scan->table = table;
	scan->slot = table_slot_create(table->relation, NULL);
	scan->scan = table_beginscan_strat(table->relation, GetActiveSnapshot(), 0,
									   NULL, true, false);
	scan->context = AllocSetContextCreate(CurrentMemoryContext, "bank journal row",
										  ALLOCSET_SMALL_SIZES);
	scan->next.is_transfer = is_transfer;
	bank_reader_advance(scan);
}

/* Begins to read both tables from end to end. */
void
bank_reader_begin_scans(BankJournal *journal)
{
	begin_scan(&journal->events, bank_ledger_event_table(&journal->ledger), false);
	begin_scan(&journal->transfers, bank_ledger_transfer_table(&journal->ledger), true);
}

/* The scan whose next row is the older one; null when both are at their end. */
BankJournalScan *
bank_reader_earliest(BankJournal *journal)
{
	BankJournalScan *events = &journal->events;
	BankJournalScan *transfers = &journal->transfers;

	if (events->is_at_end)
		return transfers->is_at_end ? NULL : transfers;
	if (transfers->is_at_end)
		return events;
	return events->next.event.occurred_at <= transfers->next.transfer.completed_at ?
		events : transfers;
}

static void
end_scan(BankJournalScan *scan)
{
	table_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	MemoryContextDelete(scan->context);
}

void
bank_reader_end_scans(BankJournal *journal)
{
	end_scan(&journal->events);
	end_scan(&journal->transfers);
}

/* The row at a place where a scan found one before. */
void
bank_reader_fetch(BankJournal *journal, bool is_transfer, ItemPointer place,
				  BankJournalRow *row)
{
	BankRelation *table = is_transfer ?
	bank_ledger_transfer_table(&journal->ledger) :
	bank_ledger_event_table(&journal->ledger);
	TupleTableSlot *slot = is_transfer ? journal->transfer_slot : journal->event_slot;

	if (!table_tuple_fetch_row_version(table->relation, place, GetActiveSnapshot(),
									   slot))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of table \"%s.%s\" is gone", BANK_LEDGER_SCHEMA,
						table->known->shape->table)));
	read_slot(table, slot, is_transfer, row);
	ExecClearTuple(slot);
}

static bool
take_transfer(const BankRow *values, void *row)
{
	read_row(values, true, row);
	return true;
}

static bool
take_event(const BankRow *values, void *row)
{
	read_row(values, false, row);
	return true;
}

/* The transfer of that id; false: there is none. */
bool
bank_reader_find_transfer(BankJournal *journal, const pg_uuid_t *id,
						  BankJournalRow *row)
{
	Datum		key = UUIDPGetDatum(id);

	return bank_relation_find_visible(bank_ledger_transfer_table(&journal->ledger),
									  &key, 1, take_transfer, row);
}

/* The event that made a version; false: no event did. */
bool
bank_reader_find_event(BankJournal *journal, const pg_uuid_t *account_id,
					   int64 version, BankJournalRow *row)
{
	Datum		key[] = {UUIDPGetDatum(account_id), Int64GetDatum(version)};

	return bank_relation_find_visible(bank_ledger_event_table(&journal->ledger), key,
									  lengthof(key), take_event, row);
}

/* What is not understood of an account; null: nothing. */
static const char *
read_account(const BankRow *values, BankAccount *account)
{
	const char *fault = NULL;
	BankRow		lenient = *values;

	lenient.fault = &fault;
	bank_ledger_read_account(&lenient, account);
	return fault;
}

typedef struct FoundAccount
{
	BankAccount *account;
	const char **fault;
} FoundAccount;

static bool
take_account(const BankRow *values, void *context)
{
	FoundAccount *found = context;

	*found->fault = read_account(values, found->account);
	return true;
}

/* The account, and what is not understood of it; false: there is none. */
bool
bank_reader_find_account(BankJournal *journal, const pg_uuid_t *id,
						 BankAccount *account, const char **fault)
{
	Datum		key = UUIDPGetDatum(id);
	FoundAccount found = {account, fault};

	return bank_relation_find_visible(bank_ledger_account_table(&journal->ledger), &key,
									  1, take_account, &found);
}

/* Calls back with every account. */
void
bank_reader_scan_accounts(BankJournal *journal, BankAccountCallback callback,
						  void *context)
{
	BankRelation *table = bank_ledger_account_table(&journal->ledger);
	TupleTableSlot *slot = table_slot_create(table->relation, NULL);
	TableScanDesc scan = table_beginscan(table->relation, GetActiveSnapshot(), 0, NULL);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "bank account row",
													  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(row_context);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		BankRow		values;
		BankAccount account;
		const char *fault;

		CHECK_FOR_INTERRUPTS();
		bank_relation_read_slot(table, slot, &values);
		fault = read_account(&values, &account);
		callback(&account, fault, context);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row_context);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

typedef struct EventScan
{
	BankJournalCallback callback;
	void	   *context;
} EventScan;

static bool
call_back_with_event(const BankRow *values, void *context)
{
	EventScan  *scan = context;
	BankJournalRow row;

	(void) take_event(values, &row);
	scan->callback(&row, scan->context);
	return true;
}

/* Calls back with every event of an account. */
void
bank_reader_scan_events(BankJournal *journal, const pg_uuid_t *account_id,
						BankJournalCallback callback, void *context)
{
	EventScan	events = {callback, context};
	BankScan	scan = {
		.index = "account_event_pkey", .column = 0,
		.value = UUIDPGetDatum(account_id), .as_visible = true,
		.callback = call_back_with_event, .context = &events
	};

	bank_relation_scan(bank_ledger_event_table(&journal->ledger), &scan);
}
