/*
 * Money moves: between two accounts of one holder, in, and out.
 *
 * Order of every call: arguments, accounts (unlocked: they give the rights and
 * the order of locks), key, locks, key again, state, posting.  So a replay
 * succeeds whatever became of the accounts, and of two calls with one key and
 * the same arguments the second finds the first one's row when it has the
 * lock.
 *
 * Promises: invariants 1, 3, 5, 7 and 8 for what it posts; a call that raises
 * changed nothing.
 *
 * Locks: customers' accounts in the order of their ids, waiting; then one
 * settlement account (settlement.c).
 *
 * Raises: LG001, LG004 to LG008, LG019; 22004, 22023, 22003; 40001 as
 * relation.c says.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "account.h"
#include "bank.h"
#include "ledger.h"
#include "settlement.h"

PG_FUNCTION_INFO_V1(bank_transfer);
PG_FUNCTION_INFO_V1(bank_deposit);
PG_FUNCTION_INFO_V1(bank_withdraw);

static void
require_amount(int64 amount)
{
	if (amount <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount must be greater than zero"),
				 errdetail("The amount is " INT64_FORMAT ".", amount)));
	if (amount > BANK_AMOUNT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("amount is out of range"),
				 errdetail("The amount is " INT64_FORMAT ", the largest allowed " INT64_FORMAT ".",
						   amount, BANK_AMOUNT_MAX)));
}

static void
require_two_accounts(const pg_uuid_t *from, const pg_uuid_t *to)
{
	if (bank_uuid_compare(from, to) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot transfer from an account to itself"),
				 errdetail("Both accounts are %s.", bank_uuid_text(from))));
}

static void
require_same_holder(const BankAccount *from, const BankAccount *to)
{
	if (bank_uuid_compare(&from->customer_id, &to->customer_id) != 0)
		ereport(ERROR,
				(errcode(BANK_ERRCODE_DIFFERENT_HOLDERS),
				 errmsg("different holders"),
				 errdetail("Accounts %s and %s belong to different customers.",
						   bank_uuid_text(&from->account_id),
						   bank_uuid_text(&to->account_id))));
}

static void
require_active(const BankAccount *account)
{
	if (!account->is_active)
		ereport(ERROR,
				(errcode(BANK_ERRCODE_ACCOUNT_INACTIVE),
				 errmsg("account inactive"),
				 errdetail("Account %s is closed.",
						   bank_uuid_text(&account->account_id))));
}

static void
require_same_currency(const BankAccount *from, const BankAccount *to)
{
	if (strcmp(from->currency, to->currency) != 0)
		ereport(ERROR,
				(errcode(BANK_ERRCODE_CURRENCY_MISMATCH),
				 errmsg("currency mismatch"),
				 errdetail("Account %s is in %s, account %s in %s.",
						   bank_uuid_text(&from->account_id), from->currency,
						   bank_uuid_text(&to->account_id), to->currency)));
}

static void
require_funds(const BankAccount *from, int64 amount)
{
	int64		available = from->balance - from->held;

	if (available < amount)
		ereport(ERROR,
				(errcode(BANK_ERRCODE_INSUFFICIENT_FUNDS),
				 errmsg("insufficient funds"),
				 errdetail("Account %s has " INT64_FORMAT " available, " INT64_FORMAT " is needed.",
						   bank_uuid_text(&from->account_id), available, amount)));
}

/* Only what comes in can take a customer's account past its bound. */
static void
require_room(const BankAccount *to, int64 amount)
{
	if (to->balance > BANK_AMOUNT_MAX - amount)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance would be out of range"),
				 errdetail("Account %s has " INT64_FORMAT ", and no balance may exceed " INT64_FORMAT ".",
						   bank_uuid_text(&to->account_id), to->balance,
						   BANK_AMOUNT_MAX)));
}

static void
lock_customer_account(BankLedger *ledger, BankAccount *account)
{
	pg_uuid_t	id = account->account_id;

	if (bank_ledger_lock_account(ledger, account, LockWaitBlock) != BANK_LOCK_TAKEN)
		bank_account_raise_not_found(&id);
}

static void
lock_pair(BankLedger *ledger, BankAccount *a, BankAccount *b)
{
	bool		a_first = bank_uuid_compare(&a->account_id, &b->account_id) < 0;

	lock_customer_account(ledger, a_first ? a : b);
	lock_customer_account(ledger, a_first ? b : a);
}

/*
 * The side of a deposit or withdrawal that the caller did not choose is not
 * compared.
 */
static bool
is_replay_of(const BankTransfer *posted, const BankTransfer *asked)
{
	return posted->kind == asked->kind &&
		posted->amount == asked->amount &&
		(asked->kind == BANK_DEPOSIT ||
		 bank_uuid_compare(&posted->from_account, &asked->from_account) == 0) &&
		(asked->kind == BANK_WITHDRAWAL ||
		 bank_uuid_compare(&posted->to_account, &asked->to_account) == 0);
}

/*
 * True when the key was used before for the same; asked becomes what was
 * posted then.  Raises LG008 when it was used for something else.
 */
static bool
find_replay(BankLedger *ledger, BankTransfer *asked)
{
	BankTransfer posted;

	if (!bank_ledger_find_transfer(ledger, &asked->transfer_id, &posted))
		return false;
	if (!is_replay_of(&posted, asked))
		ereport(ERROR,
				(errcode(BANK_ERRCODE_KEY_REUSED),
				 errmsg("key reused with other arguments"),
				 errdetail("Key %s names another transfer.",
						   bank_uuid_text(&asked->transfer_id)),
				 errhint("Use a new key for another operation.")));
	*asked = posted;
	return true;
}

