/*
 * The entries of one account, judged in the order of their versions: each by
 * what the account was after the entry before it, and the last by the
 * account's own row.
 *
 * Promises:  after a finding the chain goes on from what the entry itself says,
 *            so that one change is not found again in every later entry.
 * Memory:    a chain holds no pointers.
 *
 * Not here: how entries come to be in order (entries.c).
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/timestamp.h"

#include "bank.h"
#include "chain.h"
#include "clock_lead.h"
#include "settlement.h"

static BankEntry
entry_of_payer(const BankTransfer *transfer)
{
	return (BankEntry)
	{
		.account_id = transfer->from_account,
			.version = transfer->from_version,
			.change = -transfer->amount,
			.balance = transfer->from_balance,
			.held = transfer->from_held,
			.previous = &transfer->from_previous,
			.digest = &transfer->from_digest,
			.is_payer = true
	};
}

static BankEntry
entry_of_payee(const BankTransfer *transfer)
{
	return (BankEntry)
	{
		.account_id = transfer->to_account,
			.version = transfer->to_version,
			.change = transfer->amount,
			.balance = transfer->to_balance,
			.held = transfer->to_held,
			.previous = &transfer->to_previous,
			.digest = &transfer->to_digest
	};
}

static BankEntry
entry_of_event(const BankAccountEvent *event)
{
	return (BankEntry)
	{
		.account_id = event->account_id,
			.version = event->version,
			.kind = bank_ledger_event_kind_name(event->kind),
			.balance = event->balance,
			.held = event->held,
			.dated = event->occurred_at,
			.period = event->period,
			.previous = &event->previous_transfer,
			.digest = &event->digest
	};
}

/* One entry of a journal row: a transfer's payer or payee, or an event. */
void
bank_chain_entry_of(const BankJournalRow *row, bool is_payer, BankEntry *entry)
{
	if (row->is_transfer)
	{
		*entry = is_payer ? entry_of_payer(&row->transfer) :
			entry_of_payee(&row->transfer);
		entry->kind = bank_ledger_transfer_kind_name(row->transfer.kind);
		entry->dated = row->transfer.completed_at;
		entry->period = row->transfer.period;
	}
	else
		*entry = entry_of_event(&row->event);
	entry->row = row;
}

/* A chain before its first entry; account is null where there is no row. */
void
bank_chain_begin(BankChain *chain, const pg_uuid_t *account_id,
				 const BankAccount *account)
{
	memset(chain, 0, sizeof(*chain));
	chain->account_id = *account_id;
	chain->closed_at = DT_NOEND;
	chain->dated = DT_NOBEGIN;
	chain->limit_due = DT_NOBEGIN;
	if (account == NULL)
		return;
	chain->is_known = true;
	chain->is_settlement = account->is_settlement;
	chain->customer_id = account->customer_id;
	memcpy(chain->currency, account->currency, BANK_CURRENCY_SIZE);
	chain->opened_at = account->opened_at;
	if (!account->is_active)
		chain->closed_at = account->closed_at;
}

static void
set_limit(BankChain *chain, const BankAccountEvent *set)
{
	if (chain->limit_due <= set->occurred_at)
		chain->limit_before = chain->limit;
	chain->limit = set->amount;
	chain->limit_due = set->due_at.value;
}

/* Makes the chain what it is after an entry, unjudged. */
void
bank_chain_continue(BankChain *chain, const BankEntry *entry)
{
	chain->version = entry->version;
	chain->balance = entry->balance;
	chain->held = entry->held;
	chain->dated = entry->dated;
	chain->digest = *entry->digest;
	if (entry->row->is_transfer)
	{
		chain->last_transfer.is_set = true;
		chain->last_transfer.value = entry->row->transfer.transfer_id;
	}
	else
	{
		chain->last_transfer = *entry->previous;
		chain->is_closed = entry->row->event.kind == BANK_ACCOUNT_INACTIVATED;
		if (entry->row->event.kind == BANK_ACCOUNT_LIMIT_SET)
			set_limit(chain, &entry->row->event);
		if (entry->row->event.kind == BANK_ACCOUNT_CLOCK_ACCEPTED)
			chain->clock_accepted_at = (BankOptionalTime)
		{
			true, entry->dated
		};
	}
}

static const char *
describe_account(BankJudge *judge, const pg_uuid_t *account_id)
{
	BankAccount account;
	const char *fault;

	if (!bank_reader_find_account(judge->journal, account_id, &account, &fault))
		return "the account has no row";
	return psprintf("the account version " INT64_FORMAT ", balance " INT64_FORMAT
					", held " INT64_FORMAT ", updated %s, closed %s",
					account.version, account.balance, account.held,
					bank_finding_time(account.updated_at),
					account.is_active ? "never" : bank_finding_time(account.closed_at));
}

