/*
 * Accounts in their table: found, locked, written.
 *
 * Locks: rows, as the caller asks.
 * Raises: LG008 where the key of a new account is taken; XX001 for an account
 * whose kind and holder do not agree.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "bank.h"
#include "ledger.h"
#include "row.h"

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
	ACCOUNT_CLOSED_AT,
	ACCOUNT_LAST_TRANSFER,
	ACCOUNT_DIGEST,
	ACCOUNT_SPENT,
	ACCOUNT_SPENT_DAY,
	ACCOUNT_DAILY_LIMIT,
	ACCOUNT_NEXT_LIMIT,
	ACCOUNT_NEXT_LIMIT_DAY,
	ACCOUNT_CLOCK_ACCEPTED_AT
};

static const BankColumn columns[] = {
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
	[ACCOUNT_LAST_TRANSFER] = {"last_transfer", UUIDOID, true},
	[ACCOUNT_DIGEST] = {"digest", BYTEAOID},
	[ACCOUNT_SPENT] = {"spent", INT8OID},
	[ACCOUNT_SPENT_DAY] = {"spent_day", DATEOID},
	[ACCOUNT_DAILY_LIMIT] = {"daily_limit", INT8OID, true},
	[ACCOUNT_NEXT_LIMIT] = {"next_limit", INT8OID, true},
	[ACCOUNT_NEXT_LIMIT_DAY] = {"next_limit_day", DATEOID, true},
	[ACCOUNT_CLOCK_ACCEPTED_AT] = {"clock_accepted_at", TIMESTAMPTZOID, true},
};

static const BankShape shape = {"account", columns, lengthof(columns)};

BankRelation *
bank_ledger_account_table(BankLedger *ledger)
{
	if (ledger->account.relation == NULL)
		bank_relation_open(&ledger->account, &shape, ledger->mode);
	return &ledger->account;
}

/* Only settlement accounts have no holder, as the table's constraint says. */
static void
require_known_holder(const BankAccount *account, const BankRow *row)
{
	if (account->is_settlement != row->nulls[ACCOUNT_CUSTOMER_ID])
		bank_row_note_fault(row, "the account's kind and holder do not agree");
}

static void
read_limits(const BankRow *row, BankAccount *account)
{
	account->spent = DatumGetInt64(row->values[ACCOUNT_SPENT]);
	account->spent_day = DatumGetDateADT(row->values[ACCOUNT_SPENT_DAY]);
	account->daily_limit = bank_row_amount(row, ACCOUNT_DAILY_LIMIT);
	account->next_limit = bank_row_amount(row, ACCOUNT_NEXT_LIMIT);
	account->next_limit_day = bank_row_date(row, ACCOUNT_NEXT_LIMIT_DAY);
}

/* Reads a row of the table; the account can then be locked by it. */
void
bank_ledger_read_account(const BankRow *row, BankAccount *account)
{
	static const char *const kinds[] = {"customer", "settlement"};

	memset(account, 0, sizeof(*account));
	account->account_id = *DatumGetUUIDP(row->values[ACCOUNT_ID]);
	account->is_settlement = bank_row_word(row, ACCOUNT_KIND, kinds, lengthof(kinds)) == 1;
	require_known_holder(account, row);
	if (!row->nulls[ACCOUNT_CUSTOMER_ID])
		account->customer_id = *DatumGetUUIDP(row->values[ACCOUNT_CUSTOMER_ID]);
	account->is_active = bank_row_is_active(row, ACCOUNT_STATUS);
	bank_row_currency(row, ACCOUNT_CURRENCY, account->currency);
	account->balance = DatumGetInt64(row->values[ACCOUNT_BALANCE]);
	account->held = DatumGetInt64(row->values[ACCOUNT_HELD]);
	account->version = DatumGetInt64(row->values[ACCOUNT_VERSION]);
	account->opened_at = DatumGetTimestampTz(row->values[ACCOUNT_OPENED_AT]);
	account->updated_at = DatumGetTimestampTz(row->values[ACCOUNT_UPDATED_AT]);
	account->closed_at = bank_row_time(row, ACCOUNT_CLOSED_AT).value;
	account->last_transfer = bank_row_uuid(row, ACCOUNT_LAST_TRANSFER);
	account->digest = bank_row_digest(row, ACCOUNT_DIGEST);
	read_limits(row, account);
	account->clock_accepted_at = bank_row_time(row, ACCOUNT_CLOCK_ACCEPTED_AT);
	account->place = row->slot->tts_tid;
}

/* A callback; the context is the account. */
static bool
take_account(const BankRow *row, void *context)
{
	bank_ledger_read_account(row, context);
	return true;
}

/* The account as it is committed now, without a lock; false: there is none. */
bool
bank_ledger_find_account(BankLedger *ledger, const pg_uuid_t *id,
						 BankAccount *account)
{
	Datum		key = UUIDPGetDatum(id);

	return bank_relation_find(bank_ledger_account_table(ledger), &key, 1,
							  take_account, account);
}

/* The same, but answers where the transaction's own snapshot sees another. */
BankFindResult
bank_ledger_find_unchanged_account(BankLedger *ledger, const pg_uuid_t *id,
								   BankAccount *account)
{
	Datum		key = UUIDPGetDatum(id);

	return bank_relation_find_unchanged(bank_ledger_account_table(ledger), &key, 1,
										take_account, account);
}

