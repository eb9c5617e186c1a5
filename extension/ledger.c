/*
 * What a call does to accounts and their journal: appended in memory first,
 * then written at once, so that one routine serves one transfer and a batch.
 *
 * Order of a call: open, find, lock, begin, append …, write, close.
 *
 * Promises: each posting adds as much to one account as it takes from the
 * other (invariant 1); each journal row raises the version of its account by
 * one, carries the balance after it and is chained to the one before (2);
 * entries of an account are dated in the order of their versions, and a
 * closing after all of them (4).
 *
 * Locks: rows of account, by the caller, in the order of their ids; a caller
 * appends only to accounts that it has locked or makes.
 *
 * Memory: what is appended must live until it is written.
 *
 * Raises: LG008 where the index of keys refuses a transfer, an account or a
 * hold; LG019 where nobody has run bank_ledger.init().
 *
 * Not here: the tables (ledger_account.c, ledger_event.c, ledger_transfer.c,
 * ledger_hold.c); who may, and what must hold before money moves.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "bank.h"
#include "kept.h"
#include "ledger.h"
#include "rights.h"

enum
{
	SEALING_PERIOD
};

static const BankColumn sealing_columns[] = {
	[SEALING_PERIOD] = {"period", INT4OID},
};

static const BankShape sealing_shape = {
	"sealing", sealing_columns, lengthof(sealing_columns)
};

/* Begins one call; its tables are opened when first used. */
void
bank_ledger_open(BankLedger *ledger, BankOpenMode mode)
{
	memset(ledger, 0, sizeof(*ledger));
	ledger->mode = mode;
}

static void
close_table(BankRelation *table)
{
	if (table->relation != NULL)
		bank_relation_close(table);
}

/* Ends the call; the locks of its tables stay. */
void
bank_ledger_close(BankLedger *ledger)
{
	close_table(&ledger->hold);
	close_table(&ledger->transfer);
	close_table(&ledger->event);
	close_table(&ledger->account);
}

static bool
take_period(const BankRow *row, void *period)
{
	*(int32 *) period = DatumGetInt32(row->values[SEALING_PERIOD]);
	return true;
}

static int32 open_period;
static BankKept sealing = {
	.shape = &sealing_shape, .take = take_period, .value = &open_period
};

/*
 * The period of what is written now.  The transaction has its id before it
 * asks: a period is sealed only after all that had theirs while it was open
 * have ended.  Who opens another tells of it before the transaction that a
 * seal waits for gets its id (seal.sql), so whoever has a later one is told.
 */
int32
bank_ledger_open_period(BankOpenMode mode)
{
	bool		may_wait = mode == BANK_OPEN_WRITE;

	(void) GetCurrentTransactionId();
	AcceptInvalidationMessages();
	if (!bank_kept_find(&sealing, may_wait ? BANK_OPEN_READ : BANK_OPEN_READ_NOWAIT))
		bank_errors_raise_no_ledger(psprintf("Table \"%s.%s\" is empty.",
											 BANK_LEDGER_SCHEMA, sealing_shape.table));
	return open_period;
}

/*
 * Takes date, period and actor of what is to be appended; the caller has its
 * locks.  The transaction has its id before the date: whoever has none yet will
 * date nothing before now (horizon.c).
 */
void
bank_ledger_begin(BankLedger *ledger)
{
	ledger->period = bank_ledger_open_period(ledger->mode);
	ledger->now = GetCurrentTimestamp();
	ledger->actor = bank_rights_actor();
}

/* Now, but never before the account's last journal row (invariant 4). */
TimestampTz
bank_ledger_entry_date(const BankLedger *ledger, const BankAccount *account)
{
	return Max(ledger->now, account->updated_at);
}

/* The same for both accounts of a transfer. */
TimestampTz
bank_ledger_transfer_date(const BankLedger *ledger, const BankAccount *from,
						  const BankAccount *to)
{
	return Max(bank_ledger_entry_date(ledger, from), to->updated_at);
}

static void
mark_changed(BankLedger *ledger, BankAccount *account)
{
	if (account->is_changed)
		return;
	account->is_changed = true;
	ledger->accounts = lappend(ledger->accounts, account);
}

/* The account's next version, dated at. */
static void
advance(BankLedger *ledger, BankAccount *account, TimestampTz at)
{
	Assert(at >= account->updated_at);
	account->version++;
	account->updated_at = at;
	mark_changed(ledger, account);
}

static void
set_last_transfer(BankAccount *account, const pg_uuid_t *transfer_id,
				  const BankDigest *digest)
{
	account->last_transfer.is_set = true;
	account->last_transfer.value = *transfer_id;
	account->digest = *digest;
}

/*
 * Moves the amount, and completes the transfer with what the accounts are
 * after it.
 */
