/*
 * The only file that reads, locks and writes accounts and their journal.
 *
 * Promises: each posting adds as much to one account as it takes from the
 * other (invariant 1); each journal row raises the version of its account by
 * one and carries the balance after it (2); entries of an account are dated in
 * the order of their versions, and a closing after all of them (4).
 *
 * Locks: rows of account, by the caller, in the order of their ids; a caller
 * passes to bank_ledger_apply, _write and _close_account only accounts that it
 * has locked or inserted.
 *
 * Memory: structs point into the current memory context.
 *
 * Raises: LG008 where the index of keys refuses a transfer or an account.
 *
 * Not here: who may, and what must hold before money moves (transfer.c,
 * inactivation.c, account.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "bank.h"
#include "ledger.h"

enum
{
	ACCOUNT_ID,
	ACCOUNT_CUSTOMER_ID,
	ACCOUNT_KIND,
	ACCOUNT_CURRENCY,
	ACCOUNT_STATUS,
	ACCOUNT_BALANCE,
	ACCOUNT_HELD,
	ACCOUNT_VERSION,
	ACCOUNT_OPENED_AT,
	ACCOUNT_UPDATED_AT,
	ACCOUNT_CLOSED_AT
};

static const BankColumn account_columns[] = {
	[ACCOUNT_ID] = {"account_id", UUIDOID},
	[ACCOUNT_CUSTOMER_ID] = {"customer_id", UUIDOID, true},
	[ACCOUNT_KIND] = {"kind", TEXTOID},
	[ACCOUNT_CURRENCY] = {"currency", TEXTOID},
	[ACCOUNT_STATUS] = {"status", TEXTOID},
	[ACCOUNT_BALANCE] = {"balance", INT8OID},
	[ACCOUNT_HELD] = {"held", INT8OID},
	[ACCOUNT_VERSION] = {"version", INT8OID},
	[ACCOUNT_OPENED_AT] = {"opened_at", TIMESTAMPTZOID},
	[ACCOUNT_UPDATED_AT] = {"updated_at", TIMESTAMPTZOID},
	[ACCOUNT_CLOSED_AT] = {"closed_at", TIMESTAMPTZOID, true},
};

static const BankShape account_shape = {
	"account", account_columns, lengthof(account_columns)
};

enum
{
	EVENT_ACCOUNT_ID,
	EVENT_VERSION,
	EVENT_CUSTOMER_ID,
	EVENT_KIND,
	EVENT_CURRENCY,
	EVENT_STATUS,
	EVENT_BALANCE,
	EVENT_HELD,
	EVENT_TRANSFER_ID,
	EVENT_OCCURRED_AT,
	EVENT_ACTOR
};

static const BankColumn event_columns[] = {
	[EVENT_ACCOUNT_ID] = {"account_id", UUIDOID},
	[EVENT_VERSION] = {"version", INT8OID},
	[EVENT_CUSTOMER_ID] = {"customer_id", UUIDOID, true},
	[EVENT_KIND] = {"kind", TEXTOID},
	[EVENT_CURRENCY] = {"currency", TEXTOID},
	[EVENT_STATUS] = {"status", TEXTOID},
	[EVENT_BALANCE] = {"balance", INT8OID},
	[EVENT_HELD] = {"held", INT8OID},
	[EVENT_TRANSFER_ID] = {"transfer_id", UUIDOID, true},
	[EVENT_OCCURRED_AT] = {"occurred_at", TIMESTAMPTZOID},
	[EVENT_ACTOR] = {"actor", TEXTOID},
};

static const BankShape event_shape = {
	BANK_TABLE_ACCOUNT_EVENT, event_columns, lengthof(event_columns)
};

enum
{
	TRANSFER_ID,
	TRANSFER_KIND,
	TRANSFER_CUSTOMER_ID,
	TRANSFER_FROM_ACCOUNT,
	TRANSFER_TO_ACCOUNT,
	TRANSFER_AMOUNT,
	TRANSFER_CURRENCY,
	TRANSFER_FROM_VERSION,
	TRANSFER_TO_VERSION,
	TRANSFER_FROM_BALANCE,
	TRANSFER_TO_BALANCE,
	TRANSFER_FROM_HELD,
	TRANSFER_TO_HELD,
	TRANSFER_COMPLETED_AT,
	TRANSFER_ACTOR
};

static const BankColumn transfer_columns[] = {
	[TRANSFER_ID] = {"transfer_id", UUIDOID},
	[TRANSFER_KIND] = {"kind", TEXTOID},
	[TRANSFER_CUSTOMER_ID] = {"customer_id", UUIDOID},
	[TRANSFER_FROM_ACCOUNT] = {"from_account", UUIDOID},
	[TRANSFER_TO_ACCOUNT] = {"to_account", UUIDOID},
	[TRANSFER_AMOUNT] = {"amount", INT8OID},
	[TRANSFER_CURRENCY] = {"currency", TEXTOID},
	[TRANSFER_FROM_VERSION] = {"from_version", INT8OID},
	[TRANSFER_TO_VERSION] = {"to_version", INT8OID},
	[TRANSFER_FROM_BALANCE] = {"from_balance", INT8OID},
	[TRANSFER_TO_BALANCE] = {"to_balance", INT8OID},
	[TRANSFER_FROM_HELD] = {"from_held", INT8OID},
	[TRANSFER_TO_HELD] = {"to_held", INT8OID},
	[TRANSFER_COMPLETED_AT] = {"completed_at", TIMESTAMPTZOID},
	[TRANSFER_ACTOR] = {"actor", TEXTOID},
};

static const BankShape transfer_shape = {
	BANK_TABLE_TRANSFER, transfer_columns, lengthof(transfer_columns)
};

static const char *const transfer_kinds[] = {
	[BANK_TRANSFER] = "transfer",
	[BANK_DEPOSIT] = "deposit",
	[BANK_WITHDRAWAL] = "withdrawal",
};

static const char *const event_kinds[] = {
	[BANK_ACCOUNT_CREATED] = "created",
	[BANK_ACCOUNT_INACTIVATED] = "inactivated",
};

/* Begins one call; its tables are opened when first used. */
void
bank_ledger_open(BankLedger *ledger, BankOpenMode mode)
{
	memset(ledger, 0, sizeof(*ledger));
	ledger->mode = mode;
}