static const char *
describe_entry(const BankEntry *entry)
{
	if (entry == NULL)
		return "no entry";
	return psprintf("version " INT64_FORMAT " (%s, " INT64_FORMAT ") has balance "
					INT64_FORMAT ", held " INT64_FORMAT ", date %s",
					entry->version, entry->kind, entry->change, entry->balance,
					entry->held, bank_finding_time(entry->dated));
}

static void
report(BankJudge *judge, char invariant, const char *broken,
	   const BankChain *chain, const BankEntry *entry)
{
	const char *subject = psprintf("account %s", bank_uuid_text(&chain->account_id));
	const char *detail =
	psprintf("%s: %s; before it version " INT64_FORMAT ", balance " INT64_FORMAT
			 ", held " INT64_FORMAT ", date %s; %s",
			 broken, describe_entry(entry), chain->version, chain->balance,
			 chain->held, bank_finding_time(chain->dated),
			 describe_account(judge, &chain->account_id));

	bank_finding_add(judge->findings, invariant, subject, detail);
}

/* Reports where a condition is true; the words are those of the finding. */
#define BROKEN_IF(condition, invariant, words) \
	do { \
		if (condition) \
			report(judge, (invariant), (words), chain, entry); \
	} while (0)

static bool
same_digest(const BankDigest *a, const BankDigest *b)
{
	return memcmp(a->bytes, b->bytes, BANK_DIGEST_LENGTH) == 0;
}

/* What a digest says if the entry before it is what the chain has. */
static bool
digest_follows(BankJudge *judge, const BankChain *chain, const BankEntry *entry)
{
	BankDigest	after;

	if (!entry->row->is_transfer)
		bank_digest_event(&entry->row->event, &chain->digest, &after);
	else
		bank_digest_transfer_side(&entry->row->transfer,
								  &chain->digest, &after);
	return same_digest(&after, entry->digest);
}

static bool
is_event(const BankEntry *entry, BankAccountEventKind kind)
{
	return !entry->row->is_transfer && entry->row->event.kind == kind;
}

static void
judge_place(BankJudge *judge, const BankChain *chain, const BankEntry *entry)
{
	bool		follows = entry->version == chain->version + 1;
	bool		is_creation = is_event(entry, BANK_ACCOUNT_CREATED);

	BROKEN_IF(!chain->is_known && chain->version == 0,
			  '2', "there is no such account");
	BROKEN_IF(!follows, '2', "the version does not follow the one before");
	BROKEN_IF((entry->version == 1) != is_creation,
			  '2', "only the first entry creates the account");
	BROKEN_IF(follows && !bank_optional_uuid_equal(entry->previous, &chain->last_transfer),
			  '2', "the entry does not point to the transfer before it");
	BROKEN_IF(follows && !digest_follows(judge, chain, entry),
			  '2', "the digest is not that of the entry and the one before");
	BROKEN_IF(entry->period < 1 || entry->period > judge->open_period,
			  '2', "the seal period has not begun");
}

/* What the entry adds to held; holds change it, and nothing else. */
static int64
change_of_held(const BankEntry *entry)
{
	const BankAccountEvent *event = &entry->row->event;

	if (entry->row->is_transfer)
		return 0;
	switch (event->kind)
	{
		case BANK_ACCOUNT_HOLD_CREATED:
			return event->amount.value;
		case BANK_ACCOUNT_HOLD_POSTED:
		case BANK_ACCOUNT_HOLD_VOIDED:
		case BANK_ACCOUNT_HOLD_EXPIRED:
			return -event->amount.value;
		case BANK_ACCOUNT_CREATED:
		case BANK_ACCOUNT_INACTIVATED:
		case BANK_ACCOUNT_LIMIT_SET:
		case BANK_ACCOUNT_CLOCK_ACCEPTED:
			break;
	}
	return 0;
}

static bool
adds_up(int64 before, int64 change, int64 after)
{
	int64		sum;

	return !pg_add_s64_overflow(before, change, &sum) && sum == after;
}

