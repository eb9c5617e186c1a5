/*
 * The rules of every movement of money, for one transfer and for a batch.
 *
 * What stands in the way of a posting is judged first and raised after, so
 * that a batch can go on with its other items.
 *
 * Promises: invariants 3, 5 and 7 for what it judges; a judgement changes
 * nothing.
 *
 * Locks: customers' accounts in the order of their ids, waiting.
 *
 * Raises: LG001, LG004 to LG008, LG012, LG020; 22003, 22023.
 *
 * Not here: limits (limit.c), the clock (clock_lead.c), holds that are due
 * (expiry.c), which a caller ends before it judges.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "account.h"
#include "bank.h"
#include "clock_lead.h"
#include "expiry.h"
#include "limit.h"
#include "posting.h"

/* 22023, 22003 or 0. */
int
bank_posting_judge_amount(int64 amount)
{
	if (amount <= 0)
		return ERRCODE_INVALID_PARAMETER_VALUE;
	if (amount > BANK_AMOUNT_MAX)
		return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
	return 0;
}

void
bank_posting_require_amount(int64 amount)
{
	int			refusal = bank_posting_judge_amount(amount);

	if (refusal != 0)
		ereport(ERROR,
				(errcode(refusal),
				 amount <= 0 ? errmsg("amount must be greater than zero") :
				 errmsg("amount is out of range"),
				 errdetail("The amount is " INT64_FORMAT ".", amount),
				 errhint("Give minor units, from 1 to " INT64_FORMAT ".",
						 BANK_AMOUNT_MAX)));
}

void
bank_posting_require_two_accounts(const pg_uuid_t *from, const pg_uuid_t *to)
{
	if (bank_uuid_compare(from, to) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot transfer from an account to itself"),
				 errdetail("Both accounts are %s.", bank_uuid_text(from)),
				 errhint("Give two different accounts.")));
}

/* Whether a reference, or none, is short enough. */
bool
bank_posting_reference_fits(const char *reference)
{
	return reference == NULL || pg_mbstrlen(reference) <= BANK_REFERENCE_MAX;
}

/* The reference that an argument gives, or NULL. */
const char *
bank_posting_reference(FunctionCallInfo fcinfo, int argument)
{
	const char *reference = PG_ARGISNULL(argument) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(argument));

	if (!bank_posting_reference_fits(reference))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reference is too long"),
				 errdetail("It has %d characters; %d are allowed.",
						   pg_mbstrlen(reference), BANK_REFERENCE_MAX),
				 errhint("Shorten it, or keep the text elsewhere and give its key.")));
	return reference;
}

/* Settlement is everybody's. */
bool
bank_posting_have_same_holder(const BankAccount *from, const BankAccount *to)
{
	return from->is_settlement || to->is_settlement ||
		bank_uuid_compare(&from->customer_id, &to->customer_id) == 0;
}

static void
raise_different_holders(const BankAccount *from, const BankAccount *to)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_DIFFERENT_HOLDERS),
			 errmsg("different holders"),
			 errdetail("Accounts %s and %s belong to different customers.",
					   bank_uuid_text(&from->account_id),
					   bank_uuid_text(&to->account_id)),
			 errhint("Give two accounts of one customer.")));
}

/* Before any lock, so that nobody waits for accounts that are not his. */
void
bank_posting_require_same_holder(const BankAccount *from, const BankAccount *to)
{
	if (!bank_posting_have_same_holder(from, to))
		raise_different_holders(from, to);
}

static int64
available(const BankAccount *account)
{
	return account->balance - account->held;
}

/* A reversal gives back, and a hold has been counted when it was made. */
static bool
counts_as_spent(const BankTransfer *transfer)
{
	return transfer->kind == BANK_TRANSFER || transfer->kind == BANK_WITHDRAWAL;
}

static bool
has_room(const BankAccount *to, int64 amount)
{
	return to->is_settlement || to->balance <= BANK_AMOUNT_MAX - amount;
}

/* 0, LG012 or 22003: what a debit that counts meets on its day. */
int
bank_posting_judge_debit(const BankAccount *from, int64 amount, TimestampTz at)
{
	if (!bank_limit_allows(from, amount, at))
		return BANK_ERRCODE_LIMIT_EXCEEDED;
	return bank_limit_can_count(from, amount, at) ? 0 : ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
}

/*
 * Whether the transfer may be posted between accounts that are locked and
 * whose due holds were ended: 0, or the SQLSTATE of what stands in the way.
 */
int
bank_posting_judge(const BankLedger *ledger, const BankTransfer *transfer,
				   const BankAccount *from, const BankAccount *to)
{
	int			refusal;

	if (!bank_posting_have_same_holder(from, to))
		return BANK_ERRCODE_DIFFERENT_HOLDERS;
	if (!from->is_active || !to->is_active)
		return BANK_ERRCODE_ACCOUNT_INACTIVE;
	if (strcmp(from->currency, to->currency) != 0)
		return BANK_ERRCODE_CURRENCY_MISMATCH;
	if (bank_clock_lead_is_too_far(ledger, from) || bank_clock_lead_is_too_far(ledger, to))
		return BANK_ERRCODE_CLOCK_BEHIND;
	if (!from->is_settlement && available(from) < transfer->amount)
		return BANK_ERRCODE_INSUFFICIENT_FUNDS;
	if (counts_as_spent(transfer) &&
		(refusal = bank_posting_judge_debit(from, transfer->amount,
											bank_ledger_transfer_date(ledger, from, to))) != 0)
		return refusal;
	if (!has_room(to, transfer->amount))
		return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
	return 0;
}