static BankRelation *
open_table(BankLedger *ledger, BankRelation *table, const BankShape *shape)
{
	if (table->relation == NULL)
		bank_relation_open(table, shape, ledger->mode);
	return table;
}

static BankRelation *
account_table(BankLedger *ledger)
{
	return open_table(ledger, &ledger->account, &account_shape);
}

static BankRelation *
event_table(BankLedger *ledger)
{
	return open_table(ledger, &ledger->event, &event_shape);
}

static BankRelation *
transfer_table(BankLedger *ledger)
{
	return open_table(ledger, &ledger->transfer, &transfer_shape);
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
	close_table(&ledger->transfer);
	close_table(&ledger->event);
	close_table(&ledger->account);
}

static bool
text_is(const BankRow *row, int column, const char *expected)
{
	const text *value = DatumGetTextPP(row->values[column]);

	return VARSIZE_ANY_EXHDR(value) == strlen(expected) &&
		memcmp(VARDATA_ANY(value), expected, strlen(expected)) == 0;
}

static void
read_currency(const BankRow *row, int column, char *currency)
{
	text_to_cstring_buffer(DatumGetTextPP(row->values[column]), currency,
						   BANK_CURRENCY_SIZE);
}

/* Only settlement accounts have no holder, as the table's constraint says. */
static void
raise_unknown_holder(const pg_uuid_t *account_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("kind and holder of an account do not agree"),
			 errdetail("The account is %s.", bank_uuid_text(account_id))));
}