static void
judge_money(BankJudge *judge, const BankChain *chain, const BankEntry *entry)
{
	BROKEN_IF(!adds_up(chain->balance, entry->change, entry->balance),
			  '2', "the balance is not the one before plus the change");
	BROKEN_IF(entry->balance > BANK_AMOUNT_MAX || entry->balance < -BANK_AMOUNT_MAX,
			  '2', "the balance is out of range");
	BROKEN_IF(!adds_up(chain->held, change_of_held(entry), entry->held),
			  change_of_held(entry) == 0 ? '2' : '3',
			  change_of_held(entry) == 0 ? "held differs from the one before" :
			  "held is not the one before with the hold");
	BROKEN_IF(chain->is_known && !chain->is_settlement && entry->balance < entry->held,
			  '3', "less than nothing is available");
}

static void
judge_dates(BankJudge *judge, const BankChain *chain, const BankEntry *entry)
{
	bool		opens = is_event(entry, BANK_ACCOUNT_CREATED);
	bool		closes = is_event(entry, BANK_ACCOUNT_INACTIVATED);

	BROKEN_IF(opens && chain->is_known && entry->dated != chain->opened_at,
			  '4', "the account was not opened at its creation");
	BROKEN_IF(entry->row->is_transfer && entry->dated >= chain->closed_at,
			  '4', "the transfer is not dated before the closing");
	BROKEN_IF(entry->dated < chain->dated,
			  '4', "the entry is dated before the one before it");
	BROKEN_IF(closes && entry->dated != chain->closed_at,
			  '4', "the account was not closed at its closing");
	BROKEN_IF(chain->is_closed, '4', "an entry follows the closing");
	BROKEN_IF(chain->is_closed && entry->row->is_transfer,
			  '5', "money was moved after the closing");
}

static bool
is_of_account(const BankChain *chain, const BankAccountEvent *event)
{
	bool		same_holder = chain->is_settlement ? !event->customer_id.is_set :
	event->customer_id.is_set &&
	bank_uuid_compare(&event->customer_id.value, &chain->customer_id) == 0;

	return same_holder && strcmp(event->currency, chain->currency) == 0 &&
		event->is_active == (event->kind != BANK_ACCOUNT_INACTIVATED);
}

/* Judges the next entry of a chain, and goes on from it. */
void
bank_chain_judge(BankJudge *judge, BankChain *chain, const BankEntry *entry)
{
	judge_place(judge, chain, entry);
	judge_money(judge, chain, entry);
	judge_dates(judge, chain, entry);
	BROKEN_IF(chain->is_known && !entry->row->is_transfer &&
			  !is_of_account(chain, &entry->row->event),
			  '2', "holder, currency or status is not the account's");
	bank_chain_continue(chain, entry);
}

/*
 * Whether the limits are those that were set.  One that waits for its day may do
 * so after it has come, until an entry asks.  The day is the holder's, which
 * differs from that of UTC by one at most, and whose zone may be another today.
 */
static bool
are_limits_as_set(const BankAccount *account, const BankChain *chain)
{
	int32		day = (int32) (chain->limit_due / USECS_PER_DAY);

	if (!account->next_limit_day.is_set)
		return bank_optional_amount_equal(&account->daily_limit, &chain->limit) &&
			chain->limit_due <= chain->dated;
	return bank_optional_amount_equal(&account->next_limit, &chain->limit) &&
		bank_optional_amount_equal(&account->daily_limit, &chain->limit_before) &&
		abs(account->next_limit_day.value - day) <= 1;
}

/* Judges the account's row by the last entry. */
void
bank_chain_finish(BankJudge *judge, const BankChain *chain,
				  const BankAccount *account)
{
	const BankEntry *entry = NULL;

	BROKEN_IF(chain->version == 0, '2', "the account has no journal");
	if (chain->version == 0)
		return;
	BROKEN_IF(account->version != chain->version ||
			  account->balance != chain->balance || account->held != chain->held,
			  '2', "the account is not what its last entry says");
	BROKEN_IF(!bank_optional_uuid_equal(&account->last_transfer, &chain->last_transfer),
			  '2', "the account does not point to its last transfer");
	BROKEN_IF(!same_digest(&account->digest, &chain->digest),
			  '2', "the account's digest is not that of its last entry");
	BROKEN_IF(!chain->is_cut && !are_limits_as_set(account, chain),
			  '2', "the account's limits are not those last set");
	BROKEN_IF(!chain->is_cut &&
			  !bank_optional_time_equal(&account->clock_accepted_at, &chain->clock_accepted_at),
			  '4', "the date accepted ahead of the clock is not the one last accepted");
	BROKEN_IF(account->updated_at != chain->dated,
			  '4', "the account was not updated at its last entry");
	BROKEN_IF(bank_clock_lead_is_too_far(&judge->journal->ledger, account),
			  '4', "the account is dated ahead of the clock, and nobody has accepted it");
	BROKEN_IF(account->is_active == chain->is_closed,
			  '6', "the status is not what the last entry says");
	BROKEN_IF(!account->is_active && (chain->balance != 0 || chain->held != 0),
			  '6', "the account is closed and not empty");
}

