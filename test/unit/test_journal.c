/* Tuples into rows: columns by name, types, nulls, dates. */
#include "journal.h"

#include "tap.h"

static BridgeJournal journal;
static BridgeJournalRow row;

/* The table epoch with its columns in another order and one more. */
static const BridgeRelation epoch_relation = {
	.relation_id = 9, .schema = "bank_ledger", .name = "epoch",
	.column_count = 2, .columns = {{"added_later", 3802}, {"number", 23}}
};

static BridgeTuple
epoch_tuple(void)
{
	return (BridgeTuple)
	{
		.relation_id = 9, .value_count = 2,
			.values =
		{
			{
				"?", 1
			},
			{
				"\0\0\0\5", 4
			}
		}
	};
}

static void
test_shape(void)
{
	BridgeRelation relation = epoch_relation;
	BridgeTuple tuple = epoch_tuple();

	tap_ok(!bridge_journal_read(&journal, &tuple, &row),
		   "a row before its relation is refused");
	tap_ok(bridge_journal_learn(&journal, &relation), "relation is learnt");
	tap_ok(bridge_journal_read(&journal, &tuple, &row), "row is read");
	tap_is_int(row.table, BRIDGE_JOURNAL_EPOCH, "table");
	tap_is_int(row.epoch.number, 5, "column is found by its name");
	tuple.value_count = 1;
	tap_ok(!bridge_journal_read(&journal, &tuple, &row),
		   "a row with another number of columns is refused");
	bridge_journal_reset(&journal);
	tuple = epoch_tuple();
	tap_ok(!bridge_journal_read(&journal, &tuple, &row),
		   "shapes are forgotten");
}

static void
test_refusals(void)
{
	BridgeRelation relation = epoch_relation;
	BridgeTuple tuple = epoch_tuple();

	relation.columns[1].type = 20;
	tap_ok(!bridge_journal_learn(&journal, &relation), "another type");
	relation = epoch_relation;
	relation.columns[1].name = "no";
	tap_ok(!bridge_journal_learn(&journal, &relation), "column is missing");
	relation = epoch_relation;
	relation.schema = "public";
	tap_ok(!bridge_journal_learn(&journal, &relation), "another schema");
	relation = epoch_relation;
	relation.name = "account";
	tap_ok(!bridge_journal_learn(&journal, &relation), "unknown table");
	tap_is_text(journal.error, "unknown table bank_ledger.account in the stream",
				"the error names it");

	relation = epoch_relation;
	bridge_journal_learn(&journal, &relation);
	tuple.values[1] = (BridgeValue)
	{
		"\0\0\5", 3
	};
	tap_ok(!bridge_journal_read(&journal, &tuple, &row), "short integer");
	tuple.values[1] = (BridgeValue)
	{
		"\0\0\0\0\5", 5
	};
	tap_ok(!bridge_journal_read(&journal, &tuple, &row), "long integer");
	tuple.values[1] = (BridgeValue)
	{
		NULL, 0
	};
	tap_ok(!bridge_journal_read(&journal, &tuple, &row),
		   "null where none may be");
	tap_is_text(journal.error,
				"value of column epoch.number is not understood",
				"the error names the column");
}

/* A seal's digests are bytes, a NUL among them. */
static void
test_bytes(void)
{
	const BridgeRelation relation = {
		.relation_id = 8, .schema = "bank_ledger", .name = "seal",
		.column_count = 5, .columns = {
			{"number", 23}, {"entries", 20}, {"root", 17}, {"previous", 17},
			{"sealed_at", 1184}
		}
	};
	const BridgeTuple tuple = {
		.relation_id = 8, .value_count = 5, .values = {
			{"\0\0\0\7", 4}, {"\0\0\0\0\0\0\3\350", 8}, {"\0\1", 2}, {"\2", 1},
			{"\0\0\0\0\0\0\0\0", 8}
		}
	};

	tap_ok(bridge_journal_learn(&journal, &relation), "table of seals");
	tap_ok(bridge_journal_read(&journal, &tuple, &row), "a seal is read");
	tap_is_int(row.table, BRIDGE_JOURNAL_SEAL, "as a seal");
	tap_is_int(row.seal.number, 7, "its number");
	tap_is_int(row.seal.entries, 1000, "its entries");
	tap_ok(row.seal.root.length == 2 && row.seal.root.data[1] == 1, "its root");
}

static void
is_time(int64_t microseconds, const char *expected)
{
	BridgeTime	time;

	if (bridge_journal_format_time(microseconds, &time))
		tap_is_text(time.text, expected, expected);
	else
		tap_ok(false, expected);
}

#define DAY INT64_C(86400000000)

static void
test_time(void)
{
	BridgeTime	time;

	is_time(0, "2000-01-01T00:00:00.000000Z");
	is_time(-1, "1999-12-31T23:59:59.999999Z");
	is_time(59 * DAY, "2000-02-29T00:00:00.000000Z");
	is_time(60 * DAY, "2000-03-01T00:00:00.000000Z");
	is_time(36584 * DAY, "2100-03-01T00:00:00.000000Z");
	is_time(36583 * DAY, "2100-02-28T00:00:00.000000Z");
	is_time(INT64_C(817288392123456), "2025-11-24T08:33:12.123456Z");
	is_time(-730119 * DAY, "0001-01-01T00:00:00.000000Z");
	is_time(2921940 * DAY - 1, "9999-12-31T23:59:59.999999Z");
	tap_ok(!bridge_journal_format_time(2921940 * DAY, &time), "year 10000");
	tap_ok(!bridge_journal_format_time(-730119 * DAY - 1, &time), "year 0");
	tap_ok(!bridge_journal_format_time(INT64_MAX, &time), "infinity");
	tap_ok(!bridge_journal_format_time(INT64_MIN, &time), "-infinity");
}

static void
test_columns(void)
{
	const char *name;
	uint32_t	type;

	tap_ok(bridge_journal_column(BRIDGE_JOURNAL_TRANSFER, 0, &name, &type),
		   "transfer has columns");
	tap_is_text(name, "transfer_id", "the first is its id");
	tap_ok(!bridge_journal_column(BRIDGE_JOURNAL_HEARTBEAT, 0, &name, &type),
		   "of heartbeat none is needed");
	tap_is_text(bridge_journal_table_name(BRIDGE_JOURNAL_ACCOUNT_EVENT),
				"account_event", "name of a table");
}

int
main(void)
{
	test_shape();
	test_refusals();
	test_bytes();
	test_time();
	test_columns();
	return tap_done();
}