static void
read_account(const BankRow *row, BankAccount *account)
{
	memset(account, 0, sizeof(*account));
	account->account_id = *DatumGetUUIDP(row->values[ACCOUNT_ID]);
	account->is_settlement = text_is(row, ACCOUNT_KIND, "settlement");
	if (account->is_settlement != row->nulls[ACCOUNT_CUSTOMER_ID])
		raise_unknown_holder(&account->account_id);
	if (!account->is_settlement)
		account->customer_id = *DatumGetUUIDP(row->values[ACCOUNT_CUSTOMER_ID]);
	account->is_active = text_is(row, ACCOUNT_STATUS, "active");
	read_currency(row, ACCOUNT_CURRENCY, account->currency);
	account->balance = DatumGetInt64(row->values[ACCOUNT_BALANCE]);
	account->held = DatumGetInt64(row->values[ACCOUNT_HELD]);
	account->version = DatumGetInt64(row->values[ACCOUNT_VERSION]);
	account->opened_at = DatumGetTimestampTz(row->values[ACCOUNT_OPENED_AT]);
	account->updated_at = DatumGetTimestampTz(row->values[ACCOUNT_UPDATED_AT]);
	if (!row->nulls[ACCOUNT_CLOSED_AT])
		account->closed_at = DatumGetTimestampTz(row->values[ACCOUNT_CLOSED_AT]);
	account->row = *row;
}

/* The account as it is committed now, without a lock; false: there is none. */
bool
bank_ledger_find_account(BankLedger *ledger, const pg_uuid_t *id,
						 BankAccount *account)
{
	Datum		key = UUIDPGetDatum(id);
	BankRow		row;

	if (!bank_relation_find(account_table(ledger), &key, 1, &row))
		return false;
	read_account(&row, account);
	return true;
}

/* The account as the running query sees it, of a ledger opened to read. */
bool
bank_ledger_find_visible_account(BankLedger *ledger, const pg_uuid_t *id,
								 BankAccount *account)
{
	Datum		key = UUIDPGetDatum(id);
	BankRow		row;

	if (!bank_relation_find_visible(account_table(ledger), &key, 1, &row))
		return false;
	read_account(&row, account);
	return true;
}

static void
collect_account(const BankRow *row, void *context)
{
	List	  **accounts = context;
	BankAccount *account = palloc(sizeof(BankAccount));

	read_account(row, account);
	*accounts = lappend(*accounts, account);
}

static int
compare_accounts(const ListCell *a, const ListCell *b)
{
	return bank_uuid_compare(&((const BankAccount *) lfirst(a))->account_id,
							 &((const BankAccount *) lfirst(b))->account_id);
}

/* The customer's accounts, active or not, in the order of their ids. */
List *
bank_ledger_find_accounts_of(BankLedger *ledger, const pg_uuid_t *customer_id)
{
	List	   *accounts = NIL;

	bank_relation_scan(account_table(ledger), ACCOUNT_CUSTOMER_ID,
					   UUIDPGetDatum(customer_id), collect_account, &accounts);
	list_sort(accounts, compare_accounts);
	return accounts;
}

/* Locks an account found before and reads what it is now. */
BankLockResult
bank_ledger_lock_account(BankLedger *ledger, BankAccount *account,
						 LockWaitPolicy policy)
{
	BankRow		row = account->row;
	BankLockResult result = bank_relation_lock(account_table(ledger), &row, policy);

	if (result == BANK_LOCK_TAKEN)
		read_account(&row, account);
	return result;
}

static BankTransferKind
read_transfer_kind(const BankRow *row)
{
	for (int kind = 0; kind < lengthof(transfer_kinds); kind++)
		if (text_is(row, TRANSFER_KIND, transfer_kinds[kind]))
			return kind;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("transfer %s is of an unknown kind",
					bank_uuid_text(DatumGetUUIDP(row->values[TRANSFER_ID])))));
	pg_unreachable();
}

