/*
 * The correcting entry of a transfer: the same amount back, once.
 *
 * Promises: a transfer has one reversal at most, and a reversal none; it obeys
 * the rules of every posting but limits.
 *
 * Locks: as a transfer: customers' accounts in the order of their ids, then
 * one settlement account.
 *
 * Raises: LG004, LG005, LG008, LG016, LG017, LG019, LG020; 22003, 22004; 40001
 * as relation.c says.
 */
#include "postgres.h"

#include "account.h"
#include "bank.h"
#include "expiry.h"
#include "ledger.h"
#include "posting.h"
#include "settlement.h"

PG_FUNCTION_INFO_V1(bank_reverse);

static void
raise_not_reversible(const pg_uuid_t *transfer_id, const char *reason)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_NOT_REVERSIBLE),
			 errmsg("already reversed, or not reversible"),
			 errdetail("Transfer %s %s.", bank_uuid_text(transfer_id), reason),
			 errhint("A transfer is reversed once, and a reversal never: make a new transfer.")));
}

static void
find_original(BankLedger *ledger, const pg_uuid_t *transfer_id, BankTransfer *original)
{
	if (!bank_ledger_find_transfer(ledger, transfer_id, original))
		ereport(ERROR,
				(errcode(BANK_ERRCODE_TRANSFER_NOT_FOUND),
				 errmsg("transfer not found"),
				 errdetail("There is no transfer %s.", bank_uuid_text(transfer_id)),
				 errhint("Give the transfer_id that the call to be taken back returned.")));
	if (original->kind == BANK_REVERSAL)
		raise_not_reversible(transfer_id, "is a reversal itself");
}

static void
require_not_reversed(BankLedger *ledger, const pg_uuid_t *transfer_id)
{
	BankTransfer reversal;

	if (bank_ledger_find_reversal(ledger, transfer_id, &reversal))
		raise_not_reversible(transfer_id,
							 psprintf("was reversed by %s",
									  bank_uuid_text(&reversal.transfer_id)));
}

/* Settlement is any of its sixteen accounts, so it is taken when it is due. */
static void
lock_customers(BankLedger *ledger, const BankTransfer *reversal,
			   BankAccount *from, BankAccount *to)
{
	bool		from_customer = !bank_settlement_owns(&reversal->from_account);
	bool		to_customer = !bank_settlement_owns(&reversal->to_account);

	if (from_customer)
		bank_account_find(ledger, &reversal->from_account, from);
	if (to_customer)
		bank_account_find(ledger, &reversal->to_account, to);
	if (from_customer && to_customer)
		bank_posting_lock_pair(ledger, from, to);
	else
		bank_posting_lock(ledger, from_customer ? from : to);
}

static void
lock_settlement(BankLedger *ledger, const BankTransfer *reversal,
				BankAccount *from, BankAccount *to)
{
	if (bank_settlement_owns(&reversal->from_account))
		bank_settlement_lock(ledger, to->currency, -reversal->amount, from);
	if (bank_settlement_owns(&reversal->to_account))
		bank_settlement_lock(ledger, from->currency, reversal->amount, to);
}

static void
post_reversal(BankLedger *ledger, BankTransfer *reversal)
{
	BankAccount from;
	BankAccount to;
	int			refusal;

	lock_customers(ledger, reversal, &from, &to);
	if (bank_posting_find_replay(ledger, reversal))
		return;
	require_not_reversed(ledger, &reversal->reverses.value);
	bank_ledger_begin(ledger);
	lock_settlement(ledger, reversal, &from, &to);
	bank_expiry_end_due(ledger, &from);
	bank_expiry_end_due(ledger, &to);
	refusal = bank_posting_judge(ledger, reversal, &from, &to);
	if (refusal != 0)
		bank_posting_raise(ledger, refusal, reversal, &from, &to);
	bank_posting_append(ledger, reversal, &from, &to);
	bank_ledger_write(ledger);
}

static void
reverse(BankLedger *ledger, BankTransfer *reversal, bool has_key)
{
	BankTransfer original;

	find_original(ledger, &reversal->reverses.value, &original);
	reversal->customer_id = original.customer_id;
	reversal->from_account = original.to_account;
	reversal->to_account = original.from_account;
	reversal->amount = original.amount;
	if (!has_key)
		reversal->transfer_id = bank_uuid_generate(&original.customer_id);
	else if (bank_posting_find_replay(ledger, reversal))
		return;
	post_reversal(ledger, reversal);
}

static Datum
reverse_body(PG_FUNCTION_ARGS)
{
	BankTransfer reversal = {.kind = BANK_REVERSAL};
	bool		has_key = !PG_ARGISNULL(1);
	BankLedger	ledger;

	bank_require_argument(PG_ARGISNULL(0), "transfer_id");
	reversal.reverses = (BankOptionalUuid)
	{
		true, *PG_GETARG_UUID_P(0)
	};
	if (has_key)
		reversal.transfer_id = *PG_GETARG_UUID_P(1);
	bank_ledger_open(&ledger, BANK_OPEN_WRITE);
	reverse(&ledger, &reversal, has_key);
	bank_ledger_close(&ledger);
	return bank_ledger_transfer_datum(&reversal, bank_result_descriptor(fcinfo));
}

/*
 * reverse(transfer_id, reversal_id) returns bank.transfer_row of the reversal;
 * a null reversal_id is made.
 */
Datum
bank_reverse(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.reverse", BANK_OPEN_READ, reverse_body);
}