/* Posts between accounts that are locked and may pay and receive. */
static void
post(BankLedger *ledger, BankTransfer *transfer, BankAccount *from,
	 BankAccount *to)
{
	BankAccount *accounts[] = {from, to};

	bank_ledger_apply(transfer, from, to, bank_ledger_entry_date(from, to));
	bank_ledger_write(ledger, &transfer, 1, accounts, lengthof(accounts));
}

static void
post_transfer(BankLedger *ledger, BankTransfer *transfer, bool has_key)
{
	BankAccount from;
	BankAccount to;

	bank_account_find(ledger, &transfer->from_account, &from);
	bank_account_find(ledger, &transfer->to_account, &to);
	transfer->customer_id = from.customer_id;
	if (!has_key)
		transfer->transfer_id = bank_uuid_generate(&from.customer_id);
	else if (find_replay(ledger, transfer))
		return;
	require_same_holder(&from, &to);
	lock_pair(ledger, &from, &to);
	if (has_key && find_replay(ledger, transfer))
		return;
	require_active(&from);
	require_active(&to);
	require_same_currency(&from, &to);
	require_funds(&from, transfer->amount);
	require_room(&to, transfer->amount);
	post(ledger, transfer, &from, &to);
}

/*
 * Finds and locks the customer's side of a deposit or withdrawal; false when
 * the key was used for the same before.
 */
static bool
begin_outside(BankLedger *ledger, BankTransfer *transfer, const pg_uuid_t *id,
			  bool has_key, BankAccount *account)
{
	bank_account_find(ledger, id, account);
	transfer->customer_id = account->customer_id;
	if (!has_key)
		transfer->transfer_id = bank_uuid_generate(&account->customer_id);
	else if (find_replay(ledger, transfer))
		return false;
	lock_customer_account(ledger, account);
	if (has_key && find_replay(ledger, transfer))
		return false;
	require_active(account);
	return true;
}

static void
post_deposit(BankLedger *ledger, BankTransfer *transfer, bool has_key)
{
	BankAccount from;
	BankAccount to;

	if (!begin_outside(ledger, transfer, &transfer->to_account, has_key, &to))
		return;
	require_room(&to, transfer->amount);
	bank_settlement_lock(ledger, to.currency, -transfer->amount, &from);
	post(ledger, transfer, &from, &to);
}

static void
post_withdrawal(BankLedger *ledger, BankTransfer *transfer, bool has_key)
{
	BankAccount from;
	BankAccount to;

	if (!begin_outside(ledger, transfer, &transfer->from_account, has_key, &from))
		return;
	require_funds(&from, transfer->amount);
	bank_settlement_lock(ledger, from.currency, transfer->amount, &to);
	post(ledger, transfer, &from, &to);
}

static Datum
transfer_body(PG_FUNCTION_ARGS)
{
	BankTransfer transfer = {.kind = BANK_TRANSFER};
	bool		has_key = !PG_ARGISNULL(3);
	BankLedger	ledger;

	bank_require_argument(PG_ARGISNULL(0), "from_account");
	bank_require_argument(PG_ARGISNULL(1), "to_account");
	bank_require_argument(PG_ARGISNULL(2), "amount");
	transfer.from_account = *PG_GETARG_UUID_P(0);
	transfer.to_account = *PG_GETARG_UUID_P(1);
	transfer.amount = PG_GETARG_INT64(2);
	if (has_key)
		transfer.transfer_id = *PG_GETARG_UUID_P(3);
	require_amount(transfer.amount);
	require_two_accounts(&transfer.from_account, &transfer.to_account);

	bank_ledger_open(&ledger, BANK_OPEN_WRITE);
	post_transfer(&ledger, &transfer, has_key);
	bank_ledger_close(&ledger);
	return bank_ledger_transfer_datum(&transfer, bank_result_descriptor(fcinfo));
}

/*
 * transfer(from_account, to_account, amount, transfer_id) returns
 * bank.transfer_row; a null transfer_id is made.
 */
Datum
bank_transfer(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.transfer", BANK_OPEN_READ, transfer_body);
}

/* What deposit and withdraw share: (account_id, amount, transfer_id). */
static Datum
post_outside(FunctionCallInfo fcinfo, BankTransferKind kind,
			 void (*post_kind) (BankLedger *, BankTransfer *, bool))
{
	BankTransfer transfer = {.kind = kind};
	bool		has_key = !PG_ARGISNULL(2);
	BankLedger	ledger;

	bank_require_argument(PG_ARGISNULL(0), "account_id");
	bank_require_argument(PG_ARGISNULL(1), "amount");
	transfer.from_account = *PG_GETARG_UUID_P(0);
	transfer.to_account = *PG_GETARG_UUID_P(0);
	transfer.amount = PG_GETARG_INT64(1);
	if (has_key)
		transfer.transfer_id = *PG_GETARG_UUID_P(2);
	require_amount(transfer.amount);

	bank_ledger_open(&ledger, BANK_OPEN_WRITE);
	post_kind(&ledger, &transfer, has_key);
	bank_ledger_close(&ledger);
	return bank_ledger_transfer_datum(&transfer, bank_result_descriptor(fcinfo));
}

static Datum
deposit_body(PG_FUNCTION_ARGS)
{
	return post_outside(fcinfo, BANK_DEPOSIT, post_deposit);
}

static Datum
withdraw_body(PG_FUNCTION_ARGS)
{
	return post_outside(fcinfo, BANK_WITHDRAWAL, post_withdrawal);
}

/* deposit(account_id, amount, transfer_id) returns bank.transfer_row. */
Datum
bank_deposit(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.deposit", BANK_OPEN_READ, deposit_body);
}

/* withdraw(account_id, amount, transfer_id) returns bank.transfer_row. */
Datum
bank_withdraw(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.withdraw", BANK_OPEN_READ, withdraw_body);
}
