/*
 * Accounts: found as a caller names them, created, and read.
 *
 * Promises: an account is created only for a customer who customer-api said
 * is active and who is not closing, and an account_id gives the same account
 * each time.
 *
 * Locks: the customer's (customer.c), after customer-api answered and never
 * while it is asked.
 *
 * Raises: LG001, LG002, LG003, LG008, LG011, LG013, LG019; 22004, 22023;
 * 40001 as relation.c says.
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "account.h"
#include "bank.h"
#include "customer.h"
#include "expiry.h"
#include "money.h"
#include "settlement.h"

PG_FUNCTION_INFO_V1(bank_create_account);
PG_FUNCTION_INFO_V1(bank_ledger_balance);

void
bank_account_raise_not_found(const pg_uuid_t *id)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_ACCOUNT_NOT_FOUND),
			 errmsg("account not found"),
			 errdetail("There is no account %s.", bank_uuid_text(id)),
			 errhint("Give the account_id that bank.create_account returned.")));
}

void
bank_account_raise_inactive(const pg_uuid_t *id)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_ACCOUNT_INACTIVE),
			 errmsg("account inactive"),
			 errdetail("Account %s is closed.", bank_uuid_text(id)),
			 errhint("It is never opened again: use another account, or create one.")));
}

/*
 * Finds an account as committed now, without a lock.  Raises LG001 when there
 * is none, or it is settlement: those are not the callers' to name.
 */
void
bank_account_find(BankLedger *ledger, const pg_uuid_t *id, BankAccount *account)
{
	if (!bank_ledger_find_account(ledger, id, account) || account->is_settlement)
		bank_account_raise_not_found(id);
}

/*
 * Finds an account as the running query sees it, of a ledger opened to read.
 * Raises LG001 as bank_account_find does.
 */
void
bank_account_find_visible(BankLedger *ledger, const pg_uuid_t *id,
						  BankAccount *account)
{
	if (!bank_ledger_find_visible_account(ledger, id, account) ||
		account->is_settlement)
		bank_account_raise_not_found(id);
}

/* The bridge knows settlement accounts by their ids. */
static void
require_free_id(const pg_uuid_t *id)
{
	if (bank_settlement_owns(id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("account_id is reserved"),
				 errdetail("Ids such as %s are those of settlement accounts.",
						   bank_uuid_text(id)),
				 errhint("Give another id, or none.")));
}

static void
require_not_closing(const BankCustomer *customer)
{
	if (customer->is_closing)
		ereport(ERROR,
				(errcode(BANK_ERRCODE_CUSTOMER_CLOSING),
				 errmsg("customer is closing"),
				 errdetail("Customer %s was inactivated.",
						   bank_uuid_text(&customer->customer_id)),
				 errhint("bank.reactivate_customer takes that back.")));
}

/*
 * True when the id was created before for the same; asked becomes what that
 * account is now.  Raises LG008 when it is another account.
 */
static bool
find_replay(BankLedger *ledger, BankAccount *asked)
{
	BankAccount found;

	if (!bank_ledger_find_account(ledger, &asked->account_id, &found))
		return false;
	if (found.is_settlement ||
		bank_uuid_compare(&found.customer_id, &asked->customer_id) != 0 ||
		strcmp(found.currency, asked->currency) != 0)
		bank_errors_raise_key_reused(psprintf("Key %s names another account.",
											  bank_uuid_text(&asked->account_id)));
	*asked = found;
	return true;
}

/*
 * In a transaction that sees only its snapshot, an account of the customer
 * that it must not see makes it fail.
 */
static void
require_accounts_visible(BankLedger *ledger, const pg_uuid_t *customer_id)
{
	if (IsolationUsesXactSnapshot())
		list_free_deep(bank_ledger_find_accounts_of(ledger, customer_id));
}

/* Before customer-api is asked: tables are let go while it is waited for. */
static bool
find_replay_before(BankAccount *asked)
{
	BankLedger	ledger;
	bool		found;

	bank_ledger_open(&ledger, BANK_OPEN_READ);
	found = find_replay(&ledger, asked);
	bank_ledger_close(&ledger);
	return found;
}