void
bank_ledger_append_transfer(BankLedger *ledger, BankTransfer *transfer,
							BankAccount *from, BankAccount *to)
{
	TimestampTz at = bank_ledger_transfer_date(ledger, from, to);

	from->balance -= transfer->amount;
	to->balance += transfer->amount;
	advance(ledger, from, at);
	advance(ledger, to, at);

	transfer->from_account = from->account_id;
	transfer->from_version = from->version;
	transfer->from_balance = from->balance;
	transfer->from_held = from->held;
	transfer->from_previous = from->last_transfer;
	transfer->to_account = to->account_id;
	transfer->to_version = to->version;
	transfer->to_balance = to->balance;
	transfer->to_held = to->held;
	transfer->to_previous = to->last_transfer;
	transfer->completed_at = at;
	transfer->actor = ledger->actor;
	transfer->period = ledger->period;
	memcpy(transfer->currency, from->currency, BANK_CURRENCY_SIZE);
	bank_digest_transfer(transfer, &from->digest, &to->digest,
						 &transfer->from_digest, &transfer->to_digest);

	set_last_transfer(from, &transfer->transfer_id, &transfer->from_digest);
	set_last_transfer(to, &transfer->transfer_id, &transfer->to_digest);
	ledger->transfers = lappend(ledger->transfers, transfer);
}

static void
append_event_at(BankLedger *ledger, BankAccount *account, BankAccountEvent *event,
				TimestampTz at)
{
	advance(ledger, account, at);
	event->account_id = account->account_id;
	event->version = account->version;
	event->customer_id.is_set = !account->is_settlement;
	event->customer_id.value = account->customer_id;
	memcpy(event->currency, account->currency, BANK_CURRENCY_SIZE);
	event->is_active = account->is_active;
	event->balance = account->balance;
	event->held = account->held;
	event->occurred_at = at;
	event->actor = ledger->actor;
	event->previous_transfer = account->last_transfer;
	event->period = ledger->period;
	bank_digest_event(event, &account->digest, &event->digest);
	account->digest = event->digest;
	ledger->events = lappend(ledger->events, event);
}

/*
 * Appends an event whose kind and terms the caller has set, to an account that
 * the caller has changed as the event says.
 */
void
bank_ledger_append_event(BankLedger *ledger, BankAccount *account,
						 BankAccountEvent *event)
{
	append_event_at(ledger, account, event, bank_ledger_entry_date(ledger, account));
}

/* Appends a hold that is new or was changed. */
void
bank_ledger_append_hold(BankLedger *ledger, BankHold *hold)
{
	ledger->holds = lappend(ledger->holds, hold);
}

/*
 * Inserts the journal rows that were appended, events before transfers, and
 * writes the holds.  Raises LG008 when a key is taken.
 */
void
bank_ledger_write_journal(BankLedger *ledger)
{
	ListCell   *cell;

	bank_ledger_write_events(ledger);
	bank_ledger_write_transfers(ledger);
	foreach(cell, ledger->holds)
		bank_ledger_write_hold(ledger, lfirst(cell));
}

/*
 * Writes each account that was appended to, once, and ends the appending.  The
 * effects are visible to what follows in the transaction.
 */
void
bank_ledger_write_accounts(BankLedger *ledger)
{
	ListCell   *cell;

	foreach(cell, ledger->accounts)
		bank_ledger_write_account(ledger, lfirst(cell));
	CommandCounterIncrement();
	bank_ledger_forget(ledger);
}

/* Makes what was appended last. */
void
bank_ledger_write(BankLedger *ledger)
{
	bank_ledger_write_journal(ledger);
	bank_ledger_write_accounts(ledger);
}

/* Forgets what was appended. */
void
bank_ledger_forget(BankLedger *ledger)
{
	ledger->accounts = NIL;
	ledger->events = NIL;
	ledger->transfers = NIL;
	ledger->holds = NIL;
}

/*
 * Opens an account whose ids and currency the caller set: empty, version 1.
 * Raises LG008 when the id is taken.
 */
void
bank_ledger_create_account(BankLedger *ledger, BankAccount *account)
{
	BankAccountEvent created = {.kind = BANK_ACCOUNT_CREATED};

	account->is_new = true;
	account->is_active = true;
	account->opened_at = ledger->now;
	account->updated_at = ledger->now;
	append_event_at(ledger, account, &created, ledger->now);
	bank_ledger_write(ledger);
}

/*
 * Closes an empty account that the caller has locked, at a date after its last
 * entry, however the clock went (invariant 4).  The caller writes it.
 */
void
bank_ledger_close_account(BankLedger *ledger, BankAccount *account)
{
	BankAccountEvent *closed = palloc0(sizeof(BankAccountEvent));

	Assert(account->is_active && account->balance == 0 && account->held == 0);
	closed->kind = BANK_ACCOUNT_INACTIVATED;
	account->is_active = false;
	account->closed_at = Max(ledger->now, account->updated_at + 1);
	append_event_at(ledger, account, closed, account->closed_at);
}
