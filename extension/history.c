/*
 * The journal of one account, entered by version or by date without an index
 * by account, whose upkeep would cost a posting more than all else.
 *
 * Each transfer names the transfer before it of either account, so an account
 * is a chain that is walked from its newest transfer back.  Versions count its
 * journal rows without gap, and the row of every version that 64 divides, a
 * waypoint, is found by a small index, or is an event and found by its key;
 * events name the transfer before them too.  So the journal is read in
 * stretches of 64 versions, each ending in a waypoint or with the account, and
 * dates, which rise with the versions (invariant 4), are searched by halving.
 *
 * Promises:  what is read is what the running query's snapshot has, in which
 *            the account and its journal agree; a stretch costs 64 rows at most
 *            and a search the logarithm of the account's history.
 * Memory:    an entry's reference is valid until the next call.
 * Raises:    XX001 where versions or chain do not hold (invariant 2).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "bank.h"
#include "history.h"

/* Where a stretch ends: its newest row, and the transfer that is that or the
 * last before it. */
typedef struct StretchEnd
{
	TimestampTz dated;
	BankOptionalUuid transfer;
} StretchEnd;

/* Whether a stretch reaches a bound; once one does, all later ones do. */
typedef bool (*StretchTest) (BankHistory *history, int64 stretch, int64 bound);

static void
raise_broken(const BankHistory *history, int64 version)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("journal of an account is broken"),
			 errdetail("Of account %s, what happened at version " INT64_FORMAT " or just before is missing or out of place.",
					   bank_uuid_text(&history->account->account_id), version),
			 errhint("bank.verify says what else does not hold.")));
}

/*
 * The account is as the running query sees it, in a ledger opened to read.
 * Tables are opened here: in the context of a stretch they would not last.
 */
void
bank_history_open(BankHistory *history, BankLedger *ledger, const BankAccount *account)
{
	(void) bank_ledger_transfer_table(ledger);
	(void) bank_ledger_event_table(ledger);
	history->ledger = ledger;
	history->account = account;
	history->context = AllocSetContextCreate(CurrentMemoryContext, "bank history",
											 ALLOCSET_DEFAULT_SIZES);
	history->stretch = -1;
	history->first = BANK_HISTORY_STRETCH;
}

/* The number of the stretch that has a version: 0 has 1 to 64. */
static int64
stretch_of(int64 version)
{
	return (version - 1) / BANK_HISTORY_STRETCH;
}

static int64
last_version_of(const BankHistory *history, int64 stretch)
{
	return Min((stretch + 1) * BANK_HISTORY_STRETCH, history->account->version);
}

static void
take_payer(const BankTransfer *transfer, BankHistoryEntry *entry)
{
	entry->after.version = transfer->from_version;
	entry->after.balance = transfer->from_balance;
	entry->after.held = transfer->from_held;
	entry->counterparty = transfer->to_account;
	entry->amount = -transfer->amount;
	entry->previous = transfer->from_previous;
}

static void
take_payee(const BankTransfer *transfer, BankHistoryEntry *entry)
{
	entry->after.version = transfer->to_version;
	entry->after.balance = transfer->to_balance;
	entry->after.held = transfer->to_held;
	entry->counterparty = transfer->from_account;
	entry->amount = transfer->amount;
	entry->previous = transfer->to_previous;
}

/* Reads a transfer that the chain names, before the row of a version. */
static void
read_entry(BankHistory *history, const pg_uuid_t *id, int64 before,
		   BankHistoryEntry *entry)
{
	const pg_uuid_t *account_id = &history->account->account_id;
	BankTransfer transfer;

	if (!bank_ledger_find_visible_transfer(history->ledger, id, &transfer))
		raise_broken(history, before);
	if (bank_uuid_compare(&transfer.from_account, account_id) == 0)
		take_payer(&transfer, entry);
	else if (bank_uuid_compare(&transfer.to_account, account_id) == 0)
		take_payee(&transfer, entry);
	else
		raise_broken(history, before);
	if (entry->after.version >= before || entry->after.version < 1)
		raise_broken(history, before);
	entry->after.dated = transfer.completed_at;
	entry->transfer_id = transfer.transfer_id;
	entry->kind = transfer.kind;
	entry->reference = transfer.reference;
}

static void
find_end(BankHistory *history, int64 stretch, StretchEnd *end)
{
	const BankAccount *account = history->account;
	int64		version = last_version_of(history, stretch);
	BankTransfer transfer;
	BankAccountEvent event;

	if (version == account->version)
	{
		end->dated = account->updated_at;
		end->transfer = account->last_transfer;
	}
	else if (bank_ledger_find_waypoint(history->ledger, &account->account_id, version,
									   &transfer))
	{
		end->dated = transfer.completed_at;
		end->transfer.is_set = true;
		end->transfer.value = transfer.transfer_id;
	}
	else if (bank_ledger_find_visible_event(history->ledger, &account->account_id,
											version, &event))
	{
		end->dated = event.occurred_at;
		end->transfer = event.previous_transfer;
	}
	else
		raise_broken(history, version);
}

