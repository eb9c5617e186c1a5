/*
 * Statements: the transfers of an account between two dates, a page at a time.
 *
 * Promises:  each page has what the account was before its first line and
 *            after its last, and adds up: the opening balance and the amounts
 *            make the closing one.  A page begins where the one before ended,
 *            whatever was posted meanwhile, since versions only grow.  The cost
 *            is that of the page (history.c).
 * Raises:    LG001; 22004, 22023; XX001 as history.c says.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "account.h"
#include "bank.h"
#include "history.h"
#include "settlement.h"

PG_FUNCTION_INFO_V1(bank_statement);

#define ROWS_MAX 10000

/* Columns of bank.statement_row. */
enum
{
	STATEMENT_LINE,
	STATEMENT_VERSION,
	STATEMENT_COMPLETED_AT,
	STATEMENT_TRANSFER_ID,
	STATEMENT_KIND,
	STATEMENT_COUNTERPARTY,
	STATEMENT_AMOUNT,
	STATEMENT_BALANCE,
	STATEMENT_HELD,
	STATEMENT_REFERENCE,
	STATEMENT_COLUMNS
};

typedef struct Statement
{
	TimestampTz since;
	TimestampTz until;
	int64		after_version;	/* 0: from since on */
	int			max_rows;
	BankHistory history;
	ReturnSetInfo *result;
} Statement;

static void
raise_backwards(const Statement *statement)
{
	char	   *since = pstrdup(timestamptz_to_str(statement->since));

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("since must not be later than until"),
			 errdetail("Lines were to be dated from %s on and before %s.", since,
					   timestamptz_to_str(statement->until)),
			 errhint("Give the earlier of the two as since.")));
}

static void
require_range(const Statement *statement)
{
	if (statement->since > statement->until)
		raise_backwards(statement);
	if (statement->after_version < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("after_version must not be negative"),
				 errdetail("It is " INT64_FORMAT ".", statement->after_version),
				 errhint("Give the version of the last line of the page before.")));
	bank_require_range("max_rows", statement->max_rows, 1, ROWS_MAX);
}

static void
put_row(Statement *statement, const char *line, const BankHistoryState *state,
		Datum *values, bool *nulls)
{
	values[STATEMENT_LINE] = CStringGetTextDatum(line);
	values[STATEMENT_VERSION] = Int64GetDatum(state->version);
	values[STATEMENT_COMPLETED_AT] = TimestampTzGetDatum(state->dated);
	nulls[STATEMENT_COMPLETED_AT] = state->version == 0;
	values[STATEMENT_BALANCE] = Int64GetDatum(state->balance);
	values[STATEMENT_HELD] = Int64GetDatum(state->held);
	tuplestore_putvalues(statement->result->setResult, statement->result->setDesc,
						 values, nulls);
}

/* An opening or closing row: what the account was. */
static void
put_state(Statement *statement, const char *line, const BankHistoryState *state)
{
	Datum		values[STATEMENT_COLUMNS] = {0};
	bool		nulls[STATEMENT_COLUMNS] = {false};

	nulls[STATEMENT_TRANSFER_ID] = true;
	nulls[STATEMENT_KIND] = true;
	nulls[STATEMENT_COUNTERPARTY] = true;
	nulls[STATEMENT_AMOUNT] = true;
	nulls[STATEMENT_REFERENCE] = true;
	put_row(statement, line, state, values, nulls);
}

/* Settlement accounts are not the callers' to know. */
static void
put_entry(Statement *statement, const BankHistoryEntry *entry)
{
	Datum		values[STATEMENT_COLUMNS] = {0};
	bool		nulls[STATEMENT_COLUMNS] = {false};

	values[STATEMENT_TRANSFER_ID] = UUIDPGetDatum(&entry->transfer_id);
	values[STATEMENT_KIND] =
		CStringGetTextDatum(bank_ledger_transfer_kind_name(entry->kind));
	values[STATEMENT_COUNTERPARTY] = UUIDPGetDatum(&entry->counterparty);
	nulls[STATEMENT_COUNTERPARTY] = bank_settlement_owns(&entry->counterparty);
	values[STATEMENT_AMOUNT] = Int64GetDatum(entry->amount);
	nulls[STATEMENT_REFERENCE] = entry->reference == NULL;
	if (entry->reference != NULL)
		values[STATEMENT_REFERENCE] = CStringGetTextDatum(entry->reference);
	put_row(statement, "entry", &entry->after, values, nulls);
}

/* Where the page begins: after_version, unless since is later. */
static void
find_opening(Statement *statement, BankHistoryState *opening)
{
	BankHistory *history = &statement->history;
	int64		version = Min(statement->after_version, history->account->version);

	bank_history_state(history, version, opening);
	if (version == 0 || opening->dated < statement->since)
		bank_history_state(history, bank_history_version_before(history, statement->since),
						   opening);
}

/* The next line after a version; false: there is none before until. */
static bool
next_line(Statement *statement, int64 version, BankHistoryEntry *entry)
{
	return bank_history_next(&statement->history, version, entry) &&
		entry->after.dated < statement->until;
}

static void
put_page(Statement *statement)
{
	BankHistoryState state;
	BankHistoryEntry entry;
	bool		has_more;

	find_opening(statement, &state);
	put_state(statement, "opening", &state);
	has_more = next_line(statement, state.version, &entry);
	for (int i = 0; has_more && i < statement->max_rows; i++)
	{
		put_entry(statement, &entry);
		state = entry.after;
		has_more = next_line(statement, state.version, &entry);
	}
	if (!has_more)
	{
		int64		last = bank_history_version_before(&statement->history, statement->until);

		if (last > state.version)
			bank_history_state(&statement->history, last, &state);
	}
	put_state(statement, "closing", &state);
}

static void
read_arguments(FunctionCallInfo fcinfo, Statement *statement)
{
	bank_require_argument(PG_ARGISNULL(0), "account_id");
	bank_require_argument(PG_ARGISNULL(1), "since");
	bank_require_argument(PG_ARGISNULL(2), "until");
	bank_require_argument(PG_ARGISNULL(4), "max_rows");
	statement->since = PG_GETARG_TIMESTAMPTZ(1);
	statement->until = PG_GETARG_TIMESTAMPTZ(2);
	statement->after_version = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT64(3);
	statement->max_rows = PG_GETARG_INT32(4);
	require_range(statement);
}

/*
 * statement(account_id, since, until, after_version, max_rows) returns
 * bank.statement_row: an opening row, lines dated from since on and before
 * until, of later versions than after_version, and a closing row.
 */
Datum
bank_statement(PG_FUNCTION_ARGS)
{
	Statement	statement = {0};
	BankLedger	ledger;
	BankAccount account;

	read_arguments(fcinfo, &statement);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	statement.result = (ReturnSetInfo *) fcinfo->resultinfo;
	bank_require_columns(statement.result->setDesc, STATEMENT_COLUMNS,
						 "bank.statement_row");
	bank_ledger_open(&ledger, BANK_OPEN_READ);
	bank_account_find_visible(&ledger, PG_GETARG_UUID_P(0), &account);
	bank_history_open(&statement.history, &ledger, &account);
	put_page(&statement);
	bank_ledger_close(&ledger);
	return (Datum) 0;
}
