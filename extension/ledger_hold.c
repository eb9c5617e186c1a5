/*
 * Holds in their table.  A hold changes only under the lock of its paying
 * account, so its own row is never waited for.
 *
 * Raises: LG008 where the key of a new hold is taken.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "utils/builtins.h"

#include "bank.h"
#include "ledger.h"
#include "row.h"

enum
{
	HOLD_ID,
	HOLD_CUSTOMER_ID,
	HOLD_FROM_ACCOUNT,
	HOLD_TO_ACCOUNT,
	HOLD_AMOUNT,
	HOLD_CURRENCY,
	HOLD_EXPIRES_AT,
	HOLD_REFERENCE,
	HOLD_STATE,
	HOLD_POSTED_AMOUNT,
	HOLD_COUNTED_DAY,
	HOLD_CREATED_VERSION,
	HOLD_ENDED_VERSION
};

static const BankColumn columns[] = {
	[HOLD_ID] = {"hold_id", UUIDOID},
	[HOLD_CUSTOMER_ID] = {"customer_id", UUIDOID},
	[HOLD_FROM_ACCOUNT] = {"from_account", UUIDOID},
	[HOLD_TO_ACCOUNT] = {"to_account", UUIDOID},
	[HOLD_AMOUNT] = {"amount", INT8OID},
	[HOLD_CURRENCY] = {"currency", TEXTOID},
	[HOLD_EXPIRES_AT] = {"expires_at", TIMESTAMPTZOID},
	[HOLD_REFERENCE] = {"reference", TEXTOID, true},
	[HOLD_STATE] = {"state", TEXTOID},
	[HOLD_POSTED_AMOUNT] = {"posted_amount", INT8OID, true},
	[HOLD_COUNTED_DAY] = {"counted_day", DATEOID},
	[HOLD_CREATED_VERSION] = {"created_version", INT8OID},
	[HOLD_ENDED_VERSION] = {"ended_version", INT8OID, true},
};

static const BankShape shape = {"hold", columns, lengthof(columns)};

static const char *const state_names[] = {
	[BANK_HOLD_PENDING] = "pending",
	[BANK_HOLD_DONE] = "posted",
	[BANK_HOLD_VOIDED] = "voided",
	[BANK_HOLD_EXPIRED] = "expired",
};

BankRelation *
bank_ledger_hold_table(BankLedger *ledger)
{
	if (ledger->hold.relation == NULL)
		bank_relation_open(&ledger->hold, &shape, ledger->mode);
	return &ledger->hold;
}

/* The state as the table names it. */
const char *
bank_ledger_hold_state_name(BankHoldState state)
{
	return state_names[state];
}

/* Sets what an event says of the hold that it is about. */
void
bank_ledger_set_hold_terms(const BankHold *hold, BankAccountEvent *event)
{
	event->transfer_id = (BankOptionalUuid)
	{
		true, hold->hold_id
	};
	event->amount = (BankOptionalAmount)
	{
		true, hold->amount
	};
	event->counterparty = (BankOptionalUuid)
	{
		true, hold->to_account
	};
	event->due_at = (BankOptionalTime)
	{
		true, hold->expires_at
	};
	event->reference = hold->reference;
}

static void
read_hold(const BankRow *row, BankHold *hold)
{
	hold->hold_id = *DatumGetUUIDP(row->values[HOLD_ID]);
	hold->customer_id = *DatumGetUUIDP(row->values[HOLD_CUSTOMER_ID]);
	hold->from_account = *DatumGetUUIDP(row->values[HOLD_FROM_ACCOUNT]);
	hold->to_account = *DatumGetUUIDP(row->values[HOLD_TO_ACCOUNT]);
	hold->amount = DatumGetInt64(row->values[HOLD_AMOUNT]);
	bank_row_currency(row, HOLD_CURRENCY, hold->currency);
	hold->expires_at = DatumGetTimestampTz(row->values[HOLD_EXPIRES_AT]);
	hold->reference = bank_row_optional_text(row, HOLD_REFERENCE);
	hold->state = bank_row_word(row, HOLD_STATE, state_names, lengthof(state_names));
	hold->posted_amount = bank_row_amount(row, HOLD_POSTED_AMOUNT);
	hold->counted_day = DatumGetDateADT(row->values[HOLD_COUNTED_DAY]);
	hold->created_version = DatumGetInt64(row->values[HOLD_CREATED_VERSION]);
	hold->ended_version = bank_row_amount(row, HOLD_ENDED_VERSION);
	hold->is_new = false;
	hold->place = row->slot->tts_tid;
}

/* A callback; the context is the hold. */
static bool
take_hold(const BankRow *row, void *context)
{
	read_hold(row, context);
	return true;
}

/* The hold as it is committed now; false: there is none. */
bool
bank_ledger_find_hold(BankLedger *ledger, const pg_uuid_t *id, BankHold *hold)
{
	Datum		key = UUIDPGetDatum(id);

	return bank_relation_find(bank_ledger_hold_table(ledger), &key, 1, take_hold,
							  hold);
}

