/*
 * Two-phase transfers: money is held first, and posted or released later.
 *
 * Promises: held money is available to nothing else (invariant 3); a hold ends
 * once: posted, voided or expired; a repeated call returns what the first one
 * returned.
 *
 * Locks: both accounts in the order of their ids, waiting: the payee cannot be
 * closed while a hold on its behalf is made.
 *
 * Raises: LG001, LG004 to LG008, LG012, LG015, LG016, LG019, LG020; 22003,
 * 22004, 22023; 40001 as relation.c says.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "account.h"
#include "bank.h"
#include "expiry.h"
#include "limit.h"
#include "posting.h"
#include "row.h"

PG_FUNCTION_INFO_V1(bank_hold);
PG_FUNCTION_INFO_V1(bank_post_hold);
PG_FUNCTION_INFO_V1(bank_void_hold);

/* Columns of bank.hold_row. */
#define ROW_COLUMNS 13

/* A hold with its two accounts, and the event that a call is to return. */
typedef struct HoldCall
{
	BankLedger	ledger;
	BankHold	hold;
	BankAccount from;
	BankAccount to;
	BankAccountEvent event;
} HoldCall;

static void
raise_not_pending(const BankHold *hold, const char *state)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_HOLD_NOT_PENDING),
			 errmsg("hold not pending"),
			 hold->posted_amount.is_set ?
			 errdetail("Hold %s is %s, with amount " INT64_FORMAT ".",
					   bank_uuid_text(&hold->hold_id), state,
					   hold->posted_amount.value) :
			 errdetail("Hold %s is %s.", bank_uuid_text(&hold->hold_id), state),
			 errhint("It has ended for good: make a new hold, or take back by bank.reverse what was posted.")));
}

/* Row type bank.hold_row: the hold as the event left it. */
static Datum
hold_datum(const HoldCall *call, TupleDesc descriptor)
{
	const BankHold *hold = &call->hold;
	const BankAccountEvent *event = &call->event;
	BankHoldState state = event->kind == BANK_ACCOUNT_HOLD_CREATED ?
	BANK_HOLD_PENDING : hold->state;
	BankRow		row = {0};

	bank_require_columns(descriptor, ROW_COLUMNS, "bank.hold_row");
	row.values[0] = UUIDPGetDatum(&hold->hold_id);
	row.values[1] = CStringGetTextDatum(bank_ledger_hold_state_name(state));
	row.values[2] = UUIDPGetDatum(&hold->customer_id);
	row.values[3] = UUIDPGetDatum(&hold->from_account);
	row.values[4] = UUIDPGetDatum(&hold->to_account);
	row.values[5] = Int64GetDatum(hold->amount);
	row.values[6] = CStringGetTextDatum(hold->currency);
	row.values[7] = TimestampTzGetDatum(hold->expires_at);
	bank_row_set_text(&row, 8, hold->reference);
	row.values[9] = Int64GetDatum(event->version);
	row.values[10] = Int64GetDatum(event->balance);
	row.values[11] = Int64GetDatum(event->held);
	row.values[12] = TimestampTzGetDatum(event->occurred_at);
	return HeapTupleGetDatum(heap_form_tuple(descriptor, row.values, row.nulls));
}

static bool
is_same_hold(const BankHold *a, const BankHold *b)
{
	return a->amount == b->amount && a->expires_at == b->expires_at &&
		bank_uuid_compare(&a->from_account, &b->from_account) == 0 &&
		bank_uuid_compare(&a->to_account, &b->to_account) == 0 &&
		(a->reference == NULL) == (b->reference == NULL) &&
		(a->reference == NULL || strcmp(a->reference, b->reference) == 0);
}

static void
raise_key_reused(const pg_uuid_t *key, const char *what)
{
	bank_errors_raise_key_reused(psprintf("Key %s names another %s.",
										  bank_uuid_text(key), what));
}

