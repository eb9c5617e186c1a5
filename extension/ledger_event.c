/*
 * The journal's table of what happened to an account other than a transfer.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "bank.h"
#include "ledger.h"
#include "row.h"

enum
{
	EVENT_ACCOUNT_ID,
	EVENT_VERSION,
	EVENT_CUSTOMER_ID,
	EVENT_KIND,
	EVENT_CURRENCY,
	EVENT_STATUS,
	EVENT_BALANCE,
	EVENT_HELD,
	EVENT_TRANSFER_ID,
	EVENT_AMOUNT,
	EVENT_COUNTERPARTY,
	EVENT_DUE_AT,
	EVENT_REFERENCE,
	EVENT_OCCURRED_AT,
	EVENT_ACTOR,
	EVENT_PREVIOUS_TRANSFER,
	EVENT_DIGEST,
	EVENT_PERIOD
};

static const BankColumn columns[] = {
	[EVENT_ACCOUNT_ID] = {"account_id", UUIDOID},
	[EVENT_VERSION] = {"version", INT8OID},
	[EVENT_CUSTOMER_ID] = {"customer_id", UUIDOID, true},
	[EVENT_KIND] = {"kind", TEXTOID},
	[EVENT_CURRENCY] = {"currency", TEXTOID},
	[EVENT_STATUS] = {"status", TEXTOID},
	[EVENT_BALANCE] = {"balance", INT8OID},
	[EVENT_HELD] = {"held", INT8OID},
	[EVENT_TRANSFER_ID] = {"transfer_id", UUIDOID, true},
	[EVENT_AMOUNT] = {"amount", INT8OID, true},
	[EVENT_COUNTERPARTY] = {"counterparty", UUIDOID, true},
	[EVENT_DUE_AT] = {"due_at", TIMESTAMPTZOID, true},
	[EVENT_REFERENCE] = {"reference", TEXTOID, true},
	[EVENT_OCCURRED_AT] = {"occurred_at", TIMESTAMPTZOID},
	[EVENT_ACTOR] = {"actor", TEXTOID},
	[EVENT_PREVIOUS_TRANSFER] = {"previous_transfer", UUIDOID, true},
	[EVENT_DIGEST] = {"digest", BYTEAOID},
	[EVENT_PERIOD] = {"period", INT4OID},
};

static const BankShape shape = {
	BANK_TABLE_ACCOUNT_EVENT, columns, lengthof(columns)
};

static const char *const kind_names[] = {
	[BANK_ACCOUNT_CREATED] = "created",
	[BANK_ACCOUNT_INACTIVATED] = "inactivated",
	[BANK_ACCOUNT_HOLD_CREATED] = "hold_created",
	[BANK_ACCOUNT_HOLD_POSTED] = "hold_posted",
	[BANK_ACCOUNT_HOLD_VOIDED] = "hold_voided",
	[BANK_ACCOUNT_HOLD_EXPIRED] = "hold_expired",
	[BANK_ACCOUNT_LIMIT_SET] = "limit_set",
	[BANK_ACCOUNT_CLOCK_ACCEPTED] = "clock_accepted",
};

BankRelation *
bank_ledger_event_table(BankLedger *ledger)
{
	if (ledger->event.relation == NULL)
		bank_relation_open(&ledger->event, &shape, ledger->mode);
	return &ledger->event;
}

/* The kind as the journal names it. */
const char *
bank_ledger_event_kind_name(BankAccountEventKind kind)
{
	return kind_names[kind];
}

