/*
 * Daily limits: what an account may pay, gross, in one local day.
 *
 * Transfers, withdrawals and holds count on the day of their date in
 * bank.time_zone; a hold gives back what it released, on the day it counted
 * for.  Settlement and reversals do not count.  Debits are counted whether
 * there is a limit or not, so that one set at noon knows of the morning.
 *
 * Promises: the count is changed with the entry it counts, under the account's
 * lock; a limit lowered holds at once, one raised or removed from the next
 * local day, as the central bank's rules for Pix limits have it (Res. BCB 142
 * of 2021).
 *
 * Raises: LG001, LG004, LG012, LG019; 42501; 22003, 22004, 22023.
 */
#include "postgres.h"

#include "funcapi.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "account.h"
#include "bank.h"
#include "expiry.h"
#include "limit.h"
#include "posting.h"
#include "rights.h"
#include "row.h"

PG_FUNCTION_INFO_V1(bank_set_limit);

/* Columns of bank.limit_row. */
#define ROW_COLUMNS 7

/* The local day of a date. */
DateADT
bank_limit_day(TimestampTz at)
{
	struct pg_tm local;
	fsec_t		fraction;
	int			zone;

	if (timestamp2tm(at, &zone, &local, &fraction, NULL, bank_time_zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range"),
				 errhint("Set the server's clock right.")));
	return date2j(local.tm_year, local.tm_mon, local.tm_mday) - POSTGRES_EPOCH_JDATE;
}

/* When a local day begins. */
static TimestampTz
start_of_day(DateADT day)
{
	struct pg_tm local = {0};
	TimestampTz start;
	int			zone;

	j2date(day + POSTGRES_EPOCH_JDATE, &local.tm_year, &local.tm_mon, &local.tm_mday);
	zone = DetermineTimeZoneOffset(&local, bank_time_zone);
	if (tm2timestamp(&local, 0, &zone, &start) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range"),
				 errhint("Set the server's clock right.")));
	return start;
}

static int64
spent_on(const BankAccount *account, DateADT day)
{
	return account->spent_day == day ? account->spent : 0;
}

static bool
next_limit_counts(const BankAccount *account, DateADT day)
{
	return account->next_limit_day.is_set && account->next_limit_day.value <= day;
}

static BankOptionalAmount
limit_on(const BankAccount *account, DateADT day)
{
	return next_limit_counts(account, day) ? account->next_limit :
		account->daily_limit;
}

/* Whether the account may pay the amount at a date, as far as limits go. */
bool
bank_limit_allows(const BankAccount *account, int64 amount, TimestampTz at)
{
	DateADT		day;
	BankOptionalAmount limit;

	if (!account->daily_limit.is_set && !account->next_limit_day.is_set)
		return true;
	day = bank_limit_day(at);
	limit = limit_on(account, day);
	return !limit.is_set || spent_on(account, day) <= limit.value - amount;
}

/*
 * Whether the account's debits of the day still fit a number: money that goes
 * in and out all day adds up to more than any balance.
 */
bool
bank_limit_can_count(const BankAccount *account, int64 amount, TimestampTz at)
{
	return account->spent <= PG_INT64_MAX - amount ||
		spent_on(account, bank_limit_day(at)) <= PG_INT64_MAX - amount;
}

static const char *
day_text(DateADT day)
{
	int			year;
	int			month;
	int			of_month;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &of_month);
	return psprintf("%04d-%02d-%02d", year, month, of_month);
}

void
bank_limit_raise_exceeded(const BankAccount *account, int64 amount)
{
	DateADT		day = bank_limit_day(Max(GetCurrentTimestamp(), account->updated_at));

	ereport(ERROR,
			(errcode(BANK_ERRCODE_LIMIT_EXCEEDED),
			 errmsg("limit exceeded"),
			 errdetail("Account %s has paid " INT64_FORMAT " of " INT64_FORMAT " on %s, " INT64_FORMAT " is asked.",
					   bank_uuid_text(&account->account_id), spent_on(account, day),
					   limit_on(account, day).value, day_text(day), amount),
			 errhint("The next local day begins a new count; bank.set_limit changes the limit.")));
}

void
bank_limit_raise_uncountable(const BankAccount *account, int64 amount)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("gross debits of the day would be out of range"),
			 errdetail("Account %s has paid " INT64_FORMAT " on %s, " INT64_FORMAT " is asked.",
					   bank_uuid_text(&account->account_id), account->spent,
					   day_text(account->spent_day), amount),
			 errhint("The next local day begins a new count.")));
}

static void
begin_day(BankAccount *account, DateADT day)
{
	if (account->spent_day != day)
		account->spent = 0;
	account->spent_day = day;
	if (next_limit_counts(account, day))
	{
		account->daily_limit = account->next_limit;
		account->next_limit.is_set = false;
		account->next_limit_day.is_set = false;
	}
}

