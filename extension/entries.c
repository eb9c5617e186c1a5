/*
 * Entries brought into the order of each account's versions, and judged.
 *
 * An entry whose turn it is goes to its account's chain at once.  One that
 * comes early waits, by its place alone, until the entry before it came.  Rows
 * lie nearly in order, so few wait.  Where memory has no more room, for a
 * chain or for an entry that waits, entries go to a sort by account and
 * version, which spills to disk; at the end it is gone through account by
 * account.  So any order of the rows gives the same result, and only time
 * grows with disorder.
 *
 * Memory:    chains and waiting entries stay below maintenance_work_mem
 *            together, and so does the sort.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "bank.h"
#include "entries.h"
#include "progress.h"

/* What an entry is one side of; also how entries are told apart in the sort. */
typedef enum EntrySide
{
	SIDE_NONE,					/* no entry, but an account */
	SIDE_EVENT,
	SIDE_PAYER,
	SIDE_PAYEE
} EntrySide;

typedef struct EntryKey
{
	pg_uuid_t	account_id;
	int64		version;
} EntryKey;

typedef struct WaitingEntry
{
	EntryKey	key;
	ItemPointerData place;
	uint16		side;
} WaitingEntry;

/* Of a waiting entry in its hash table, its share of the table included. */
#define WAITING_SIZE 96

/* Columns of the sort. */
enum
{
	SORT_ACCOUNT_ID,
	SORT_VERSION,
	SORT_SIDE,
	SORT_PLACE,
	SORT_COLUMNS
};

static Size
memory_limit(void)
{
	return (Size) maintenance_work_mem * 1024;
}