/* Neither can be missing unless somebody took it away by hand. */
static void
raise_incomplete(const BankHold *hold, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the journal of a hold is not complete"),
			 errdetail("Of hold %s, the %s is missing.",
					   bank_uuid_text(&hold->hold_id), what),
			 errhint("bank.verify says what else does not hold.")));
}

static void
find_event(HoldCall *call, int64 version)
{
	if (!bank_ledger_find_event(&call->ledger, &call->hold.from_account, version,
								&call->event))
		raise_incomplete(&call->hold, "event");
}

/*
 * True when the key made this hold before; the call then has what it was.
 * Raises LG008 when the key is another hold's, or a transfer's.
 */
static bool
find_replay(HoldCall *call)
{
	BankHold	found;
	BankTransfer transfer;

	if (bank_ledger_find_hold(&call->ledger, &call->hold.hold_id, &found))
	{
		if (!is_same_hold(&found, &call->hold))
			raise_key_reused(&found.hold_id, "hold");
		call->hold = found;
		find_event(call, found.created_version);
		return true;
	}
	if (bank_ledger_find_transfer(&call->ledger, &call->hold.hold_id, &transfer))
		raise_key_reused(&transfer.transfer_id, "transfer");
	return false;
}

static void
require_future(TimestampTz expires_at, TimestampTz now)
{
	if (expires_at <= now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("expires_at must be in the future"),
				 errdetail("It is %s.", timestamptz_to_str(expires_at)),
				 errhint("Give 'infinity' for a hold that does not expire.")));
}

/* A hold must respect what its posting would have to, limits included. */
static void
require_possible(HoldCall *call, TimestampTz at)
{
	BankTransfer later = {.kind = BANK_HOLD_POSTED, .amount = call->hold.amount};
	int			refusal = bank_posting_judge(&call->ledger, &later, &call->from,
											 &call->to);

	if (refusal == 0)
		refusal = bank_posting_judge_debit(&call->from, later.amount, at);
	if (refusal != 0)
		bank_posting_raise(&call->ledger, refusal, &later, &call->from, &call->to);
	require_future(call->hold.expires_at,
				   bank_ledger_transfer_date(&call->ledger, &call->from, &call->to));
}

static void
append_hold(HoldCall *call)
{
	BankHold   *hold = &call->hold;
	TimestampTz at = bank_ledger_entry_date(&call->ledger, &call->from);

	require_possible(call, at);
	memcpy(hold->currency, call->from.currency, BANK_CURRENCY_SIZE);
	hold->is_new = true;
	hold->state = BANK_HOLD_PENDING;
	hold->counted_day = bank_limit_day(at);
	call->from.held += hold->amount;
	bank_limit_spend(&call->from, hold->amount, at);
	call->event.kind = BANK_ACCOUNT_HOLD_CREATED;
	bank_ledger_set_hold_terms(hold, &call->event);
	bank_ledger_append_event(&call->ledger, &call->from, &call->event);
	hold->created_version = call->from.version;
	bank_ledger_append_hold(&call->ledger, hold);
}

static void
make_hold(HoldCall *call, bool has_key)
{
	BankLedger *ledger = &call->ledger;
	BankHold   *hold = &call->hold;

	bank_account_find(ledger, &hold->from_account, &call->from);
	bank_account_find(ledger, &hold->to_account, &call->to);
	hold->customer_id = call->from.customer_id;
	if (!has_key)
		hold->hold_id = bank_uuid_generate(&hold->customer_id);
	else if (find_replay(call))
		return;
	bank_posting_require_same_holder(&call->from, &call->to);
	bank_posting_lock_pair(ledger, &call->from, &call->to);
	if (has_key && find_replay(call))
		return;
	bank_ledger_begin(ledger);
	bank_expiry_end_due(ledger, &call->from);
	append_hold(call);
	bank_ledger_write(ledger);
}

