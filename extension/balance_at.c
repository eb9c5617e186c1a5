/*
 * The balance of an account at a date, and up to which date that will stay so.
 *
 * Promises:  balance and version are those after the last journal row dated at
 *            or before the date; no entry dated before complete_until can come
 *            any more.
 * Raises:    LG001; 22004; XX001 as history.c says.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "account.h"
#include "bank.h"
#include "history.h"
#include "horizon.h"

PG_FUNCTION_INFO_V1(bank_balance_at);

/* What the account was after its last row dated at or before the date. */
static void
find_state(BankLedger *ledger, const BankAccount *account, TimestampTz at,
		   BankHistoryState *state)
{
	BankHistory history;
	int64		version = account->version;

	bank_history_open(&history, ledger, account);
	if (!TIMESTAMP_IS_NOEND(at))
		version = bank_history_version_before(&history, TIMESTAMP_IS_NOBEGIN(at) ? at : at + 1);
	bank_history_state(&history, version, state);
}

/* Row type bank.balance_at_row. */
static Datum
balance_at_datum(const BankHistoryState *state, TimestampTz complete_until,
				 TupleDesc descriptor)
{
	Datum		values[] = {
		Int64GetDatum(state->balance), Int64GetDatum(state->version),
		TimestampTzGetDatum(complete_until)
	};
	bool		nulls[lengthof(values)] = {false};

	bank_require_columns(descriptor, lengthof(values), "bank.balance_at_row");
	return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

/*
 * balance_at(account_id, at) returns bank.balance_at_row.
 *
 * Who still posts is looked up before the snapshot is taken, so that nobody
 * can end between the two, unlooked at and unseen.  A transaction with a
 * snapshot of its own keeps that one.
 */
Datum
bank_balance_at(PG_FUNCTION_ARGS)
{
	BankHorizon horizon;
	BankLedger	ledger;
	BankAccount account;
	BankHistoryState state;
	TimestampTz complete_until;

	bank_require_argument(PG_ARGISNULL(0), "account_id");
	bank_require_argument(PG_ARGISNULL(1), "at");
	bank_horizon_look(&horizon);
	PushActiveSnapshot(GetTransactionSnapshot());
	bank_ledger_open(&ledger, BANK_OPEN_READ);
	bank_account_find_visible(&ledger, PG_GETARG_UUID_P(0), &account);
	find_state(&ledger, &account, PG_GETARG_TIMESTAMPTZ(1), &state);
	complete_until = bank_horizon_of(&horizon, GetActiveSnapshot());
	bank_ledger_close(&ledger);
	PopActiveSnapshot();
	return balance_at_datum(&state, complete_until, bank_result_descriptor(fcinfo));
}