static void
create_account(BankAccount *account, bool has_key)
{
	BankLedger	ledger;
	BankCustomer customer;

	if (has_key && find_replay_before(account))
		return;
	bank_customer_api_require_active(&account->customer_id);
	bank_customer_lock(&account->customer_id);
	bank_ledger_open(&ledger, BANK_OPEN_WRITE);
	bank_customer_open(&customer, &account->customer_id, BANK_OPEN_WRITE);
	require_accounts_visible(&ledger, &account->customer_id);
	if (!has_key || !find_replay(&ledger, account))
	{
		require_not_closing(&customer);
		bank_customer_make_known(&customer);
		bank_ledger_begin(&ledger);
		bank_ledger_create_account(&ledger, account);
	}
	bank_customer_close(&customer);
	bank_ledger_close(&ledger);
}

static Datum
create_account_body(PG_FUNCTION_ARGS)
{
	BankAccount account = {0};
	bool		has_key = !PG_ARGISNULL(2);
	char	   *currency;

	bank_require_argument(PG_ARGISNULL(0), "customer_id");
	bank_require_argument(PG_ARGISNULL(1), "currency");
	account.customer_id = *PG_GETARG_UUID_P(0);
	currency = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bank_money_require_currency(currency);
	strlcpy(account.currency, currency, BANK_CURRENCY_SIZE);
	account.account_id = has_key ? *PG_GETARG_UUID_P(2) :
		bank_uuid_generate(&account.customer_id);
	require_free_id(&account.account_id);
	create_account(&account, has_key);
	return bank_ledger_account_datum(&account, bank_result_descriptor(fcinfo));
}

/*
 * create_account(customer_id, currency, account_id) returns bank.account_row;
 * a null account_id is made.
 */
Datum
bank_create_account(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.create_account", BANK_OPEN_READ,
							create_account_body);
}

/* The same question as bank_expiry_is_over, as the running query sees it. */
static bool
is_seen_to_be_over(BankLedger *ledger, const BankHold *hold, TimestampTz at)
{
	BankAccount payee;

	return bank_expiry_is_due(hold, at) ||
		(bank_ledger_find_visible_account(ledger, &hold->to_account, &payee) &&
		 bank_expiry_is_due(hold, payee.updated_at));
}

/*
 * What live holds reserve: those that are over no longer count, although
 * nobody has journalled that yet.
 */
static int64
live_held(BankLedger *ledger, const BankAccount *account)
{
	TimestampTz at = Max(GetCurrentTimestamp(), account->updated_at);
	int64		held = account->held;
	ListCell   *cell;

	if (held == 0)
		return 0;
	foreach(cell, bank_ledger_find_visible_holds_from(ledger, &account->account_id))
	{
		if (is_seen_to_be_over(ledger, lfirst(cell), at))
			held -= ((BankHold *) lfirst(cell))->amount;
	}
	return held;
}

/* Row type bank.ledger_balance_row. */
static Datum
ledger_balance_datum(const BankAccount *account, int64 held, TupleDesc descriptor)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	bank_require_columns(descriptor, lengthof(values), "bank.ledger_balance_row");
	values[0] = UUIDPGetDatum(&account->account_id);
	values[1] = UUIDPGetDatum(&account->customer_id);
	values[2] = CStringGetTextDatum(account->currency);
	values[3] = CStringGetTextDatum(account->is_active ? "active" : "inactive");
	values[4] = Int64GetDatum(account->balance);
	values[5] = Int64GetDatum(held);
	values[6] = Int64GetDatum(account->balance - held);
	values[7] = Int64GetDatum(account->version);
	values[8] = TimestampTzGetDatum(account->updated_at);
	return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

/* ledger_balance(account_id) returns bank.ledger_balance_row; reads only. */
Datum
bank_ledger_balance(PG_FUNCTION_ARGS)
{
	BankLedger	ledger;
	BankAccount account;
	pg_uuid_t  *id;
	int64		held;

	bank_require_argument(PG_ARGISNULL(0), "account_id");
	id = PG_GETARG_UUID_P(0);
	bank_ledger_open(&ledger, BANK_OPEN_READ);
	bank_account_find_visible(&ledger, id, &account);
	held = live_held(&ledger, &account);
	bank_ledger_close(&ledger);
	return ledger_balance_datum(&account, held, bank_result_descriptor(fcinfo));
}
