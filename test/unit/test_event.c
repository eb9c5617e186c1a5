/* Journal rows into events: order, keys, ids, the JSON byte by byte. */
#include "event.h"

#include "tap.h"

#define PAYER "aaaaaaaa-0000-4000-8000-000000000001"
#define PAYEE "aaaaaaaa-0000-4000-8000-000000000002"
#define HOLDER "cccccccc-0000-4000-8000-000000000003"
#define TRANSFER "dddddddd-0000-4000-8000-000000000004"
#define SETTLEMENT "62616e6b-0000-8000-8000-0042524c0007"
#define AT "2026-01-31T12:00:00.000001Z"

#define WORD(text) ((BridgeValue) {text, sizeof(text) - 1})

static BridgeEvents events;

static void
is_value(int event, const char *expected, const char *name)
{
	events.events[event].value[events.events[event].value_length] = '\0';
	tap_is_text(events.events[event].value, expected, name);
}

static void
is_id(int event, const char *expected, const char *name)
{
	events.events[event].id[events.events[event].id_length] = '\0';
	tap_is_text(events.events[event].id, expected, name);
}

static BridgeJournalRow
transfer_row(void)
{
	return (BridgeJournalRow)
	{
		.table = BRIDGE_JOURNAL_TRANSFER, .transfer =
		{
			.transfer_id =
			{
				TRANSFER
			}, .customer_id =
			{
				HOLDER
			},
				.from_account =
			{
				PAYER
			}, .to_account =
			{
				PAYEE
			},
				.kind = WORD("transfer"), .currency = WORD("BRL"),
				.amount = INT64_C(9007199254740991),
				.from_version = 7, .to_version = 3,
				.from_balance = -1, .to_balance = 1050,
				.from_held = 5, .to_held = 0, .completed_at =
			{
				AT
			}
		}
	};
}

static BridgeJournalRow
event_row(BridgeValue kind)
{
	return (BridgeJournalRow)
	{
		.table = BRIDGE_JOURNAL_ACCOUNT_EVENT, .account_event =
		{
			.account_id =
			{
				PAYER
			}, .customer_id =
			{
				HOLDER
			}, .kind = kind,
				.currency = WORD("BRL"), .status = WORD("active"),
				.version = 1, .occurred_at =
			{
				AT
			}
		}
	};
}

static void
test_transfer(void)
{
	BridgeJournalRow row = transfer_row();

	tap_ok(bridge_event_make(&row, 2, &events), "transfer");
	tap_is_int(events.count, 3, "three events");
	tap_is_text(events.events[0].topic, "bank.transfers", "the transfer first");
	tap_is_text(events.events[0].type, "bank.transfer.completed", "its type");
	tap_is_text(events.events[0].key, HOLDER, "its key is the customer");
	tap_is_text(events.events[0].time, AT, "its time is the entry's");
	is_id(0, TRANSFER, "its id");
	is_value(0, "{\"transfer_id\":\"" TRANSFER "\",\"kind\":\"transfer\","
			 "\"customer_id\":\"" HOLDER "\",\"from_account\":\"" PAYER "\","
			 "\"to_account\":\"" PAYEE "\",\"amount\":9007199254740991,"
			 "\"currency\":\"BRL\",\"epoch\":2,\"completed_at\":\"" AT "\","
			 "\"from_version\":7,\"to_version\":3,"
			 "\"from_balance\":-1,\"to_balance\":1050,\"reverses\":null,\"reference\":null}", "its value");
	tap_is_text(events.events[1].topic, "bank.balances", "then the payer");
	tap_is_text(events.events[1].key, PAYER, "keyed by account");
	is_id(1, PAYER ":2:7", "id of the payer's balance");
	is_value(1, "{\"account_id\":\"" PAYER "\",\"customer_id\":\"" HOLDER "\","
			 "\"currency\":\"BRL\",\"balance\":-1,\"held\":5,"
			 "\"status\":\"active\",\"epoch\":2,\"version\":7,"
			 "\"transfer_id\":\"" TRANSFER "\",\"occurred_at\":\"" AT "\"}",
			 "the payer's balance");
	is_id(2, PAYEE ":2:3", "then the payee");
}

static void
test_settlement(void)
{
	BridgeJournalRow row = transfer_row();

	memcpy(row.transfer.from_account.text, SETTLEMENT, sizeof(SETTLEMENT));
	row.transfer.kind = WORD("deposit");
	tap_ok(bridge_event_make(&row, 1, &events), "deposit");
	is_value(1, "{\"account_id\":\"" SETTLEMENT "\",\"customer_id\":null,"
			 "\"currency\":\"BRL\",\"balance\":-1,\"held\":5,"
			 "\"status\":\"active\",\"epoch\":1,\"version\":7,"
			 "\"transfer_id\":\"" TRANSFER "\",\"occurred_at\":\"" AT "\"}",
			 "settlement has no customer");
	tap_ok(strstr(events.events[2].value, HOLDER) != NULL, "the payee has");
}

