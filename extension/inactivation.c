/*
 * Closing: all accounts of a customer, one account, and the way back.
 *
 * Promises: a closing never waits, not on a row, not on a table or an index;
 * it closes everything asked for or nothing; each transfer is wholly before it
 * or refused (invariant 5); a closed account is empty, and a customer who was
 * inactivated has no active account (6).
 *
 * Locks: tried, never waited for: the customer's (customer.c), then his active
 * accounts in the order of their ids.  All are taken before money is looked
 * at, so that what is refused for money is refused for committed money.
 *
 * Raises: LG001, LG002, LG003, LG009, LG010, LG011, LG019; 22004; 40001 as
 * relation.c says.
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "lib/stringinfo.h"

#include "account.h"
#include "bank.h"
#include "customer.h"
#include "expiry.h"

PG_FUNCTION_INFO_V1(bank_inactivate_customer);
PG_FUNCTION_INFO_V1(bank_inactivate_account);
PG_FUNCTION_INFO_V1(bank_reactivate_customer);

static void
try_lock_customer(const pg_uuid_t *customer_id)
{
	if (!bank_customer_try_lock(customer_id))
		bank_errors_raise_in_progress(psprintf("Another transaction creates an account for customer %s, or inactivates him.",
											   bank_uuid_text(customer_id)));
}

static void
try_lock_account(BankLedger *ledger, BankAccount *account)
{
	pg_uuid_t	id = account->account_id;

	switch (bank_ledger_lock_account(ledger, account, LockWaitSkip))
	{
		case BANK_LOCK_TAKEN:
			return;
		case BANK_LOCK_BUSY:
			bank_errors_raise_in_progress(psprintf("Account %s is locked by another transaction.",
												   bank_uuid_text(&id)));
		case BANK_LOCK_GONE:
			bank_account_raise_not_found(&id);
	}
}

static void
describe_money(const BankAccount *account, StringInfo detail)
{
	if (account->balance != 0 || account->held != 0)
		appendStringInfo(detail,
						 "%sAccount %s has balance " INT64_FORMAT " and held " INT64_FORMAT " %s.",
						 detail->len > 0 ? "\n" : "",
						 bank_uuid_text(&account->account_id),
						 account->balance, account->held, account->currency);
}

/*
 * Money that is held for an account is still to come.
 *
 * A hold that ended after the transaction took its snapshot is no reason to
 * refuse, and none for 40001: the closing comes after that end, and that is an
 * order of the two.  Only where this transaction has read the hold as live, too,
 * there is none.  Where both are SERIALIZABLE the server finds that by itself:
 * one read the hold that the other ended, which had read the account that is
 * closed here.
 */
static void
describe_holds(BankLedger *ledger, const BankAccount *account, StringInfo detail)
{
	ListCell   *cell;

	foreach(cell, bank_ledger_find_holds_to(ledger, &account->account_id))
	{
		const BankHold *hold = lfirst(cell);

		if (!bank_expiry_is_over(ledger, hold, account))
			appendStringInfo(detail, "%sHold %s is to pay " INT64_FORMAT " %s to account %s.",
							 detail->len > 0 ? "\n" : "",
							 bank_uuid_text(&hold->hold_id), hold->amount,
							 hold->currency, bank_uuid_text(&account->account_id));
	}
}

/* Names everything that holds money, so that one answer is enough. */
static void
require_all_empty(BankLedger *ledger, List *accounts)
{
	StringInfoData detail;
	ListCell   *cell;

	initStringInfo(&detail);
	foreach(cell, accounts)
	{
		describe_money(lfirst(cell), &detail);
		describe_holds(ledger, lfirst(cell), &detail);
	}
	if (detail.len > 0)
		ereport(ERROR,
				(errcode(BANK_ERRCODE_ACCOUNT_NOT_EMPTY),
				 errmsg("account not empty"),
				 errdetail("%s", detail.data),
				 errhint("Move the money out first, and void the holds; amounts are in minor units.")));
}