/* Counts a debit that was allowed and can be counted. */
void
bank_limit_spend(BankAccount *account, int64 amount, TimestampTz at)
{
	begin_day(account, bank_limit_day(at));
	account->spent += amount;
}

/* Takes back what a hold counted, while its day is still the one counted. */
void
bank_limit_give_back(BankAccount *account, int64 amount, DateADT counted_day)
{
	if (account->spent_day == counted_day)
		account->spent -= Min(account->spent, amount);
}

/* Whether a limit lets pass no more than another. */
static bool
is_no_raise(const BankOptionalAmount *asked, const BankOptionalAmount *limit)
{
	return !limit->is_set || (asked->is_set && asked->value <= limit->value);
}

/* Changes the limit in memory; returns when the change begins to count. */
static TimestampTz
change_limit(BankAccount *account, const BankOptionalAmount *asked, TimestampTz at)
{
	DateADT		today = bank_limit_day(at);

	begin_day(account, today);
	if (is_no_raise(asked, &account->daily_limit))
	{
		account->daily_limit = *asked;
		account->next_limit.is_set = false;
		account->next_limit_day.is_set = false;
		return at;
	}
	account->next_limit = *asked;
	account->next_limit_day.is_set = true;
	account->next_limit_day.value = today + 1;
	return start_of_day(today + 1);
}

/*
 * A customer protects himself; to loosen a limit is the bank's to decide.  The
 * limit in force once more, as after an answer that was lost, loosens nothing.
 */
static void
require_may_set(const BankAccount *account, const BankOptionalAmount *asked)
{
	BankOptionalAmount limit = limit_on(account, bank_limit_day(GetCurrentTimestamp()));

	if (!is_no_raise(asked, &limit))
		bank_rights_require_operator("raise or remove a limit");
}

static void
set_limit(BankLedger *ledger, BankAccount *account, const BankOptionalAmount *asked)
{
	BankAccountEvent set = {.kind = BANK_ACCOUNT_LIMIT_SET, .amount = *asked};

	bank_expiry_end_due(ledger, account);
	set.due_at.is_set = true;
	set.due_at.value = change_limit(account, asked,
									bank_ledger_entry_date(ledger, account));
	bank_ledger_append_event(ledger, account, &set);
	bank_ledger_write(ledger);
}

static void
require_limit(const BankOptionalAmount *asked)
{
	if (asked->is_set && (asked->value < 0 || asked->value > BANK_AMOUNT_MAX))
		ereport(ERROR,
				(errcode(asked->value < 0 ? ERRCODE_INVALID_PARAMETER_VALUE :
						 ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("daily_amount is out of range"),
				 errdetail("It is " INT64_FORMAT "; a limit is from 0 to " INT64_FORMAT ".",
						   asked->value, BANK_AMOUNT_MAX),
				 errhint("Give minor units in that range, or null for no limit.")));
}

/* Row type bank.limit_row. */
static Datum
limit_datum(const BankAccount *account, TupleDesc descriptor)
{
	BankRow		row = {0};

	bank_require_columns(descriptor, ROW_COLUMNS, "bank.limit_row");
	row.values[0] = UUIDPGetDatum(&account->account_id);
	bank_row_set_amount(&row, 1, &account->daily_limit);
	row.values[2] = DateADTGetDatum(account->spent_day);
	row.values[3] = Int64GetDatum(account->spent);
	bank_row_set_amount(&row, 4, &account->next_limit);
	bank_row_set_date(&row, 5, &account->next_limit_day);
	row.values[6] = Int64GetDatum(account->version);
	return HeapTupleGetDatum(heap_form_tuple(descriptor, row.values, row.nulls));
}

static Datum
set_limit_body(PG_FUNCTION_ARGS)
{
	BankOptionalAmount asked = {.is_set = !PG_ARGISNULL(1)};
	BankLedger	ledger;
	BankAccount account;

	bank_require_argument(PG_ARGISNULL(0), "account_id");
	if (asked.is_set)
		asked.value = PG_GETARG_INT64(1);
	require_limit(&asked);
	bank_rights_require_known();
	bank_ledger_open(&ledger, BANK_OPEN_WRITE);
	bank_account_find(&ledger, PG_GETARG_UUID_P(0), &account);
	bank_rights_require_own(&account);
	bank_posting_lock(&ledger, &account);
	require_may_set(&account, &asked);
	if (!account.is_active)
		bank_account_raise_inactive(&account.account_id);
	bank_ledger_begin(&ledger);
	set_limit(&ledger, &account, &asked);
	bank_ledger_close(&ledger);
	return limit_datum(&account, bank_result_descriptor(fcinfo));
}

/* set_limit(account_id, daily_amount) returns bank.limit_row; null removes. */
Datum
bank_set_limit(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.set_limit", BANK_OPEN_READ, set_limit_body);
}
