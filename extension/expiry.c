/*
 * Holds that end, and those that expire.
 *
 * A hold is live until its expires_at by date alone, so that a job that does
 * not run locks no money and frees none.  Whoever next writes to the paying
 * account journals the expiry first, and bank.expire_holds does that for
 * accounts that nobody touches, so that events follow.  Once journalled it is
 * final: a clock that steps back revives nothing.
 *
 * Locks: by bank.expire_holds, accounts in the order of their ids, those that
 * are busy left for the next time.
 *
 * Raises: LG019; 22004, 22023.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "bank.h"
#include "expiry.h"
#include "limit.h"

PG_FUNCTION_INFO_V1(bank_expire_holds);

#define MAX_ROWS 10000

/* Whether a pending hold is live no more at a date. */
bool
bank_expiry_is_due(const BankHold *hold, TimestampTz at)
{
	return hold->expires_at <= at;
}

/*
 * Appends the end of a hold on a locked account: all of it is available again.
 * The event must live until it is written.
 */
void
bank_expiry_end(BankLedger *ledger, BankAccount *account, BankHold *hold,
				BankHoldState state, BankAccountEvent *event)
{
	static const BankAccountEventKind kinds[] = {
		[BANK_HOLD_DONE] = BANK_ACCOUNT_HOLD_POSTED,
		[BANK_HOLD_VOIDED] = BANK_ACCOUNT_HOLD_VOIDED,
		[BANK_HOLD_EXPIRED] = BANK_ACCOUNT_HOLD_EXPIRED
	};
	int64		posted = hold->posted_amount.is_set ? hold->posted_amount.value : 0;

	event->kind = kinds[state];
	bank_ledger_set_hold_terms(hold, event);
	account->held -= hold->amount;
	bank_limit_give_back(account, hold->amount - posted, hold->counted_day);
	bank_ledger_append_event(ledger, account, event);
	hold->state = state;
	hold->ended_version = (BankOptionalAmount)
	{
		true, account->version
	};
	bank_ledger_append_hold(ledger, hold);
}

/*
 * Appends the end of every hold on a locked account that is live no more.
 * Once in a call: what was appended is not in the table yet.
 */
void
bank_expiry_end_due(BankLedger *ledger, BankAccount *account)
{
	TimestampTz at = bank_ledger_entry_date(ledger, account);
	ListCell   *cell;

	if (account->held == 0 || account->is_without_due)
		return;
	account->is_without_due = true;
	foreach(cell, bank_ledger_find_holds_from(ledger, &account->account_id))
	{
		if (bank_expiry_is_due(lfirst(cell), at))
			bank_expiry_end(ledger, account, lfirst(cell), BANK_HOLD_EXPIRED,
							palloc0(sizeof(BankAccountEvent)));
	}
}

static int
compare_payers(const ListCell *a, const ListCell *b)
{
	return bank_uuid_compare(&((const BankHold *) lfirst(a))->from_account,
							 &((const BankHold *) lfirst(b))->from_account);
}

/* The accounts that pay the holds, each once, found and locked if not busy. */
static List *
lock_payers(BankLedger *ledger, List *holds)
{
	List	   *accounts = NIL;
	const pg_uuid_t *last = NULL;
	ListCell   *cell;

	list_sort(holds, compare_payers);
	foreach(cell, holds)
	{
		BankHold   *hold = lfirst(cell);
		BankAccount *account;

		if (last != NULL && bank_uuid_compare(last, &hold->from_account) == 0)
			continue;
		last = &hold->from_account;
		account = palloc(sizeof(BankAccount));
		if (bank_ledger_find_account(ledger, last, account) &&
			bank_ledger_lock_account(ledger, account, LockWaitSkip) == BANK_LOCK_TAKEN)
			accounts = lappend(accounts, account);
	}
	return accounts;
}

static int
expire_holds(BankLedger *ledger, int max_rows)
{
	List	   *holds = bank_ledger_find_holds_due(ledger, GetCurrentTimestamp(),
												   max_rows);
	List	   *accounts = lock_payers(ledger, holds);
	int			expired;
	ListCell   *cell;

	if (accounts == NIL)
		return 0;
	bank_ledger_begin(ledger);
	foreach(cell, accounts)
		bank_expiry_end_due(ledger, lfirst(cell));
	expired = list_length(ledger->holds);
	bank_ledger_write(ledger);
	return expired;
}

static Datum
expire_holds_body(PG_FUNCTION_ARGS)
{
	BankLedger	ledger;
	int			max_rows;
	int			expired;

	bank_require_argument(PG_ARGISNULL(0), "max_rows");
	max_rows = PG_GETARG_INT32(0);
	bank_require_range("max_rows", max_rows, 1, MAX_ROWS);
	bank_ledger_open(&ledger, BANK_OPEN_WRITE);
	expired = expire_holds(&ledger, max_rows);
	bank_ledger_close(&ledger);
	PG_RETURN_INT32(expired);
}

/*
 * expire_holds(max_rows) journals the expiry of so many holds at most that are
 * due, and returns how many; accounts that are busy are left out.
 */
Datum
bank_expire_holds(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.expire_holds", BANK_OPEN_READ,
							expire_holds_body);
}
