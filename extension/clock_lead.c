/*
 * A clock that is behind the ledger.
 *
 * Dates of an account never step back, so after a clock that ran ahead its
 * entries would all be dated where that clock had been.  A lead of up to
 * bank.max_clock_lead is let pass; beyond it an account takes no posting until
 * the clock has come up, or an operator accepts the lead.
 *
 * Promises: entries of an account are dated in the order of their versions
 * (invariant 4); what accept_clock lets pass is journalled.
 *
 * Raises: LG001, LG004, LG019, LG020; 42501; 22004.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "account.h"
#include "bank.h"
#include "clock_lead.h"
#include "rights.h"

PG_FUNCTION_INFO_V1(bank_accept_clock);

/*
 * Whether the account's last date is too far ahead of the clock, and nobody
 * has accepted it.  What is posted meanwhile has that same date; a closed
 * account takes no posting anyhow.
 */
bool
bank_clock_lead_is_too_far(const BankLedger *ledger, const BankAccount *account)
{
	TimestampTz bound = TimestampTzPlusMilliseconds(ledger->now,
													bank_max_clock_lead * INT64CONST(1000));

	return account->is_active && account->updated_at > bound &&
		!(account->clock_accepted_at.is_set &&
		  account->clock_accepted_at.value >= account->updated_at);
}

void
bank_clock_lead_raise(const BankAccount *account)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_CLOCK_BEHIND),
			 errmsg("clock behind the ledger"),
			 errdetail("The last entry of account %s is dated %s, more than %d s from now.",
					   bank_uuid_text(&account->account_id),
					   timestamptz_to_str(account->updated_at), bank_max_clock_lead),
			 errhint("Set the clock right and wait, or let the account go on by bank.accept_clock.")));
}

/* Any account: settlement's may be ahead as well. */
static void
find_account(BankLedger *ledger, const pg_uuid_t *id, BankAccount *account)
{
	if (!bank_ledger_find_account(ledger, id, account) ||
		bank_ledger_lock_account(ledger, account, LockWaitBlock) != BANK_LOCK_TAKEN)
		bank_account_raise_not_found(id);
	if (!account->is_active)
		bank_account_raise_inactive(id);
}

static void
accept(BankLedger *ledger, BankAccount *account)
{
	BankAccountEvent accepted = {.kind = BANK_ACCOUNT_CLOCK_ACCEPTED};

	if (!bank_clock_lead_is_too_far(ledger, account))
		return;
	account->clock_accepted_at.is_set = true;
	account->clock_accepted_at.value = account->updated_at;
	bank_ledger_append_event(ledger, account, &accepted);
	bank_ledger_write(ledger);
}

static Datum
accept_clock_body(PG_FUNCTION_ARGS)
{
	BankLedger	ledger;
	BankAccount account;

	bank_require_argument(PG_ARGISNULL(0), "account_id");
	bank_rights_require_operator("accept a date ahead of the clock");
	bank_ledger_open(&ledger, BANK_OPEN_WRITE);
	find_account(&ledger, PG_GETARG_UUID_P(0), &account);
	bank_ledger_begin(&ledger);
	accept(&ledger, &account);
	bank_ledger_close(&ledger);
	return bank_ledger_account_datum(&account, bank_result_descriptor(fcinfo));
}

/*
 * accept_clock(account_id) returns bank.account_row: the account may be posted
 * to although its last date is ahead of the clock.  Does nothing where it is
 * not.
 */
Datum
bank_accept_clock(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.accept_clock", BANK_OPEN_READ,
							accept_clock_body);
}