static void
set_event(const BankAccountEvent *event, BankRow *row)
{
	row->values[EVENT_ACCOUNT_ID] = UUIDPGetDatum(&event->account_id);
	row->values[EVENT_VERSION] = Int64GetDatum(event->version);
	bank_row_set_uuid(row, EVENT_CUSTOMER_ID, &event->customer_id);
	row->values[EVENT_KIND] = CStringGetTextDatum(kind_names[event->kind]);
	row->values[EVENT_CURRENCY] = CStringGetTextDatum(event->currency);
	row->values[EVENT_STATUS] =
		CStringGetTextDatum(event->is_active ? "active" : "inactive");
	row->values[EVENT_BALANCE] = Int64GetDatum(event->balance);
	row->values[EVENT_HELD] = Int64GetDatum(event->held);
	bank_row_set_uuid(row, EVENT_TRANSFER_ID, &event->transfer_id);
	bank_row_set_amount(row, EVENT_AMOUNT, &event->amount);
	bank_row_set_uuid(row, EVENT_COUNTERPARTY, &event->counterparty);
	bank_row_set_time(row, EVENT_DUE_AT, &event->due_at);
	bank_row_set_text(row, EVENT_REFERENCE, event->reference);
	row->values[EVENT_OCCURRED_AT] = TimestampTzGetDatum(event->occurred_at);
	row->values[EVENT_ACTOR] = CStringGetTextDatum(event->actor);
	bank_row_set_uuid(row, EVENT_PREVIOUS_TRANSFER, &event->previous_transfer);
	bank_row_set_digest(row, EVENT_DIGEST, &event->digest);
	row->values[EVENT_PERIOD] = Int32GetDatum(event->period);
}

/* Reads a row of the table; its texts are in the current memory context. */
void
bank_ledger_read_event(const BankRow *row, BankAccountEvent *event)
{
	event->account_id = *DatumGetUUIDP(row->values[EVENT_ACCOUNT_ID]);
	event->version = DatumGetInt64(row->values[EVENT_VERSION]);
	event->customer_id = bank_row_uuid(row, EVENT_CUSTOMER_ID);
	event->kind = bank_row_word(row, EVENT_KIND, kind_names, lengthof(kind_names));
	bank_row_currency(row, EVENT_CURRENCY, event->currency);
	event->is_active = bank_row_is_active(row, EVENT_STATUS);
	event->balance = DatumGetInt64(row->values[EVENT_BALANCE]);
	event->held = DatumGetInt64(row->values[EVENT_HELD]);
	event->transfer_id = bank_row_uuid(row, EVENT_TRANSFER_ID);
	event->amount = bank_row_amount(row, EVENT_AMOUNT);
	event->counterparty = bank_row_uuid(row, EVENT_COUNTERPARTY);
	event->due_at = bank_row_time(row, EVENT_DUE_AT);
	event->reference = bank_row_optional_text(row, EVENT_REFERENCE);
	event->occurred_at = DatumGetTimestampTz(row->values[EVENT_OCCURRED_AT]);
	event->actor = bank_row_text(row, EVENT_ACTOR);
	event->previous_transfer = bank_row_uuid(row, EVENT_PREVIOUS_TRANSFER);
	event->digest = bank_row_digest(row, EVENT_DIGEST);
	event->period = DatumGetInt32(row->values[EVENT_PERIOD]);
}

/* A callback; the context is the event. */
static bool
take_event(const BankRow *row, void *context)
{
	bank_ledger_read_event(row, context);
	return true;
}

/* The event of a version, as committed now; false: that is no event. */
bool
bank_ledger_find_event(BankLedger *ledger, const pg_uuid_t *account_id,
					   int64 version, BankAccountEvent *event)
{
	Datum		key[] = {UUIDPGetDatum(account_id), Int64GetDatum(version)};

	return bank_relation_find(bank_ledger_event_table(ledger), key, lengthof(key),
							  take_event, event);
}

/* The event of a version, as the running query sees it; false: that is none. */
bool
bank_ledger_find_visible_event(BankLedger *ledger, const pg_uuid_t *account_id,
							   int64 version, BankAccountEvent *event)
{
	Datum		key[] = {UUIDPGetDatum(account_id), Int64GetDatum(version)};

	return bank_relation_find_visible(bank_ledger_event_table(ledger), key,
									  lengthof(key), take_event, event);
}

/* Inserts the appended events, in the order of their appending. */
void
bank_ledger_write_events(BankLedger *ledger)
{
	ListCell   *cell;

	foreach(cell, ledger->events)
	{
		BankRow		row = {0};

		set_event(lfirst(cell), &row);
		bank_relation_insert(bank_ledger_event_table(ledger), &row);
	}
}