/*
 * The date of the account's last journal row as it is committed now, whatever
 * the transaction's own snapshot sees; before all others where there is none.
 */
TimestampTz
bank_ledger_find_last_date(BankLedger *ledger, const pg_uuid_t *id)
{
	Datum		key = UUIDPGetDatum(id);
	BankAccount account;

	if (!bank_relation_find_latest(bank_ledger_account_table(ledger), &key, 1,
								   take_account, &account))
		return DT_NOBEGIN;
	return account.updated_at;
}

/* The account as the running query sees it, of a ledger opened to read. */
bool
bank_ledger_find_visible_account(BankLedger *ledger, const pg_uuid_t *id,
								 BankAccount *account)
{
	Datum		key = UUIDPGetDatum(id);

	return bank_relation_find_visible(bank_ledger_account_table(ledger), &key, 1,
									  take_account, account);
}

static bool
collect_account(const BankRow *row, void *context)
{
	List	  **accounts = context;
	BankAccount *account = palloc(sizeof(BankAccount));

	bank_ledger_read_account(row, account);
	*accounts = lappend(*accounts, account);
	return true;
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
	BankScan	scan = {
		.index = "account_customer_id_idx", .column = ACCOUNT_CUSTOMER_ID,
		.value = UUIDPGetDatum(customer_id),
		.callback = collect_account, .context = &accounts
	};

	bank_relation_scan(bank_ledger_account_table(ledger), &scan);
	list_sort(accounts, compare_accounts);
	return accounts;
}

/*
 * Locks an account found before, and reads what it is now: where this call has
 * not touched it and its row is still the same, what was found.
 */
BankLockResult
bank_ledger_lock_account(BankLedger *ledger, BankAccount *account,
						 LockWaitPolicy policy)
{
	ItemPointerData place = account->place;
	bool		is_as_found = !account->is_changed && !account->is_without_due;

	return bank_relation_lock(bank_ledger_account_table(ledger), &place, is_as_found,
							  policy, take_account, account);
}

static void
set_constants(const BankAccount *account, BankRow *row)
{
	row->values[ACCOUNT_ID] = UUIDPGetDatum(&account->account_id);
	row->values[ACCOUNT_CUSTOMER_ID] = UUIDPGetDatum(&account->customer_id);
	row->nulls[ACCOUNT_CUSTOMER_ID] = account->is_settlement;
	row->values[ACCOUNT_KIND] =
		CStringGetTextDatum(account->is_settlement ? "settlement" : "customer");
	row->values[ACCOUNT_CURRENCY] = CStringGetTextDatum(account->currency);
	row->values[ACCOUNT_OPENED_AT] = TimestampTzGetDatum(account->opened_at);
}

static void
set_state(const BankAccount *account, BankRow *row)
{
	row->values[ACCOUNT_STATUS] =
		CStringGetTextDatum(account->is_active ? "active" : "inactive");
	row->values[ACCOUNT_BALANCE] = Int64GetDatum(account->balance);
	row->values[ACCOUNT_HELD] = Int64GetDatum(account->held);
	row->values[ACCOUNT_VERSION] = Int64GetDatum(account->version);
	row->values[ACCOUNT_UPDATED_AT] = TimestampTzGetDatum(account->updated_at);
	row->values[ACCOUNT_CLOSED_AT] = TimestampTzGetDatum(account->closed_at);
	row->nulls[ACCOUNT_CLOSED_AT] = account->is_active;
	bank_row_set_uuid(row, ACCOUNT_LAST_TRANSFER, &account->last_transfer);
	bank_row_set_digest(row, ACCOUNT_DIGEST, &account->digest);
	row->values[ACCOUNT_SPENT] = Int64GetDatum(account->spent);
	row->values[ACCOUNT_SPENT_DAY] = DateADTGetDatum(account->spent_day);
	bank_row_set_amount(row, ACCOUNT_DAILY_LIMIT, &account->daily_limit);
	bank_row_set_amount(row, ACCOUNT_NEXT_LIMIT, &account->next_limit);
	bank_row_set_date(row, ACCOUNT_NEXT_LIMIT_DAY, &account->next_limit_day);
	bank_row_set_time(row, ACCOUNT_CLOCK_ACCEPTED_AT, &account->clock_accepted_at);
}

/* A BankRowMaker; the context is the account. */
static void
make_row(int i, void *context, BankRow *row)
{
	set_constants(context, row);
	set_state(context, row);
}

/* Writes an appended account: a new one, or over the version locked. */
void
bank_ledger_write_account(BankLedger *ledger, BankAccount *account)
{
	BankRelation *table = bank_ledger_account_table(ledger);
	BankRow		row = {0};

	if (account->is_new)
		bank_relation_insert_keyed(table, make_row, account, NULL, 1);
	else
	{
		make_row(0, account, &row);
		bank_relation_update(table, &account->place, &row);
	}
	account->is_new = false;
	account->is_changed = false;
}

/* Row type bank.account_row. */
Datum
bank_ledger_account_datum(const BankAccount *account, TupleDesc descriptor)
{
	BankRow		row = {0};

	bank_require_columns(descriptor, ACCOUNT_LAST_TRANSFER, "bank.account_row");
	set_constants(account, &row);
	set_state(account, &row);
	return HeapTupleGetDatum(heap_form_tuple(descriptor, row.values, row.nulls));
}
