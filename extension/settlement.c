/*
 * Settlement accounts: the other side of deposits and withdrawals.
 *
 * One row would be a lock that all deposits of a currency wait for, so there
 * are sixteen.  A backend begins at a number of its own and takes the first of
 * the sixteen that it can lock without waiting; one that changed after its
 * transaction took a snapshot of its own is passed over.
 *
 * Locks: one settlement account, always after the customers' accounts; an
 * advisory lock on its id while it is made.  Nobody waits for one who holds
 * another, so that no circle can form.
 *
 * Raises: LG009, 22003; 40001 where none is left that the transaction's snapshot
 * sees as it is, and where one waited for has changed; XX001 for an id that a
 * customer's account has.
 *
 * Their ids are fixed by currency and number: UUIDv8 (RFC 9562), the bytes
 * "bank", the currency and the number.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "advisory.h"
#include "bank.h"
#include "clock_lead.h"
#include "ledger.h"
#include "settlement.h"

#define SETTLEMENT_ACCOUNTS 16

/* What all of them begin with: BANK_SETTLEMENT_PREFIX in bytes. */
#define PREFIX_LENGTH 11

static const unsigned char prefix[UUID_LEN] = {
	'b', 'a', 'n', 'k', 0, 0, 0x80, 0, 0x80
};

/* Whether an id is kept for settlement accounts, made yet or not. */
bool
bank_settlement_owns(const pg_uuid_t *id)
{
	return memcmp(id->data, prefix, PREFIX_LENGTH) == 0;
}

static pg_uuid_t
settlement_id(const char *currency, int number)
{
	pg_uuid_t	id;

	memcpy(id.data, prefix, UUID_LEN);
	memcpy(&id.data[PREFIX_LENGTH], currency, 3);
	id.data[15] = (unsigned char) number;
	return id;
}

static void
create_settlement(BankLedger *ledger, const pg_uuid_t *id, const char *currency)
{
	BankAccount account = {.account_id = *id, .is_settlement = true};

	memcpy(account.currency, currency, BANK_CURRENCY_SIZE);
	bank_ledger_create_account(ledger, &account);
}

/* Finds the account under the lock of its making, and makes it where none has. */
static BankFindResult
find_or_create_locked(BankLedger *ledger, const pg_uuid_t *id, const char *currency,
					  BankAccount *account)
{
	BankFindResult found = bank_ledger_find_unchanged_account(ledger, id, account);

	if (found != BANK_FIND_NONE)
		return found;
	create_settlement(ledger, id, currency);
	return bank_ledger_find_unchanged_account(ledger, id, account);
}

/* No customer can have one of these ids, unless somebody wrote by hand. */
static void
require_settlement(const BankAccount *account, const char *currency)
{
	if (!account->is_settlement || strcmp(account->currency, currency) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("an id kept for settlement is another account's"),
				 errdetail("Account %s is no settlement account of %s.",
						   bank_uuid_text(&account->account_id), currency),
				 errhint("bank.verify says what else does not hold.")));
}

/* One call's search for an account that can take its change. */
typedef struct Search
{
	const char *currency;
	int64		change;
	bool		is_first_round; /* waits for nobody, and wants a date to be
								 * well */
	bool		has_unfit;		/* has locked one in vain: waits for nobody
								 * more */
	bool		met_busy;		/* in this round */
	bool		met_changed;	/* after the transaction took its snapshot */
} Search;

static bool
must_not_wait(const Search *search)
{
	return search->is_first_round || search->has_unfit;
}

/*
 * Makes the account at its first use.  False when another is making it, or
 * changed it so that the transaction's snapshot does not see it.
 */
static bool
find_or_create(Search *search, BankLedger *ledger, const pg_uuid_t *id,
			   BankAccount *account)
{
	BankFindResult found = bank_ledger_find_unchanged_account(ledger, id, account);

	if (found == BANK_FIND_NONE)
	{
		if (!bank_advisory_lock(BANK_LOCK_SETTLEMENT, id, must_not_wait(search)))
		{
			search->met_busy = true;
			return false;
		}
		found = find_or_create_locked(ledger, id, search->currency, account);
	}
	search->met_changed |= found == BANK_FIND_CHANGED;
	return found == BANK_FIND_DONE;
}

/* Whether the account can take the change and stay within its bounds. */
static bool
has_room(const BankAccount *account, int64 change)
{
	return change < 0 ? account->balance >= -BANK_AMOUNT_MAX - change :
		account->balance <= BANK_AMOUNT_MAX - change;
}

static bool
is_fit(const Search *search, const BankLedger *ledger, const BankAccount *account)
{
	return has_room(account, search->change) &&
		!(search->is_first_round && bank_clock_lead_is_too_far(ledger, account));
}

/*
 * Locks an account that is fit.  What is not fit before is not locked; what is
 * no longer fit under its lock stays locked.
 */
static bool
take(Search *search, BankLedger *ledger, int number, BankAccount *account)
{
	pg_uuid_t	id = settlement_id(search->currency, number);

	if (!find_or_create(search, ledger, &id, account))
		return false;
	require_settlement(account, search->currency);
	if (!is_fit(search, ledger, account))
		return false;
	if (bank_ledger_lock_account(ledger, account, must_not_wait(search) ? LockWaitSkip :
								 LockWaitBlock) != BANK_LOCK_TAKEN)
	{
		search->met_busy = true;
		return false;
	}
	search->has_unfit |= !is_fit(search, ledger, account);
	return is_fit(search, ledger, account);
}

static bool
take_any(Search *search, BankLedger *ledger, BankAccount *account)
{
	search->met_busy = false;
	for (int i = 0; i < SETTLEMENT_ACCOUNTS; i++)
		if (take(search, ledger, (MyProcPid + i) % SETTLEMENT_ACCOUNTS, account))
			return true;
	return false;
}

static void
raise_none(const Search *search)
{
	if (search->met_changed)
		bank_errors_raise_changed(psprintf("Settlement accounts of %s that may have room changed after this transaction took its snapshot.",
										   search->currency));
	if (search->met_busy)
		bank_errors_raise_in_progress(psprintf("Settlement accounts of %s that may have room are locked by other transactions.",
											   search->currency));
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("settlement is out of range"),
			 errdetail("No settlement account of %s can change by " INT64_FORMAT ".",
					   search->currency, search->change),
			 errhint("Withdrawals make room for deposits, and deposits for withdrawals.")));
}

/*
 * Locks a settlement account of the currency that has room for the change and
 * whose dates the clock has reached, and waits when all are taken.  Where none
 * has room 22003 is raised; where all are ahead of the clock it locks one of
 * them, for the caller to judge.  Who holds one that another has filled while
 * it was waited for only tries the others, and where those are busy gets
 * LG009.  The caller has begun and appended nothing.
 */
void
bank_settlement_lock(BankLedger *ledger, const char *currency, int64 change,
					 BankAccount *account)
{
	Search		search = {
		.currency = currency, .change = change, .is_first_round = true
	};

	if (take_any(&search, ledger, account))
		return;
	search.is_first_round = false;
	if (!take_any(&search, ledger, account))
		raise_none(&search);
}