static Datum
hold_body(PG_FUNCTION_ARGS)
{
	HoldCall	call = {0};
	bool		has_key = !PG_ARGISNULL(4);

	bank_require_argument(PG_ARGISNULL(0), "from_account");
	bank_require_argument(PG_ARGISNULL(1), "to_account");
	bank_require_argument(PG_ARGISNULL(2), "amount");
	bank_require_argument(PG_ARGISNULL(3), "expires_at");
	call.hold.from_account = *PG_GETARG_UUID_P(0);
	call.hold.to_account = *PG_GETARG_UUID_P(1);
	call.hold.amount = PG_GETARG_INT64(2);
	call.hold.expires_at = PG_GETARG_TIMESTAMPTZ(3);
	if (has_key)
		call.hold.hold_id = *PG_GETARG_UUID_P(4);
	call.hold.reference = bank_posting_reference(fcinfo, 5);
	bank_posting_require_amount(call.hold.amount);
	bank_posting_require_two_accounts(&call.hold.from_account, &call.hold.to_account);

	bank_ledger_open(&call.ledger, BANK_OPEN_WRITE);
	make_hold(&call, has_key);
	bank_ledger_close(&call.ledger);
	return hold_datum(&call, bank_result_descriptor(fcinfo));
}

/*
 * hold(from_account, to_account, amount, expires_at, hold_id, reference)
 * returns bank.hold_row; a null hold_id is made.
 */
Datum
bank_hold(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.hold", BANK_OPEN_READ, hold_body);
}

static void
find_hold(HoldCall *call, const pg_uuid_t *hold_id)
{
	if (!bank_ledger_find_hold(&call->ledger, hold_id, &call->hold))
		ereport(ERROR,
				(errcode(BANK_ERRCODE_TRANSFER_NOT_FOUND),
				 errmsg("hold not found"),
				 errdetail("There is no hold %s.", bank_uuid_text(hold_id)),
				 errhint("Give the hold_id that bank.hold returned.")));
}

/* Locks both accounts and reads what the hold is under their locks. */
static void
lock_hold(HoldCall *call)
{
	pg_uuid_t	hold_id = call->hold.hold_id;

	bank_account_find(&call->ledger, &call->hold.from_account, &call->from);
	bank_account_find(&call->ledger, &call->hold.to_account, &call->to);
	bank_posting_lock_pair(&call->ledger, &call->from, &call->to);
	find_hold(call, &hold_id);
}

/* Raises LG015 unless the hold is live at the date that its posting would have. */
static void
require_live(const HoldCall *call)
{
	const BankHold *hold = &call->hold;

	if (hold->state != BANK_HOLD_PENDING)
		raise_not_pending(hold, bank_ledger_hold_state_name(hold->state));
	if (bank_expiry_is_due(hold, bank_ledger_transfer_date(&call->ledger, &call->from,
														   &call->to)))
		raise_not_pending(hold, "expired");
}

static void
require_part_of(const BankHold *hold, int64 amount)
{
	bank_posting_require_amount(amount);
	if (amount > hold->amount)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount is greater than the hold"),
				 errdetail("Hold %s is of " INT64_FORMAT ", " INT64_FORMAT " is asked.",
						   bank_uuid_text(&hold->hold_id), hold->amount, amount),
				 errhint("Give no more than was held, or null for all of it.")));
}

/* What a hold that was posted for the same amount had become. */
static bool
find_posted(HoldCall *call, BankTransfer *transfer)
{
	if (call->hold.state != BANK_HOLD_DONE ||
		call->hold.posted_amount.value != transfer->amount)
		return false;
	if (!bank_ledger_find_transfer(&call->ledger, &call->hold.hold_id, transfer))
		raise_incomplete(&call->hold, "transfer");
	return true;
}

static void
require_free_key(HoldCall *call)
{
	BankTransfer taken;

	if (bank_ledger_find_transfer(&call->ledger, &call->hold.hold_id, &taken))
		raise_key_reused(&taken.transfer_id, "transfer");
}