/* The transfer that a key names, as committed now; false: the key is free. */
bool
bank_ledger_find_transfer(BankLedger *ledger, const pg_uuid_t *id,
						  BankTransfer *transfer)
{
	Datum		key = UUIDPGetDatum(id);
	BankRow		row;

	if (!bank_relation_find(transfer_table(ledger), &key, 1, &row))
		return false;
	transfer->transfer_id = *id;
	transfer->kind = read_transfer_kind(&row);
	transfer->customer_id = *DatumGetUUIDP(row.values[TRANSFER_CUSTOMER_ID]);
	transfer->from_account = *DatumGetUUIDP(row.values[TRANSFER_FROM_ACCOUNT]);
	transfer->to_account = *DatumGetUUIDP(row.values[TRANSFER_TO_ACCOUNT]);
	transfer->amount = DatumGetInt64(row.values[TRANSFER_AMOUNT]);
	read_currency(&row, TRANSFER_CURRENCY, transfer->currency);
	transfer->from_version = DatumGetInt64(row.values[TRANSFER_FROM_VERSION]);
	transfer->to_version = DatumGetInt64(row.values[TRANSFER_TO_VERSION]);
	transfer->from_balance = DatumGetInt64(row.values[TRANSFER_FROM_BALANCE]);
	transfer->to_balance = DatumGetInt64(row.values[TRANSFER_TO_BALANCE]);
	transfer->from_held = DatumGetInt64(row.values[TRANSFER_FROM_HELD]);
	transfer->to_held = DatumGetInt64(row.values[TRANSFER_TO_HELD]);
	transfer->completed_at = DatumGetTimestampTz(row.values[TRANSFER_COMPLETED_AT]);
	return true;
}

/* Now, but never before the last entry of either account (invariant 4). */
TimestampTz
bank_ledger_entry_date(const BankAccount *a, const BankAccount *b)
{
	return Max(GetCurrentTimestamp(), Max(a->updated_at, b->updated_at));
}

/*
 * Moves the amount in memory and completes the transfer with what the accounts
 * are after it; bank_ledger_write makes it last.
 */
void
bank_ledger_apply(BankTransfer *transfer, BankAccount *from, BankAccount *to,
				  TimestampTz completed_at)
{
	from->balance -= transfer->amount;
	from->version++;
	from->updated_at = completed_at;
	to->balance += transfer->amount;
	to->version++;
	to->updated_at = completed_at;

	transfer->from_account = from->account_id;
	transfer->from_version = from->version;
	transfer->from_balance = from->balance;
	transfer->from_held = from->held;
	transfer->to_account = to->account_id;
	transfer->to_version = to->version;
	transfer->to_balance = to->balance;
	transfer->to_held = to->held;
	transfer->completed_at = completed_at;
	memcpy(transfer->currency, from->currency, BANK_CURRENCY_SIZE);
}

static Datum *
transfer_values(const BankTransfer *transfer, Datum actor)
{
	Datum	   *values = palloc(lengthof(transfer_columns) * sizeof(Datum));

	values[TRANSFER_ID] = UUIDPGetDatum(&transfer->transfer_id);
	values[TRANSFER_KIND] = CStringGetTextDatum(transfer_kinds[transfer->kind]);
	values[TRANSFER_CUSTOMER_ID] = UUIDPGetDatum(&transfer->customer_id);
	values[TRANSFER_FROM_ACCOUNT] = UUIDPGetDatum(&transfer->from_account);
	values[TRANSFER_TO_ACCOUNT] = UUIDPGetDatum(&transfer->to_account);
	values[TRANSFER_AMOUNT] = Int64GetDatum(transfer->amount);
	values[TRANSFER_CURRENCY] = CStringGetTextDatum(transfer->currency);
	values[TRANSFER_FROM_VERSION] = Int64GetDatum(transfer->from_version);
	values[TRANSFER_TO_VERSION] = Int64GetDatum(transfer->to_version);
	values[TRANSFER_FROM_BALANCE] = Int64GetDatum(transfer->from_balance);
	values[TRANSFER_TO_BALANCE] = Int64GetDatum(transfer->to_balance);
	values[TRANSFER_FROM_HELD] = Int64GetDatum(transfer->from_held);
	values[TRANSFER_TO_HELD] = Int64GetDatum(transfer->to_held);
	values[TRANSFER_COMPLETED_AT] = TimestampTzGetDatum(transfer->completed_at);
	values[TRANSFER_ACTOR] = actor;
	return values;
}