static void
raise_about_account(int sqlstate, const BankTransfer *transfer,
					const BankAccount *from, const BankAccount *to)
{
	switch (sqlstate)
	{
		case BANK_ERRCODE_ACCOUNT_INACTIVE:
			bank_account_raise_inactive(from->is_active ? &to->account_id :
										&from->account_id);
			break;
		case BANK_ERRCODE_INSUFFICIENT_FUNDS:
			ereport(ERROR,
					(errcode(BANK_ERRCODE_INSUFFICIENT_FUNDS),
					 errmsg("insufficient funds"),
					 errdetail("Account %s has " INT64_FORMAT " available, " INT64_FORMAT " is needed.",
							   bank_uuid_text(&from->account_id), available(from),
							   transfer->amount),
					 errhint("Pay less, or bring money in first; bank.ledger_balance says what is available.")));
			break;
		case ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE:
			if (has_room(to, transfer->amount))
				bank_limit_raise_uncountable(from, transfer->amount);
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("balance would be out of range"),
					 errdetail("Account %s has " INT64_FORMAT ", and no balance may exceed " INT64_FORMAT ".",
							   bank_uuid_text(&to->account_id), to->balance,
							   BANK_AMOUNT_MAX),
					 errhint("Pay less, or to another account.")));
	}
}

static void
raise_about_pair(const BankLedger *ledger, int sqlstate, const BankAccount *from,
				 const BankAccount *to)
{
	switch (sqlstate)
	{
		case BANK_ERRCODE_DIFFERENT_HOLDERS:
			raise_different_holders(from, to);
			break;
		case BANK_ERRCODE_CLOCK_BEHIND:
			/* The other one may be further ahead, and accepted. */
			bank_clock_lead_raise(bank_clock_lead_is_too_far(ledger, from) ? from : to);
			break;
		case BANK_ERRCODE_CURRENCY_MISMATCH:
			ereport(ERROR,
					(errcode(BANK_ERRCODE_CURRENCY_MISMATCH),
					 errmsg("currency mismatch"),
					 errdetail("Account %s is in %s, account %s in %s.",
							   bank_uuid_text(&from->account_id), from->currency,
							   bank_uuid_text(&to->account_id), to->currency),
					 errhint("Give two accounts in one currency.")));
	}
}

/* Raises what was judged; transfer gives the amount and may else be unset. */
void
bank_posting_raise(const BankLedger *ledger, int sqlstate,
				   const BankTransfer *transfer, const BankAccount *from,
				   const BankAccount *to)
{
	raise_about_account(sqlstate, transfer, from, to);
	raise_about_pair(ledger, sqlstate, from, to);
	if (sqlstate == BANK_ERRCODE_LIMIT_EXCEEDED)
		bank_limit_raise_exceeded(from, transfer->amount);
	elog(ERROR, "a judgement is unknown: %s", unpack_sql_state(sqlstate));
	pg_unreachable();
}

/* Locks a customer's account that was found before. */
void
bank_posting_lock(BankLedger *ledger, BankAccount *account)
{
	pg_uuid_t	id = account->account_id;

	if (bank_ledger_lock_account(ledger, account, LockWaitBlock) != BANK_LOCK_TAKEN)
		bank_account_raise_not_found(&id);
}

void
bank_posting_lock_pair(BankLedger *ledger, BankAccount *a, BankAccount *b)
{
	bool		a_first = bank_uuid_compare(&a->account_id, &b->account_id) < 0;

	bank_posting_lock(ledger, a_first ? a : b);
	bank_posting_lock(ledger, a_first ? b : a);
}

static bool
is_same_reference(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
is_same_side(const pg_uuid_t *posted, const pg_uuid_t *asked, bool is_chosen)
{
	return !is_chosen || bank_uuid_compare(posted, asked) == 0;
}

/*
 * 0 where posted is what the call with its key asked for, else LG008.  Only
 * what the caller chose is compared: not the settlement account of a deposit
 * or withdrawal, and of a reversal what it reverses.
 */
int
bank_posting_judge_replay(const BankTransfer *posted, const BankTransfer *asked)
{
	bool		is_same;

	if (asked->kind == BANK_REVERSAL)
		is_same = bank_optional_uuid_equal(&posted->reverses, &asked->reverses);
	else
		is_same = posted->kind == asked->kind && posted->amount == asked->amount &&
			is_same_reference(posted->reference, asked->reference) &&
			is_same_side(&posted->from_account, &asked->from_account,
						 asked->kind != BANK_DEPOSIT) &&
			is_same_side(&posted->to_account, &asked->to_account,
						 asked->kind != BANK_WITHDRAWAL);
	return is_same ? 0 : BANK_ERRCODE_KEY_REUSED;
}

/*
 * True when the key was used before for the same; asked becomes what was
 * posted then.  Raises LG008 when it was used for something else.
 */
bool
bank_posting_find_replay(BankLedger *ledger, BankTransfer *asked)
{
	BankTransfer posted;

	if (!bank_ledger_find_transfer(ledger, &asked->transfer_id, &posted))
		return false;
	if (bank_posting_judge_replay(&posted, asked) != 0)
		bank_errors_raise_key_reused(psprintf("Key %s names another transfer.",
											  bank_uuid_text(&asked->transfer_id)));
	*asked = posted;
	return true;
}

/* Appends a transfer that was judged. */
void
bank_posting_append(BankLedger *ledger, BankTransfer *transfer,
					BankAccount *from, BankAccount *to)
{
	if (counts_as_spent(transfer))
		bank_limit_spend(from, transfer->amount, bank_ledger_transfer_date(ledger, from, to));
	bank_ledger_append_transfer(ledger, transfer, from, to);
}