static bool
is_same_holder(const BankTransfer *transfer, const BankChain *chain)
{
	return chain->is_known && !chain->is_settlement &&
		bank_uuid_compare(&transfer->customer_id, &chain->customer_id) == 0;
}

static bool
holders_agree(const BankTransfer *transfer, const BankChain *payer,
			  const BankChain *payee)
{
	if (payer->is_settlement)
		return (transfer->kind == BANK_DEPOSIT || transfer->kind == BANK_REVERSAL) &&
			is_same_holder(transfer, payee);
	if (payee->is_settlement)
		return (transfer->kind == BANK_WITHDRAWAL || transfer->kind == BANK_REVERSAL) &&
			is_same_holder(transfer, payer);
	return transfer->kind != BANK_DEPOSIT && transfer->kind != BANK_WITHDRAWAL &&
		is_same_holder(transfer, payer) && is_same_holder(transfer, payee);
}

static bool
currencies_agree(const BankTransfer *transfer, const BankChain *payer,
				 const BankChain *payee)
{
	return payer->is_known && payee->is_known &&
		strcmp(transfer->currency, payer->currency) == 0 &&
		strcmp(transfer->currency, payee->currency) == 0;
}

static const char *
describe_holder(const BankChain *chain)
{
	if (!chain->is_known)
		return "nobody";
	return chain->is_settlement ? "settlement" : bank_uuid_text(&chain->customer_id);
}

static void
report_transfer(BankJudge *judge, char invariant, const char *broken,
				const BankTransfer *transfer, const BankChain *payer,
				const BankChain *payee)
{
	const char *subject = psprintf("transfer %s", bank_uuid_text(&transfer->transfer_id));
	const char *detail =
	psprintf("%s: %s of " INT64_FORMAT " %s for customer %s, from %s of %s to %s of %s",
			 broken, bank_ledger_transfer_kind_name(transfer->kind),
			 transfer->amount, transfer->currency,
			 bank_uuid_text(&transfer->customer_id),
			 bank_uuid_text(&transfer->from_account), describe_holder(payer),
			 bank_uuid_text(&transfer->to_account), describe_holder(payee));

	bank_finding_add(judge->findings, invariant, subject, detail);
}

/* Any settlement account of the currency may be the other side. */
static bool
is_same_party(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return bank_uuid_compare(a, b) == 0 ||
		(bank_settlement_owns(a) && bank_settlement_owns(b));
}

/* What a reversal reverses is a transfer, turned round; null: it is so. */
static const char *
judge_reversal(BankJudge *judge, const BankTransfer *reversal)
{
	BankJournalRow row;
	const BankTransfer *original = &row.transfer;

	if ((reversal->kind == BANK_REVERSAL) != reversal->reverses.is_set)
		return "only a reversal reverses, and it always does";
	if (!reversal->reverses.is_set)
		return NULL;
	if (!bank_reader_find_transfer(judge->journal, &reversal->reverses.value, &row))
		return "what it reverses does not exist";
	if (original->kind == BANK_REVERSAL || original->amount != reversal->amount ||
		strcmp(original->currency, reversal->currency) != 0 ||
		!is_same_party(&original->from_account, &reversal->to_account) ||
		!is_same_party(&original->to_account, &reversal->from_account))
		return "it is not what it reverses, turned round";
	return NULL;
}

/* Judges what a transfer shows by itself; of the chains only the accounts. */
void
bank_chain_judge_transfer(BankJudge *judge, const BankTransfer *transfer,
						  const BankChain *payer, const BankChain *payee)
{
	const char *broken = judge_reversal(judge, transfer);

	if (broken != NULL)
		report_transfer(judge, '8', broken, transfer, payer, payee);
	if (transfer->amount <= 0 ||
		bank_uuid_compare(&transfer->from_account, &transfer->to_account) == 0)
		report_transfer(judge, '1', "nothing is moved", transfer, payer, payee);
	if (!currencies_agree(transfer, payer, payee))
		report_transfer(judge, '1', "the currency is not that of both accounts",
						transfer, payer, payee);
	if (!holders_agree(transfer, payer, payee))
		report_transfer(judge, '7', "the accounts are not of one holder",
						transfer, payer, payee);
}