static bool
collect_hold(const BankRow *row, void *context)
{
	List	  **holds = context;
	BankHold   *hold = palloc(sizeof(BankHold));

	read_hold(row, hold);
	*holds = lappend(*holds, hold);
	return true;
}

static List *
scan_holds(BankLedger *ledger, BankScan scan)
{
	List	   *holds = NIL;

	scan.callback = collect_hold;
	scan.context = &holds;
	bank_relation_scan(bank_ledger_hold_table(ledger), &scan);
	return holds;
}

/* The pending holds that reserve money of an account. */
List *
bank_ledger_find_holds_from(BankLedger *ledger, const pg_uuid_t *account_id)
{
	BankScan	scan = {
		.index = "hold_pending_from_idx", .column = HOLD_FROM_ACCOUNT,
		.value = UUIDPGetDatum(account_id)
	};

	return scan_holds(ledger, scan);
}

/* The same as the running query sees them, of a ledger opened to read. */
List *
bank_ledger_find_visible_holds_from(BankLedger *ledger, const pg_uuid_t *account_id)
{
	BankScan	scan = {
		.index = "hold_pending_from_idx", .column = HOLD_FROM_ACCOUNT,
		.value = UUIDPGetDatum(account_id), .as_visible = true
	};

	return scan_holds(ledger, scan);
}

/* The pending holds that are to pay an account. */
List *
bank_ledger_find_holds_to(BankLedger *ledger, const pg_uuid_t *account_id)
{
	BankScan	scan = {
		.index = "hold_pending_to_idx", .column = HOLD_TO_ACCOUNT,
		.value = UUIDPGetDatum(account_id)
	};

	return scan_holds(ledger, scan);
}

typedef struct DueVisit
{
	BankPayerVisitor visitor;
	void	   *context;
} DueVisit;

static bool
visit_payer(const BankRow *row, void *context)
{
	const DueVisit *visit = context;

	return visit->visitor(DatumGetUUIDP(row->values[HOLD_FROM_ACCOUNT]), visit->context);
}

/*
 * Calls back with the payer of each pending hold that expires at a time or
 * before it, the earliest first, until the callback has enough.
 */
void
bank_ledger_visit_payers_due(BankLedger *ledger, TimestampTz at,
							 BankPayerVisitor visitor, void *context)
{
	DueVisit	visit = {visitor, context};
	BankScan	scan = {
		.index = "hold_pending_due_idx", .column = HOLD_EXPIRES_AT,
		.strategy = BTLessEqualStrategyNumber, .value = TimestampTzGetDatum(at),
		.callback = visit_payer, .context = &visit
	};

	bank_relation_scan(bank_ledger_hold_table(ledger), &scan);
}

/* A BankRowMaker; the context is the hold. */
static void
make_row(int i, void *context, BankRow *row)
{
	const BankHold *hold = context;

	row->values[HOLD_ID] = UUIDPGetDatum(&hold->hold_id);
	row->values[HOLD_CUSTOMER_ID] = UUIDPGetDatum(&hold->customer_id);
	row->values[HOLD_FROM_ACCOUNT] = UUIDPGetDatum(&hold->from_account);
	row->values[HOLD_TO_ACCOUNT] = UUIDPGetDatum(&hold->to_account);
	row->values[HOLD_AMOUNT] = Int64GetDatum(hold->amount);
	row->values[HOLD_CURRENCY] = CStringGetTextDatum(hold->currency);
	row->values[HOLD_EXPIRES_AT] = TimestampTzGetDatum(hold->expires_at);
	bank_row_set_text(row, HOLD_REFERENCE, hold->reference);
	row->values[HOLD_STATE] = CStringGetTextDatum(state_names[hold->state]);
	bank_row_set_amount(row, HOLD_POSTED_AMOUNT, &hold->posted_amount);
	row->values[HOLD_COUNTED_DAY] = DateADTGetDatum(hold->counted_day);
	row->values[HOLD_CREATED_VERSION] = Int64GetDatum(hold->created_version);
	bank_row_set_amount(row, HOLD_ENDED_VERSION, &hold->ended_version);
}

/* Only a session that locked the row by hand can be met here. */
static void
lock_hold(BankLedger *ledger, BankHold *hold)
{
	bool		may_wait = ledger->mode == BANK_OPEN_WRITE;
	ItemPointerData place = hold->place;

	if (bank_relation_lock(bank_ledger_hold_table(ledger), &place, false,
						   may_wait ? LockWaitBlock : LockWaitSkip, bank_row_take_place,
						   &hold->place) != BANK_LOCK_TAKEN)
		bank_errors_raise_in_progress(psprintf("The row of hold %s is locked by another transaction.",
											   bank_uuid_text(&hold->hold_id)));
}

/* Writes an appended hold: a new one, or over the version found. */
void
bank_ledger_write_hold(BankLedger *ledger, BankHold *hold)
{
	BankRelation *table = bank_ledger_hold_table(ledger);
	BankRow		row = {0};

	if (hold->is_new)
	{
		bank_relation_insert_keyed(table, make_row, hold, NULL, 1);
		return;
	}
	lock_hold(ledger, hold);
	make_row(0, hold, &row);
	bank_relation_update(table, &hold->place, &row);
}