/* The next version of an account that was locked or inserted before. */
static void
update_account(BankLedger *ledger, BankAccount *account)
{
	BankRow    *row = &account->row;

	row->values[ACCOUNT_STATUS] =
		CStringGetTextDatum(account->is_active ? "active" : "inactive");
	row->values[ACCOUNT_BALANCE] = Int64GetDatum(account->balance);
	row->values[ACCOUNT_HELD] = Int64GetDatum(account->held);
	row->values[ACCOUNT_VERSION] = Int64GetDatum(account->version);
	row->values[ACCOUNT_UPDATED_AT] = TimestampTzGetDatum(account->updated_at);
	row->values[ACCOUNT_CLOSED_AT] = TimestampTzGetDatum(account->closed_at);
	row->nulls[ACCOUNT_CLOSED_AT] = account->is_active;
	bank_relation_update(account_table(ledger), row);
}

/*
 * Two sessions used one key at the same moment for different accounts, so
 * that no row lock made one of them wait: the index decided.
 */
static void
raise_key_reused(const char *id)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_KEY_REUSED),
			 errmsg("key reused with other arguments"),
			 errdetail("Key %s was used at the same moment by another call.", id),
			 errhint("Use a new key for another operation.")));
}

static bool
is_refused_by(const ErrorData *error, const char *index)
{
	return error->constraint_name != NULL &&
		strcmp(error->constraint_name, index) == 0;
}

/* Turns a refusal of the table's primary key into LG008; id names the key. */
static void
insert_rows_with_key(BankRelation *table, Datum *const *values,
					 bool *const *nulls, int nrows, const char *id)
{
	MemoryContext context = CurrentMemoryContext;
	const char *key = bank_relation_key_name(table);

	PG_TRY();
	{
		bank_relation_insert_many(table, values, nulls, nrows);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		if (!is_refused_by(CopyErrorData(), key))
			PG_RE_THROW();
		FlushErrorState();
		raise_key_reused(id);
	}
	PG_END_TRY();
}

/*
 * Makes applied transfers last: the journal rows in the order given, which is
 * that of the keys, then each account once.  The effects are visible to what
 * follows in the transaction.  Raises LG008 when a key is taken.
 */
void
bank_ledger_write(BankLedger *ledger, BankTransfer *const *transfers,
				  int ntransfers, BankAccount *const *accounts, int naccounts)
{
	Datum	  **values = palloc(ntransfers * sizeof(Datum *));
	bool	  **nulls = palloc(ntransfers * sizeof(bool *));
	bool	   *none = palloc0(lengthof(transfer_columns) * sizeof(bool));
	Datum		actor = CStringGetTextDatum(bank_actor());

	for (int i = 0; i < ntransfers; i++)
	{
		values[i] = transfer_values(transfers[i], actor);
		nulls[i] = none;
	}
	insert_rows_with_key(transfer_table(ledger), values, nulls, ntransfers,
						 bank_uuid_text(&transfers[0]->transfer_id));
	for (int i = 0; i < naccounts; i++)
		update_account(ledger, accounts[i]);
	CommandCounterIncrement();
}

static void
insert_event(BankLedger *ledger, const BankAccount *account,
			 BankAccountEventKind kind)
{
	Datum		values[lengthof(event_columns)] = {0};
	bool		nulls[lengthof(event_columns)] = {false};

	values[EVENT_ACCOUNT_ID] = UUIDPGetDatum(&account->account_id);
	values[EVENT_VERSION] = Int64GetDatum(account->version);
	values[EVENT_CUSTOMER_ID] = UUIDPGetDatum(&account->customer_id);
	nulls[EVENT_CUSTOMER_ID] = account->is_settlement;
	values[EVENT_KIND] = CStringGetTextDatum(event_kinds[kind]);
	values[EVENT_CURRENCY] = CStringGetTextDatum(account->currency);
	values[EVENT_STATUS] =
		CStringGetTextDatum(account->is_active ? "active" : "inactive");
	values[EVENT_BALANCE] = Int64GetDatum(account->balance);
	values[EVENT_HELD] = Int64GetDatum(account->held);
	nulls[EVENT_TRANSFER_ID] = true;
	values[EVENT_OCCURRED_AT] = TimestampTzGetDatum(account->updated_at);
	values[EVENT_ACTOR] = CStringGetTextDatum(bank_actor());
	bank_relation_insert(event_table(ledger), values, nulls);
}

