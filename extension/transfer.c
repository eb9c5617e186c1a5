/*
 * Money moves: between two accounts of one holder, in, and out.
 *
 * Order of every call: arguments, accounts (unlocked: they give the rights and
 * the order of locks), key, locks, key again, state, posting.  So a replay
 * succeeds whatever became of the accounts, and of two calls with one key and
 * the same arguments the second finds the first one's row when it has the
 * lock.  It need look only where the account has another version by then: the
 * first one's row has raised it.
 *
 * Promises: invariants 1, 3, 5, 7 and 8 for what it posts; a call that raises
 * changed nothing.
 *
 * Locks: customers' accounts in the order of their ids, waiting; then one
 * settlement account (settlement.c).
 *
 * Raises: LG001, LG004 to LG008, LG012, LG019, LG020; 22004, 22023, 22003; 40001
 * as relation.c says.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "account.h"
#include "bank.h"
#include "expiry.h"
#include "ledger.h"
#include "posting.h"
#include "settlement.h"

PG_FUNCTION_INFO_V1(bank_transfer);
PG_FUNCTION_INFO_V1(bank_deposit);
PG_FUNCTION_INFO_V1(bank_withdraw);

/* Ends what is due, judges and posts between accounts that are locked. */
static void
post(BankLedger *ledger, BankTransfer *transfer, BankAccount *from, BankAccount *to)
{
	int			refusal;

	bank_expiry_end_due(ledger, from);
	bank_expiry_end_due(ledger, to);
	refusal = bank_posting_judge(ledger, transfer, from, to);
	if (refusal != 0)
		bank_posting_raise(ledger, refusal, transfer, from, to);
	bank_posting_append(ledger, transfer, from, to);
	bank_ledger_write(ledger);
}

static void
post_transfer(BankLedger *ledger, BankTransfer *transfer, bool has_key)
{
	BankAccount from;
	BankAccount to;
	int64		found_version;

	bank_account_find(ledger, &transfer->from_account, &from);
	bank_account_find(ledger, &transfer->to_account, &to);
	found_version = from.version;
	transfer->customer_id = from.customer_id;
	if (!has_key)
		transfer->transfer_id = bank_uuid_generate(&from.customer_id);
	else if (bank_posting_find_replay(ledger, transfer))
		return;
	bank_posting_require_same_holder(&from, &to);
	bank_posting_lock_pair(ledger, &from, &to);
	if (has_key && from.version != found_version &&
		bank_posting_find_replay(ledger, transfer))
		return;
	bank_ledger_begin(ledger);
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
	int64		found_version;

	bank_account_find(ledger, id, account);
	found_version = account->version;
	transfer->customer_id = account->customer_id;
	if (!has_key)
		transfer->transfer_id = bank_uuid_generate(&account->customer_id);
	else if (bank_posting_find_replay(ledger, transfer))
		return false;
	bank_posting_lock(ledger, account);
	if (has_key && account->version != found_version &&
		bank_posting_find_replay(ledger, transfer))
		return false;
	if (!account->is_active)
		bank_account_raise_inactive(id);
	bank_ledger_begin(ledger);
	return true;
}

static void
post_deposit(BankLedger *ledger, BankTransfer *transfer, bool has_key)
{
	BankAccount from;
	BankAccount to;

	if (!begin_outside(ledger, transfer, &transfer->to_account, has_key, &to))
		return;
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
	transfer.reference = bank_posting_reference(fcinfo, 4);
	bank_posting_require_amount(transfer.amount);
	bank_posting_require_two_accounts(&transfer.from_account, &transfer.to_account);

	bank_ledger_open(&ledger, BANK_OPEN_WRITE);
	post_transfer(&ledger, &transfer, has_key);
	bank_ledger_close(&ledger);
	return bank_ledger_transfer_datum(&transfer, bank_result_descriptor(fcinfo));
}

/*
 * transfer(from_account, to_account, amount, transfer_id, reference) returns
 * bank.transfer_row; a null transfer_id is made.
 */
Datum
bank_transfer(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.transfer", BANK_OPEN_READ, transfer_body);
}

/* What deposit and withdraw share: (account_id, amount, transfer_id, reference). */
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
	transfer.reference = bank_posting_reference(fcinfo, 3);
	bank_posting_require_amount(transfer.amount);

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

/* deposit(account_id, amount, transfer_id, reference) returns bank.transfer_row. */
Datum
bank_deposit(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.deposit", BANK_OPEN_READ, deposit_body);
}

/* withdraw(account_id, amount, transfer_id, reference) returns bank.transfer_row. */
Datum
bank_withdraw(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.withdraw", BANK_OPEN_READ, withdraw_body);
}