static void
test_account(void)
{
	BridgeJournalRow row = event_row(WORD("created"));

	tap_ok(bridge_event_make(&row, 1, &events), "created");
	tap_is_int(events.count, 2, "a balance and an account");
	tap_is_text(events.events[0].topic, "bank.balances", "the balance first");
	tap_ok(strstr(events.events[0].value, "\"transfer_id\":null") != NULL,
		   "no transfer");
	tap_is_text(events.events[1].type, "bank.account.created", "then created");
	is_id(1, PAYER ":1:1:status", "id of the account's record");
	is_value(1, "{\"account_id\":\"" PAYER "\",\"customer_id\":\"" HOLDER "\","
			 "\"currency\":\"BRL\",\"status\":\"active\",\"epoch\":1,"
			 "\"version\":1,\"occurred_at\":\"" AT "\"}", "the account");

	row = event_row(WORD("inactivated"));
	row.account_event.status = WORD("inactive");
	tap_ok(bridge_event_make(&row, 1, &events) && events.count == 2,
		   "inactivated");
	tap_is_text(events.events[1].type, "bank.account.inactivated", "its type");
	row = event_row(WORD("hold_created"));
	tap_ok(bridge_event_make(&row, 1, &events) && events.count == 1,
		   "a hold is a balance alone");
}

static void
test_refusals(void)
{
	BridgeJournalRow row = transfer_row();

	row.transfer.kind = WORD("gift");
	tap_ok(!bridge_event_make(&row, 1, &events), "unknown kind of transfer");
	row = transfer_row();
	row.transfer.currency = WORD("B\"L");
	tap_ok(!bridge_event_make(&row, 1, &events), "currency needs an escape");
	row = event_row(WORD("renamed"));
	tap_ok(!bridge_event_make(&row, 1, &events), "unknown kind of event");
	row = event_row(WORD("created"));
	row.account_event.status = WORD("asleep");
	tap_ok(!bridge_event_make(&row, 1, &events), "unknown status");
	row = (BridgeJournalRow)
	{
		.table = BRIDGE_JOURNAL_HEARTBEAT
	};
	tap_ok(bridge_event_make(&row, 1, &events) && events.count == 0,
		   "a heartbeat is no event");
}

static void
test_reference(void)
{
	BridgeJournalRow row = transfer_row();

	row.transfer.reverses = (BridgeUuid)
	{
		PAYEE
	};
	row.transfer.reference = WORD("a \"b\" \\ \n \303\251 \177");
	tap_ok(bridge_event_make(&row, 1, &events), "with a reference");
	events.events[0].value[events.events[0].value_length] = '\0';
	tap_is_text(strstr(events.events[0].value, "\"reverses\""),
				"\"reverses\":\"" PAYEE "\","
				"\"reference\":\"a \\\"b\\\" \\\\ \\u000a \303\251 \177\"}",
				"is escaped as JSON asks");
}

/* The longest row must fit. */
static void
test_longest(void)
{
	BridgeJournalRow row = transfer_row();
	char		reference[140];

	row.transfer.kind = WORD("hold_posted");
	row.transfer.from_version = INT64_MIN;
	row.transfer.to_version = INT64_MIN;
	row.transfer.from_balance = INT64_MIN;
	row.transfer.to_balance = INT64_MIN;
	row.transfer.from_held = INT64_MIN;
	row.transfer.to_held = INT64_MIN;
	row.transfer.amount = INT64_MIN;
	memset(reference, '\1', sizeof(reference));
	row.transfer.reference = (BridgeValue)
	{
		reference, sizeof(reference)
	};
	row.transfer.reverses = row.transfer.from_account;
	tap_ok(bridge_event_make(&row, INT32_MIN, &events), "longest row");
	tap_ok(strstr(events.events[0].value, "-9223372036854775808") != NULL,
		   "smallest integer");
}

static void
test_seal(void)
{
	BridgeJournalRow row = {
		.table = BRIDGE_JOURNAL_SEAL, .seal =
		{
			.number = 7, .entries = 1000, .root =
			{
				"\0\1\377", 3
			}, .previous =
			{
				"\253", 1
			}, .sealed_at =
			{
				AT
			}
		}
	};

	events.site = "here";
	tap_ok(bridge_event_make(&row, 2, &events) && events.count == 1, "a seal");
	tap_is_text(events.events[0].topic, "bank.seals", "has a topic");
	tap_is_text(events.events[0].type, "bank.ledger.sealed", "a type");
	tap_is_text(events.events[0].key, "here", "the site as its key");
	tap_is_text(events.events[0].time, AT, "the time it was made");
	is_id(0, "seal:2:7", "an id");
	is_value(0, "{\"number\":7,\"entries\":1000,\"root\":\"0001ff\","
			 "\"previous\":\"ab\",\"epoch\":2,\"sealed_at\":\"" AT "\"}",
			 "and digests in hexadecimal");
}

int
main(void)
{
	test_transfer();
	test_settlement();
	test_account();
	test_refusals();
	test_reference();
	test_longest();
	test_seal();
	return tap_done();
}