static List *
active_ones(List *accounts)
{
	List	   *active = NIL;
	ListCell   *cell;

	foreach(cell, accounts)
	{
		if (((BankAccount *) lfirst(cell))->is_active)
			active = lappend(active, lfirst(cell));
	}
	return active;
}

/* Locks all that are active, and only then looks at what they hold. */
static void
close_accounts(BankLedger *ledger, List *accounts)
{
	ListCell   *cell;

	foreach(cell, active_ones(accounts))
		try_lock_account(ledger, lfirst(cell));
	accounts = active_ones(accounts);
	if (accounts == NIL)
		return;
	bank_ledger_begin(ledger);
	foreach(cell, accounts)
		bank_expiry_end_due(ledger, lfirst(cell));
	require_all_empty(ledger, accounts);
	foreach(cell, accounts)
		bank_ledger_close_account(ledger, lfirst(cell));
	bank_ledger_write(ledger);
}

static List *
inactivate_customer(const pg_uuid_t *customer_id)
{
	BankLedger	ledger;
	BankCustomer customer;
	List	   *accounts;

	try_lock_customer(customer_id);
	bank_ledger_open(&ledger, BANK_OPEN_WRITE_NOWAIT);
	bank_customer_open(&customer, customer_id, BANK_OPEN_WRITE_NOWAIT);
	accounts = bank_ledger_find_accounts_of(&ledger, customer_id);
	close_accounts(&ledger, accounts);
	bank_customer_set_closing(&customer, true);
	bank_customer_close(&customer);
	bank_ledger_close(&ledger);
	return accounts;
}

static Datum
inactivate_customer_body(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *accounts;
	ListCell   *cell;

	bank_require_argument(PG_ARGISNULL(0), "customer_id");
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	accounts = inactivate_customer(PG_GETARG_UUID_P(0));
	foreach(cell, accounts)
	{
		HeapTupleData tuple = {0};
		Datum		row = bank_ledger_account_datum(lfirst(cell), result->setDesc);

		tuple.t_data = DatumGetHeapTupleHeader(row);
		tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
		tuplestore_puttuple(result->setResult, &tuple);
	}
	return (Datum) 0;
}

/* inactivate_customer(customer_id) returns all his accounts, closed. */
Datum
bank_inactivate_customer(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.inactivate_customer",
							BANK_OPEN_READ_NOWAIT, inactivate_customer_body);
}

static Datum
inactivate_account_body(PG_FUNCTION_ARGS)
{
	BankLedger	ledger;
	BankAccount account;

	bank_require_argument(PG_ARGISNULL(0), "account_id");
	bank_ledger_open(&ledger, BANK_OPEN_WRITE_NOWAIT);
	bank_account_find(&ledger, PG_GETARG_UUID_P(0), &account);
	close_accounts(&ledger, list_make1(&account));
	bank_ledger_close(&ledger);
	return bank_ledger_account_datum(&account, bank_result_descriptor(fcinfo));
}

/* inactivate_account(account_id) returns bank.account_row, closed. */
Datum
bank_inactivate_account(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.inactivate_account",
							BANK_OPEN_READ_NOWAIT, inactivate_account_body);
}

static Datum
reactivate_customer_body(PG_FUNCTION_ARGS)
{
	BankCustomer customer;
	pg_uuid_t  *customer_id;

	bank_require_argument(PG_ARGISNULL(0), "customer_id");
	customer_id = PG_GETARG_UUID_P(0);
	bank_customer_api_require_active(customer_id);
	bank_customer_lock(customer_id);
	bank_customer_open(&customer, customer_id, BANK_OPEN_WRITE);
	bank_customer_set_closing(&customer, false);
	bank_customer_close(&customer);
	PG_RETURN_VOID();
}

/*
 * reactivate_customer(customer_id): accounts may be created again, once
 * customer-api says that he is active.  Closed accounts stay closed.
 */
Datum
bank_reactivate_customer(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.reactivate_customer", BANK_OPEN_READ,
							reactivate_customer_body);
}
