/*
 * Holds that end, and those that expire.
 *
 * A hold is live until its expires_at by date alone, so that a job that does
 * not run locks no money and frees none.  The date is the one that its posting
 * would have: the clock's, and never before the last entry of either account.
 * So a clock that steps back revives no hold that either account has outlived.
 * Whoever next writes to the paying account journals the expiry first, and
 * bank.expire_holds does that for accounts that nobody touches, so that events
 * follow.  Once journalled it is final, whatever the dates.
 *
 * No date of the whole ledger is asked: of a clock that once ran ahead, all
 * holds would have to wait for the day that it showed.
 *
 * Locks: by bank.expire_holds, accounts as their holds came due, never waiting:
 * those that are busy are left for the next time.
 *
 * Raises: LG019; 22004, 22023.
 */
#include "postgres.h"

#include "utils/hsearch.h"
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
 * Whether a pending hold is live no more, to one of its accounts that is
 * locked.  The other one is not, and may only outlive it sooner.
 */
bool
bank_expiry_is_over(BankLedger *ledger, const BankHold *hold,
					const BankAccount *account)
{
	bool		pays = bank_uuid_compare(&hold->from_account, &account->account_id) == 0;

	return bank_expiry_is_due(hold, bank_ledger_entry_date(ledger, account)) ||
		bank_expiry_is_due(hold, bank_ledger_find_last_date(ledger, pays ? &hold->to_account :
															&hold->from_account));
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

/* Appends the end of due holds on a locked account, so many at most. */
static void
end_due(BankLedger *ledger, BankAccount *account, int max_rows)
{
	ListCell   *cell;

	foreach(cell, bank_ledger_find_holds_from(ledger, &account->account_id))
	{
		if (max_rows == 0)
			return;
		if (!bank_expiry_is_over(ledger, lfirst(cell), account))
			continue;
		bank_expiry_end(ledger, account, lfirst(cell), BANK_HOLD_EXPIRED,
						palloc0(sizeof(BankAccountEvent)));
		max_rows--;
	}
}

/*
 * Appends the end of every hold on a locked account that is live no more.
 * Once in a call: what was appended is not in the table yet.
 */
void
bank_expiry_end_due(BankLedger *ledger, BankAccount *account)
{
	if (account->held == 0 || account->is_without_due)
		return;
	account->is_without_due = true;
	end_due(ledger, account, PG_INT32_MAX);
}

/* Whose holds bank.expire_holds ends, as far as it has looked for them. */
typedef struct Expiry
{
	BankLedger *ledger;
	HTAB	   *payers;			/* of Payer: each is tried once */
	List	   *accounts;		/* that were locked */
	int			holds;			/* theirs that were seen to be due */
	int			max_rows;
} Expiry;

typedef struct Payer
{
	pg_uuid_t	account_id;
	bool		is_locked;
} Payer;

static HTAB *
make_payers(void)
{
	HASHCTL		control = {
		.keysize = sizeof(pg_uuid_t), .entrysize = sizeof(Payer),
		.hcxt = CurrentMemoryContext
	};

	return hash_create("payers of due holds", 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Whether an account that pays a hold could be locked without waiting. */
static bool
lock_payer(Expiry *expiry, const pg_uuid_t *account_id)
{
	BankAccount *account = palloc(sizeof(BankAccount));

	if (!bank_ledger_find_account(expiry->ledger, account_id, account) ||
		bank_ledger_lock_account(expiry->ledger, account, LockWaitSkip) != BANK_LOCK_TAKEN)
	{
		pfree(account);
		return false;
	}
	expiry->accounts = lappend(expiry->accounts, account);
	return true;
}

/* A BankPayerVisitor; holds of busy accounts do not count. */
static bool
take_payer(const pg_uuid_t *account_id, void *context)
{
	Expiry	   *expiry = context;
	bool		is_tried;
	Payer	   *payer = hash_search(expiry->payers, account_id, HASH_ENTER, &is_tried);

	if (!is_tried)
		payer->is_locked = lock_payer(expiry, account_id);
	if (payer->is_locked)
		expiry->holds++;
	return expiry->holds < expiry->max_rows;
}

static int
expire_holds(BankLedger *ledger, int max_rows)
{
	Expiry		expiry = {
		.ledger = ledger, .payers = make_payers(), .max_rows = max_rows
	};
	int			expired;
	ListCell   *cell;

	bank_ledger_visit_payers_due(ledger, GetCurrentTimestamp(), take_payer, &expiry);
	if (expiry.accounts == NIL)
		return 0;
	bank_ledger_begin(ledger);
	foreach(cell, expiry.accounts)
		end_due(ledger, lfirst(cell), max_rows - list_length(ledger->holds));
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
 * due, and returns how many; those of accounts that are busy are passed over.
 */
Datum
bank_expire_holds(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.expire_holds", BANK_OPEN_READ,
							expire_holds_body);
}