static HTAB *
create_table(BankEntries *entries, const char *name, Size key, Size entry)
{
	HASHCTL		control = {.keysize = key, .entrysize = entry, .hcxt = entries->context};

	return hash_create(name, 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* For entries dated from since, before until. */
void
bank_entries_open(BankEntries *entries, BankJudge *judge, TimestampTz since,
				  TimestampTz until)
{
	memset(entries, 0, sizeof(*entries));
	entries->judge = judge;
	entries->since = since;
	entries->until = until;
	entries->context = AllocSetContextCreate(CurrentMemoryContext, "bank entries",
											 ALLOCSET_DEFAULT_SIZES);
	entries->sort_context = AllocSetContextCreate(CurrentMemoryContext,
												  "bank sorted entries",
												  ALLOCSET_DEFAULT_SIZES);
	entries->row_context = AllocSetContextCreate(CurrentMemoryContext,
												 "bank entry", ALLOCSET_SMALL_SIZES);
	entries->chains = create_table(entries, "bank chains", UUID_LEN, sizeof(BankChain));
	entries->waiting = create_table(entries, "bank waiting entries", sizeof(EntryKey),
									sizeof(WaitingEntry));
}

void
bank_entries_close(BankEntries *entries)
{
	if (entries->sort != NULL)
	{
		tuplesort_end(entries->sort);
		ExecDropSingleTupleTableSlot(entries->sort_input);
		ExecDropSingleTupleTableSlot(entries->sort_slot);
	}
	MemoryContextDelete(entries->context);
	MemoryContextDelete(entries->sort_context);
	MemoryContextDelete(entries->row_context);
}

static TupleDesc
sort_descriptor(void)
{
	TupleDesc	descriptor = CreateTemplateTupleDesc(SORT_COLUMNS);

	TupleDescInitEntry(descriptor, SORT_ACCOUNT_ID + 1, "account_id", UUIDOID, -1, 0);
	TupleDescInitEntry(descriptor, SORT_VERSION + 1, "version", INT8OID, -1, 0);
	TupleDescInitEntry(descriptor, SORT_SIDE + 1, "side", INT4OID, -1, 0);
	TupleDescInitEntry(descriptor, SORT_PLACE + 1, "place", TIDOID, -1, 0);
	return descriptor;
}

static void
begin_sort(BankEntries *entries)
{
	AttrNumber	columns[] = {SORT_ACCOUNT_ID + 1, SORT_VERSION + 1};
	Oid			operators[] = {
		lookup_type_cache(UUIDOID, TYPECACHE_LT_OPR)->lt_opr,
		lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr
	};
	Oid			collations[] = {InvalidOid, InvalidOid};
	bool		nulls_first[] = {false, false};
	MemoryContext caller = MemoryContextSwitchTo(entries->sort_context);
	TupleDesc	descriptor = sort_descriptor();

	entries->sort = tuplesort_begin_heap(descriptor, lengthof(columns), columns,
										 operators, collations, nulls_first,
										 maintenance_work_mem, NULL, TUPLESORT_NONE);
	entries->sort_input = MakeSingleTupleTableSlot(descriptor, &TTSOpsVirtual);
	entries->sort_slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(caller);
}

static void
put_into_sort(BankEntries *entries, const pg_uuid_t *account_id, int64 version,
			  EntrySide side, const ItemPointerData *place)
{
	TupleTableSlot *slot;

	if (entries->sort == NULL)
		begin_sort(entries);
	slot = ExecClearTuple(entries->sort_input);
	memset(slot->tts_isnull, false, SORT_COLUMNS * sizeof(bool));
	slot->tts_values[SORT_ACCOUNT_ID] = UUIDPGetDatum(account_id);
	slot->tts_values[SORT_VERSION] = Int64GetDatum(version);
	slot->tts_values[SORT_SIDE] = Int32GetDatum(side);
	slot->tts_values[SORT_PLACE] = PointerGetDatum(place);
	slot->tts_isnull[SORT_PLACE] = side == SIDE_NONE;
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(entries->sort, slot);
}

static EntrySide
side_of(const BankEntry *entry)
{
	if (!entry->row->is_transfer)
		return SIDE_EVENT;
	return entry->is_payer ? SIDE_PAYER : SIDE_PAYEE;
}

/* Takes an entry that is to be judged at the end. */
void
bank_entries_sort(BankEntries *entries, const BankEntry *entry)
{
	put_into_sort(entries, &entry->account_id, entry->version, side_of(entry),
				  &entry->row->place);
}

/*
 * Makes a chain for an account, or leaves its entries to the sort when the
 * chains have three quarters of the memory.  Called before any entry is taken.
 */
void
bank_entries_add_account(BankEntries *entries, const BankAccount *account)
{
	BankChain  *chain;

	if (MemoryContextMemAllocated(entries->context, true) > memory_limit() / 4 * 3)
	{
		put_into_sort(entries, &account->account_id, 0, SIDE_NONE, NULL);
		return;
	}
	chain = hash_search(entries->chains, &account->account_id, HASH_ENTER, NULL);
	bank_chain_begin(chain, &account->account_id, account);
}

/* The chain of an account there is room for, or null. */
BankChain *
bank_entries_find_chain(BankEntries *entries, const pg_uuid_t *account_id)
{
	return hash_search(entries->chains, account_id, HASH_FIND, NULL);
}

static void
set_key(EntryKey *key, const pg_uuid_t *account_id, int64 version)
{
	key->account_id = *account_id;
	key->version = version;
}

static int64
waiting_max(BankEntries *entries)
{
	Size		used = MemoryContextMemAllocated(entries->context, true);

	return used < memory_limit() ? (memory_limit() - used) / WAITING_SIZE : 0;
}

/* Lets an entry wait for its turn; false: there is no room, or one waits. */
static bool
let_wait(BankEntries *entries, BankChain *chain, const BankEntry *entry)
{
	EntryKey	key;
	WaitingEntry *waiting;
	bool		found;

	if (entries->waiting_max == 0)
		entries->waiting_max = waiting_max(entries);
	if (hash_get_num_entries(entries->waiting) >= entries->waiting_max)
		return false;
	set_key(&key, &entry->account_id, entry->version);
	waiting = hash_search(entries->waiting, &key, HASH_ENTER, &found);
	if (found)
		return false;
	waiting->place = entry->row->place;
	waiting->side = side_of(entry);
	chain->waiting++;
	return true;
}

/* Reads an entry again and judges it. */
static void
judge_place(BankEntries *entries, BankChain *chain, EntrySide side,
			ItemPointer place)
{
	MemoryContext caller = MemoryContextSwitchTo(entries->row_context);
	BankJournalRow row;
	BankEntry	entry;

	bank_reader_fetch(entries->judge->journal, side != SIDE_EVENT, place, &row);
	bank_chain_entry_of(&row, side == SIDE_PAYER, &entry);
	bank_chain_judge(entries->judge, chain, &entry);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(entries->row_context);
}

/* Judges the entries that waited for the one just judged. */
static void
judge_waiting(BankEntries *entries, BankChain *chain)
{
	while (chain->waiting > 0)
	{
		EntryKey	key;
		WaitingEntry *waiting;

		CHECK_FOR_INTERRUPTS();
		set_key(&key, &chain->account_id, chain->version + 1);
		waiting = hash_search(entries->waiting, &key, HASH_FIND, NULL);
		if (waiting == NULL)
			return;
		judge_place(entries, chain, waiting->side, &waiting->place);
		hash_search(entries->waiting, &key, HASH_REMOVE, NULL);
		chain->waiting--;
	}
}

/* Takes an entry: judges it now if it is its turn, else later. */
void
bank_entries_take(BankEntries *entries, const BankEntry *entry)
{
	BankChain  *chain = bank_entries_find_chain(entries, &entry->account_id);

	if (chain != NULL && entry->version == chain->version + 1)
	{
		bank_chain_judge(entries->judge, chain, entry);
		judge_waiting(entries, chain);
	}
	else if (chain == NULL || !let_wait(entries, chain, entry))
		bank_entries_sort(entries, entry);
}

/* What waits in vain follows a gap. */
static void
sort_waiting(BankEntries *entries)
{
	HASH_SEQ_STATUS status;
	WaitingEntry *waiting;

	hash_seq_init(&status, entries->waiting);
	while ((waiting = hash_seq_search(&status)) != NULL)
		put_into_sort(entries, &waiting->key.account_id, waiting->key.version,
					  waiting->side, &waiting->place);
}

/* Goes on from the entry before the first one there is. */
static void
continue_from_before(BankEntries *entries, BankChain *chain, const BankEntry *first)
{
	BankJournal *journal = entries->judge->journal;
	BankJournalRow row;
	BankEntry	before;

	chain->is_cut = true;
	if (bank_reader_find_event(journal, &first->account_id, first->version - 1, &row))
		bank_chain_entry_of(&row, false, &before);
	else if (first->previous->is_set &&
			 bank_reader_find_transfer(journal, &first->previous->value, &row))
		bank_chain_entry_of(&row, bank_uuid_compare(&row.transfer.from_account,
													&first->account_id) == 0, &before);
	else
		return;
	bank_chain_continue(chain, &before);
}

/* An account's entries in the sort, as far as they were gone through. */
typedef struct SortedAccount
{
	bool		is_begun;
	BankChain	own;
	BankChain  *chain;			/* own, or that of the table */
	bool		has_row;
	BankAccount account;
} SortedAccount;

static void
begin_account(BankEntries *entries, SortedAccount *sorted,
			  const pg_uuid_t *account_id)
{
	const char *fault;

	sorted->is_begun = true;
	sorted->chain = bank_entries_find_chain(entries, account_id);
	if (sorted->chain != NULL)
		return;
	sorted->chain = &sorted->own;
	sorted->has_row = bank_reader_find_account(entries->judge->journal, account_id,
											   &sorted->account, &fault);
	bank_chain_begin(sorted->chain, account_id,
					 sorted->has_row ? &sorted->account : NULL);
}

/*
 * Judges an account's row by its chain, where that has the last entry.  False:
 * no entry of the account was to be judged.
 */
bool
bank_entries_end_chain(BankEntries *entries, const BankChain *chain,
					   const BankAccount *account)
{
	bool		is_part = !TIMESTAMP_IS_NOBEGIN(entries->since) ||
	!TIMESTAMP_IS_NOEND(entries->until);

	if (is_part && chain->version == 0)
		return false;
	if (account->updated_at < entries->until)
		bank_chain_finish(entries->judge, chain, account);
	return true;
}

/* A chain of the table is ended with the others of the table. */
static void
end_account(BankEntries *entries, SortedAccount *sorted)
{
	if (sorted->is_begun && sorted->chain == &sorted->own && sorted->has_row &&
		bank_entries_end_chain(entries, sorted->chain, &sorted->account))
		entries->accounts++;
}

static void
judge_sorted(BankEntries *entries, SortedAccount *sorted, EntrySide side,
			 ItemPointer place)
{
	if (sorted->chain->version == 0 && !TIMESTAMP_IS_NOBEGIN(entries->since))
	{
		BankJournalRow row;
		BankEntry	first;

		bank_reader_fetch(entries->judge->journal, side != SIDE_EVENT, place, &row);
		bank_chain_entry_of(&row, side == SIDE_PAYER, &first);
		continue_from_before(entries, sorted->chain, &first);
	}
	judge_place(entries, sorted->chain, side, place);
}

static void
judge_slot(BankEntries *entries, SortedAccount *sorted)
{
	MemoryContext caller = MemoryContextSwitchTo(entries->row_context);
	Datum	   *values = entries->sort_slot->tts_values;
	pg_uuid_t  *account_id;
	EntrySide	side;

	slot_getallattrs(entries->sort_slot);
	account_id = DatumGetUUIDP(values[SORT_ACCOUNT_ID]);
	side = DatumGetInt32(values[SORT_SIDE]);
	if (!sorted->is_begun ||
		bank_uuid_compare(account_id, &sorted->chain->account_id) != 0)
	{
		end_account(entries, sorted);
		begin_account(entries, sorted, account_id);
	}
	if (side != SIDE_NONE)
		judge_sorted(entries, sorted, side,
					 (ItemPointer) DatumGetPointer(values[SORT_PLACE]));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(entries->row_context);
}

/* Judges what was left for the end; the chains of the table are complete. */
void
bank_entries_finish(BankEntries *entries)
{
	SortedAccount sorted = {0};

	sort_waiting(entries);
	if (entries->sort == NULL)
		return;
	tuplesort_performsort(entries->sort);
	while (tuplesort_gettupleslot(entries->sort, true, false, entries->sort_slot, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		bank_progress_count("entries out of order");
		judge_slot(entries, &sorted);
	}
	end_account(entries, &sorted);
}