/*
 * The whole hold is released by its event, and the transfer then moves what is
 * posted: so its money is there, whatever else was held or paid meanwhile.
 */
static void
append_posting(HoldCall *call, BankTransfer *transfer)
{
	int			refusal;

	call->hold.posted_amount = (BankOptionalAmount)
	{
		true, transfer->amount
	};
	bank_expiry_end(&call->ledger, &call->from, &call->hold, BANK_HOLD_DONE, &call->event);
	refusal = bank_posting_judge(&call->ledger, transfer, &call->from, &call->to);
	if (refusal != 0)
		bank_posting_raise(&call->ledger, refusal, transfer, &call->from, &call->to);
	bank_posting_append(&call->ledger, transfer, &call->from, &call->to);
}

static void
post_hold(HoldCall *call, BankTransfer *transfer, bool is_whole)
{
	if (is_whole)
		transfer->amount = call->hold.amount;
	require_part_of(&call->hold, transfer->amount);
	if (find_posted(call, transfer))
		return;
	lock_hold(call);
	if (find_posted(call, transfer))
		return;
	bank_ledger_begin(&call->ledger);
	require_live(call);
	require_free_key(call);
	bank_expiry_end_due(&call->ledger, &call->from);
	bank_expiry_end_due(&call->ledger, &call->to);
	append_posting(call, transfer);
	bank_ledger_write(&call->ledger);
}

static Datum
post_hold_body(PG_FUNCTION_ARGS)
{
	HoldCall	call = {0};
	BankTransfer transfer = {.kind = BANK_HOLD_POSTED};
	bool		is_whole = PG_ARGISNULL(1);

	bank_require_argument(PG_ARGISNULL(0), "hold_id");
	bank_ledger_open(&call.ledger, BANK_OPEN_WRITE);
	find_hold(&call, PG_GETARG_UUID_P(0));
	transfer.transfer_id = call.hold.hold_id;
	transfer.customer_id = call.hold.customer_id;
	transfer.reference = call.hold.reference;
	if (!is_whole)
		transfer.amount = PG_GETARG_INT64(1);
	post_hold(&call, &transfer, is_whole);
	bank_ledger_close(&call.ledger);
	return bank_ledger_transfer_datum(&transfer, bank_result_descriptor(fcinfo));
}

/*
 * post_hold(hold_id, amount) returns bank.transfer_row, whose key is the
 * hold's; what is not posted is released.  A null amount is the whole.
 */
Datum
bank_post_hold(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.post_hold", BANK_OPEN_READ, post_hold_body);
}

/* True when the hold was voided before; the call then has what it was. */
static bool
find_voided(HoldCall *call)
{
	if (call->hold.state != BANK_HOLD_VOIDED)
		return false;
	find_event(call, call->hold.ended_version.value);
	return true;
}

static void
void_hold(HoldCall *call)
{
	if (find_voided(call))
		return;
	lock_hold(call);
	if (find_voided(call))
		return;
	bank_ledger_begin(&call->ledger);
	require_live(call);
	bank_expiry_end_due(&call->ledger, &call->from);
	bank_expiry_end(&call->ledger, &call->from, &call->hold, BANK_HOLD_VOIDED,
					&call->event);
	bank_ledger_write(&call->ledger);
}

static Datum
void_hold_body(PG_FUNCTION_ARGS)
{
	HoldCall	call = {0};

	bank_require_argument(PG_ARGISNULL(0), "hold_id");
	bank_ledger_open(&call.ledger, BANK_OPEN_WRITE);
	find_hold(&call, PG_GETARG_UUID_P(0));
	void_hold(&call);
	bank_ledger_close(&call.ledger);
	return hold_datum(&call, bank_result_descriptor(fcinfo));
}

/* void_hold(hold_id) returns bank.hold_row; all of it is available again. */
Datum
bank_void_hold(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.void_hold", BANK_OPEN_READ, void_hold_body);
}
