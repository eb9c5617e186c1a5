/*
 * Settlement accounts: the other side of deposits and withdrawals.
 *
 * One row would be a lock that all deposits of a currency wait for, so there
 * are sixteen.  A backend begins at a number of its own and takes the first of
 * the sixteen that it can lock without waiting.
 *
 * Locks: one settlement account, always after the customers' accounts, so that
 * no circle can form; an advisory lock on its id while it is made.
 *
 * Their ids are fixed by currency and number: UUIDv8 (RFC 9562), the bytes
 * "bank", the currency and the number.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

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

static bool
lock_creation(const pg_uuid_t *id, bool dont_wait)
{
	uint64		hash = bank_uuid_hash(id);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash,
						 BANK_LOCK_SETTLEMENT);
	return LockAcquire(&tag, ExclusiveLock, false, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}

static void
create_settlement(BankLedger *ledger, const pg_uuid_t *id, const char *currency)
{
	BankAccount account = {.account_id = *id, .is_settlement = true};

	memcpy(account.currency, currency, BANK_CURRENCY_SIZE);
	bank_ledger_create_account(ledger, &account);
}

/* Makes the account at its first use; false when another is making it. */
static bool
find_or_create(BankLedger *ledger, const pg_uuid_t *id, const char *currency,
			   bool dont_wait, BankAccount *account)
{
	if (bank_ledger_find_account(ledger, id, account))
		return true;
	if (!lock_creation(id, dont_wait))
		return false;
	if (!bank_ledger_find_account(ledger, id, account))
		create_settlement(ledger, id, currency);
	return bank_ledger_find_account(ledger, id, account);
}

/* No customer can have one of these ids, unless somebody wrote by hand. */
static void
require_settlement(const BankAccount *account, const char *currency)
{
	if (!account->is_settlement || strcmp(account->currency, currency) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("account %s is no settlement account of %s",
						bank_uuid_text(&account->account_id), currency)));
}

/* Whether the account can take the change and stay within its bounds. */
static bool
has_room(const BankAccount *account, int64 change)
{
	return change < 0 ? account->balance >= -BANK_AMOUNT_MAX - change :
		account->balance <= BANK_AMOUNT_MAX - change;
}

static bool
lock_settlement(BankLedger *ledger, const char *currency, int number,
				bool dont_wait, BankAccount *account)
{
	pg_uuid_t	id = settlement_id(currency, number);

	if (!find_or_create(ledger, &id, currency, dont_wait, account))
		return false;
	require_settlement(account, currency);
	return bank_ledger_lock_account(ledger, account, dont_wait ? LockWaitSkip :
									LockWaitBlock) == BANK_LOCK_TAKEN;
}

/*
 * Locks a settlement account of the currency that has room for the change and
 * whose dates the clock has reached, and waits when all are taken.  Where none
 * has room 22003 is raised; where all are ahead of the clock it locks one of
 * them, for the caller to judge.  The caller has begun and appended nothing.
 */
void
bank_settlement_lock(BankLedger *ledger, const char *currency, int64 change,
					 BankAccount *account)
{
	for (int i = 0; i < 2 * SETTLEMENT_ACCOUNTS; i++)
	{
		bool		is_first_round = i < SETTLEMENT_ACCOUNTS;

		if (lock_settlement(ledger, currency, (MyProcPid + i) % SETTLEMENT_ACCOUNTS,
							is_first_round, account) &&
			has_room(account, change) &&
			!(is_first_round && bank_clock_lead_is_too_far(ledger, account)))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("settlement of %s is out of range", currency),
			 errdetail("No settlement account can change by " INT64_FORMAT ".",
					   change)));
}