/* Reads the entries of a stretch from its end back, unless they are at hand. */
static void
read_stretch(BankHistory *history, int64 stretch)
{
	int64		before = last_version_of(history, stretch) + 1;
	int64		start = stretch * BANK_HISTORY_STRETCH;
	MemoryContext caller;
	StretchEnd	end;
	BankOptionalUuid next;

	if (history->stretch == stretch)
		return;
	history->stretch = -1;
	history->first = BANK_HISTORY_STRETCH;
	MemoryContextReset(history->context);
	caller = MemoryContextSwitchTo(history->context);
	find_end(history, stretch, &end);
	for (next = end.transfer; next.is_set; next = history->entries[history->first].previous)
	{
		BankHistoryEntry entry;

		CHECK_FOR_INTERRUPTS();
		read_entry(history, &next.value, before, &entry);
		before = entry.after.version;
		if (before <= start)
			break;
		history->entries[--history->first] = entry;
	}
	MemoryContextSwitchTo(caller);
	history->stretch = stretch;
}

/* The first entry at hand of a later version than this; null: none. */
static const BankHistoryEntry *
entry_after(const BankHistory *history, int64 version)
{
	for (int i = history->first; i < BANK_HISTORY_STRETCH; i++)
		if (history->entries[i].after.version > version)
			return &history->entries[i];
	return NULL;
}

/*
 * The first stretch, from one on, that reaches the bound; the last one where
 * none before does.  Steps double before halving begins, so that what is near
 * is found soon.
 */
static int64
first_stretch(BankHistory *history, int64 from, StretchTest reaches, int64 bound)
{
	int64		last = stretch_of(history->account->version);
	int64		below = from - 1;
	int64		found = from;

	for (int64 step = 1; found < last && !reaches(history, found, bound); step *= 2)
	{
		below = found;
		found = Min(found + step, last);
	}
	while (found - below > 1)
	{
		int64		middle = below + (found - below) / 2;

		if (reaches(history, middle, bound))
			found = middle;
		else
			below = middle;
	}
	return found;
}

static bool
ends_from(BankHistory *history, int64 stretch, int64 date)
{
	StretchEnd	end;

	find_end(history, stretch, &end);
	return end.dated >= date;
}

static bool
ends_with_entry_after(BankHistory *history, int64 stretch, int64 version)
{
	StretchEnd	end;
	BankHistoryEntry entry;

	find_end(history, stretch, &end);
	if (!end.transfer.is_set)
		return false;
	read_entry(history, &end.transfer.value, last_version_of(history, stretch) + 1, &entry);
	return entry.after.version > version;
}

static void
find_event(BankHistory *history, int64 version, BankAccountEvent *event)
{
	if (!bank_ledger_find_visible_event(history->ledger, &history->account->account_id,
										version, event))
		raise_broken(history, version);
}

/* Of two versions with only events between, the last that is dated before. */
static int64
last_event_before(BankHistory *history, int64 before, int64 from, TimestampTz date)
{
	while (from - before > 1)
	{
		int64		middle = before + (from - before) / 2;
		BankAccountEvent event;

		find_event(history, middle, &event);
		if (event.occurred_at < date)
			before = middle;
		else
			from = middle;
	}
	return before;
}

/* The last version whose row is dated before the date; 0: none is. */
int64
bank_history_version_before(BankHistory *history, TimestampTz date)
{
	int64		stretch;
	int64		before;
	int64		from;

	if (history->account->updated_at < date)
		return history->account->version;
	stretch = first_stretch(history, 0, ends_from, date);
	read_stretch(history, stretch);
	before = stretch * BANK_HISTORY_STRETCH;
	from = last_version_of(history, stretch);
	for (int i = history->first; i < BANK_HISTORY_STRETCH; i++)
	{
		const BankHistoryState *after = &history->entries[i].after;

		if (after->dated >= date)
		{
			from = after->version;
			break;
		}
		before = after->version;
	}
	return last_event_before(history, before, from, date);
}

/* What the account was after one of its versions, or before any. */
void
bank_history_state(BankHistory *history, int64 version, BankHistoryState *state)
{
	const BankHistoryEntry *entry;
	BankAccountEvent event;

	memset(state, 0, sizeof(*state));
	if (version == 0)
		return;
	read_stretch(history, stretch_of(version));
	entry = entry_after(history, version - 1);
	if (entry != NULL && entry->after.version == version)
	{
		*state = entry->after;
		return;
	}
	find_event(history, version, &event);
	state->version = version;
	state->dated = event.occurred_at;
	state->balance = event.balance;
	state->held = event.held;
}

/* The account's first entry of a later version than this; false: none. */
bool
bank_history_next(BankHistory *history, int64 version, BankHistoryEntry *entry)
{
	int64		last = stretch_of(history->account->version);
	int64		stretch = stretch_of(version + 1);
	const BankHistoryEntry *next;

	if (stretch > last)
		return false;
	read_stretch(history, stretch);
	next = entry_after(history, version);
	if (next == NULL && stretch < last)
	{
		read_stretch(history, first_stretch(history, stretch + 1, ends_with_entry_after,
											version));
		next = entry_after(history, version);
	}
	if (next != NULL)
		*entry = *next;
	return next != NULL;
}