static void
insert_account(BankLedger *ledger, const BankAccount *account)
{
	Datum		values[lengthof(account_columns)] = {0};
	bool		nulls[lengthof(account_columns)] = {false};
	Datum	   *row_values = values;
	bool	   *row_nulls = nulls;

	values[ACCOUNT_ID] = UUIDPGetDatum(&account->account_id);
	values[ACCOUNT_CUSTOMER_ID] = UUIDPGetDatum(&account->customer_id);
	nulls[ACCOUNT_CUSTOMER_ID] = account->is_settlement;
	values[ACCOUNT_KIND] =
		CStringGetTextDatum(account->is_settlement ? "settlement" : "customer");
	values[ACCOUNT_CURRENCY] = CStringGetTextDatum(account->currency);
	values[ACCOUNT_STATUS] = CStringGetTextDatum("active");
	values[ACCOUNT_BALANCE] = Int64GetDatum(account->balance);
	values[ACCOUNT_HELD] = Int64GetDatum(account->held);
	values[ACCOUNT_VERSION] = Int64GetDatum(account->version);
	values[ACCOUNT_OPENED_AT] = TimestampTzGetDatum(account->opened_at);
	values[ACCOUNT_UPDATED_AT] = TimestampTzGetDatum(account->updated_at);
	nulls[ACCOUNT_CLOSED_AT] = true;
	insert_rows_with_key(account_table(ledger), &row_values, &row_nulls, 1,
						 bank_uuid_text(&account->account_id));
}

/*
 * Opens an account whose ids and currency the caller set: empty, version 1.
 * Raises LG008 when the id is taken.
 */
void
bank_ledger_create_account(BankLedger *ledger, BankAccount *account)
{
	account->is_active = true;
	account->balance = 0;
	account->held = 0;
	account->version = 1;
	account->opened_at = GetCurrentTimestamp();
	account->updated_at = account->opened_at;
	insert_account(ledger, account);
	insert_event(ledger, account, BANK_ACCOUNT_CREATED);
	CommandCounterIncrement();
}

/*
 * Closes an empty account that the caller has locked, at a date after its last
 * entry, however the clock went (invariant 4).
 */
void
bank_ledger_close_account(BankLedger *ledger, BankAccount *account)
{
	Assert(account->is_active && account->balance == 0 && account->held == 0);
	account->is_active = false;
	account->version++;
	account->closed_at = Max(GetCurrentTimestamp(), account->updated_at + 1);
	account->updated_at = account->closed_at;
	insert_event(ledger, account, BANK_ACCOUNT_INACTIVATED);
	update_account(ledger, account);
	CommandCounterIncrement();
}

/* Row type bank.account_row. */
Datum
bank_ledger_account_datum(const BankAccount *account, TupleDesc descriptor)
{
	Datum		values[11];
	bool		nulls[11] = {false};

	bank_require_columns(descriptor, lengthof(values), "bank.account_row");
	values[0] = UUIDPGetDatum(&account->account_id);
	values[1] = UUIDPGetDatum(&account->customer_id);
	nulls[1] = account->is_settlement;
	values[2] =
		CStringGetTextDatum(account->is_settlement ? "settlement" : "customer");
	values[3] = CStringGetTextDatum(account->currency);
	values[4] = CStringGetTextDatum(account->is_active ? "active" : "inactive");
	values[5] = Int64GetDatum(account->balance);
	values[6] = Int64GetDatum(account->held);
	values[7] = Int64GetDatum(account->version);
	values[8] = TimestampTzGetDatum(account->opened_at);
	values[9] = TimestampTzGetDatum(account->updated_at);
	values[10] = TimestampTzGetDatum(account->closed_at);
	nulls[10] = account->is_active;
	return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

/* Row type bank.transfer_row: the journal's columns but the actor. */
Datum
bank_ledger_transfer_datum(const BankTransfer *transfer, TupleDesc descriptor)
{
	bool		nulls[TRANSFER_ACTOR] = {false};
	Datum	   *values = transfer_values(transfer, (Datum) 0);

	bank_require_columns(descriptor, TRANSFER_ACTOR, "bank.transfer_row");
	return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}
