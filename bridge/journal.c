/*
 * Tuples into rows of the journal.
 */
#include "journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

/* Object ids of built-in types, fixed for ever. */
#define TYPE_BYTEA 17
#define TYPE_INT8 20
#define TYPE_INT4 23
#define TYPE_TEXT 25
#define TYPE_TIMESTAMPTZ 1184
#define TYPE_UUID 2950

#define UUID_BYTES 16
#define SECONDS_PER_DAY 86400
#define MICROSECONDS 1000000

/* Days from 0000-03-01, where the calendar's arithmetic begins, to 2000-01-01. */
#define DAYS_TO_2000 730425
#define DAYS_PER_ERA 146097

typedef struct TableEntry
{
	const char *name;
	const BridgeJournalColumn *columns;
	int			column_count;
} TableEntry;

#define EVENT(member) offsetof(BridgeJournalRow, account_event.member)

static const BridgeJournalColumn account_event_columns[] = {
	{"account_id", TYPE_UUID, false, EVENT(account_id)},
	{"customer_id", TYPE_UUID, true, EVENT(customer_id)},
	{"kind", TYPE_TEXT, false, EVENT(kind)},
	{"version", TYPE_INT8, false, EVENT(version)},
	{"currency", TYPE_TEXT, false, EVENT(currency)},
	{"status", TYPE_TEXT, false, EVENT(status)},
	{"balance", TYPE_INT8, false, EVENT(balance)},
	{"held", TYPE_INT8, false, EVENT(held)},
	{"transfer_id", TYPE_UUID, true, EVENT(transfer_id)},
	{"occurred_at", TYPE_TIMESTAMPTZ, false, EVENT(occurred_at)},
};

#define TRANSFER(member) offsetof(BridgeJournalRow, transfer.member)

static const BridgeJournalColumn transfer_columns[] = {
	{"transfer_id", TYPE_UUID, false, TRANSFER(transfer_id)},
	{"kind", TYPE_TEXT, false, TRANSFER(kind)},
	{"customer_id", TYPE_UUID, false, TRANSFER(customer_id)},
	{"from_account", TYPE_UUID, false, TRANSFER(from_account)},
	{"to_account", TYPE_UUID, false, TRANSFER(to_account)},
	{"amount", TYPE_INT8, false, TRANSFER(amount)},
	{"currency", TYPE_TEXT, false, TRANSFER(currency)},
	{"from_version", TYPE_INT8, false, TRANSFER(from_version)},
	{"to_version", TYPE_INT8, false, TRANSFER(to_version)},
	{"from_balance", TYPE_INT8, false, TRANSFER(from_balance)},
	{"to_balance", TYPE_INT8, false, TRANSFER(to_balance)},
	{"from_held", TYPE_INT8, false, TRANSFER(from_held)},
	{"to_held", TYPE_INT8, false, TRANSFER(to_held)},
	{"completed_at", TYPE_TIMESTAMPTZ, false, TRANSFER(completed_at)},
	{"reverses", TYPE_UUID, true, TRANSFER(reverses)},
	{"reference", TYPE_TEXT, true, TRANSFER(reference)},
};

static const BridgeJournalColumn epoch_columns[] = {
	{"number", TYPE_INT4, false, offsetof(BridgeJournalRow, epoch.number)},
};

#define SEAL(member) offsetof(BridgeJournalRow, seal.member)

static const BridgeJournalColumn seal_columns[] = {
	{"number", TYPE_INT4, false, SEAL(number)},
	{"entries", TYPE_INT8, false, SEAL(entries)},
	{"root", TYPE_BYTEA, false, SEAL(root)},
	{"previous", TYPE_BYTEA, false, SEAL(previous)},
	{"sealed_at", TYPE_TIMESTAMPTZ, false, SEAL(sealed_at)},
};

#define COLUMNS(array) array, (int) (sizeof(array) / sizeof((array)[0]))

static const TableEntry tables[BRIDGE_JOURNAL_TABLES] = {
	[BRIDGE_JOURNAL_ACCOUNT_EVENT] = {BANK_TABLE_ACCOUNT_EVENT,
	COLUMNS(account_event_columns)},
	[BRIDGE_JOURNAL_TRANSFER] = {BANK_TABLE_TRANSFER, COLUMNS(transfer_columns)},
	[BRIDGE_JOURNAL_HEARTBEAT] = {BANK_TABLE_HEARTBEAT, NULL, 0},
	[BRIDGE_JOURNAL_EPOCH] = {BANK_TABLE_EPOCH, COLUMNS(epoch_columns)},
	[BRIDGE_JOURNAL_SEAL] = {BANK_TABLE_SEAL, COLUMNS(seal_columns)},
};

void
bridge_journal_reset(BridgeJournal *journal)
{
	memset(journal, 0, sizeof(*journal));
}

const char *
bridge_journal_table_name(BridgeJournalTable table)
{
	return tables[table].name;
}

bool
bridge_journal_column(BridgeJournalTable table, int column, const char **name,
					  uint32_t *type)
{
	if (column >= tables[table].column_count)
		return false;
	*name = tables[table].columns[column].name;
	*type = tables[table].columns[column].type;
	return true;
}

static int
find_table(const BridgeRelation *relation)
{
	if (strcmp(relation->schema, BANK_LEDGER_SCHEMA) != 0)
		return -1;
	for (int i = 0; i < BRIDGE_JOURNAL_TABLES; i++)
		if (strcmp(relation->name, tables[i].name) == 0)
			return i;
	return -1;
}

bool
bridge_journal_is_ours(const BridgeRelation *relation)
{
	return find_table(relation) >= 0;
}

/* Finds where in the relation a column we need is. */
static bool
place_column(BridgeJournal *journal, BridgeJournalShape *shape,
			 const BridgeJournalColumn *column, const BridgeRelation *relation)
{
	for (int i = 0; i < relation->column_count; i++)
	{
		if (strcmp(relation->columns[i].name, column->name) != 0)
			continue;
		if (relation->columns[i].type != column->type)
		{
			snprintf(journal->error, sizeof(journal->error),
					 "column %s.%s has type %" PRIu32 ", not %" PRIu32,
					 relation->name, column->name, relation->columns[i].type,
					 column->type);
			return false;
		}
		shape->columns[i] = column;
		return true;
	}
	snprintf(journal->error, sizeof(journal->error),
			 "column %s.%s is missing in the stream", relation->name,
			 column->name);
	return false;
}

bool
bridge_journal_learn(BridgeJournal *journal, const BridgeRelation *relation)
{
	int			table = find_table(relation);
	BridgeJournalShape *shape;

	if (table < 0)
	{
		snprintf(journal->error, sizeof(journal->error),
				 "unknown table %s.%s in the stream", relation->schema,
				 relation->name);
		return false;
	}
	shape = &journal->shapes[table];
	memset(shape, 0, sizeof(*shape));
	for (int i = 0; i < tables[table].column_count; i++)
		if (!place_column(journal, shape, &tables[table].columns[i], relation))
			return false;
	shape->column_count = relation->column_count;
	shape->relation_id = relation->relation_id;
	return true;
}

static bool
read_uuid(const BridgeValue *value, BridgeUuid *uuid)
{
	static const char digits[] = "0123456789abcdef";
	char	   *text = uuid->text;

	if (value->length != UUID_BYTES)
		return false;
	for (int i = 0; i < UUID_BYTES; i++)
	{
		unsigned char byte = (unsigned char) value->data[i];

		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[byte >> 4];
		*text++ = digits[byte & 15];
	}
	*text = '\0';
	return true;
}

static void
put_digits(char *target, int64_t number, int digits)
{
	while (digits > 0)
	{
		target[--digits] = (char) ('0' + number % 10);
		number /= 10;
	}
}

/*
 * The calendar counts from the first of March of a year divisible by 400, so
 * that the day a leap year adds is the last one of its year.
 */
static bool
put_date(char *target, int64_t days)
{
	int64_t		era = days / DAYS_PER_ERA;
	int64_t		day_of_era = days % DAYS_PER_ERA;
	int64_t		year_of_era = (day_of_era - day_of_era / 1460 +
							   day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t		day_of_year = day_of_era -
	(365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t		shifted_month = (5 * day_of_year + 2) / 153;
	int64_t		month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
	int64_t		year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);

	if (year > 9999)
		return false;
	put_digits(target, year, 4);
	put_digits(target + 5, month, 2);
	put_digits(target + 8, day_of_year - (153 * shifted_month + 2) / 5 + 1, 2);
	return true;
}

bool
bridge_journal_format_time(int64_t microseconds, BridgeTime *time)
{
	const int64_t first_day = -DAYS_TO_2000 + 306;	/* 0001-01-01 */
	int64_t		seconds = microseconds / MICROSECONDS;
	int64_t		fraction = microseconds % MICROSECONDS;
	int64_t		days;

	if (fraction < 0)
	{
		fraction += MICROSECONDS;
		seconds--;
	}
	days = seconds / SECONDS_PER_DAY;
	seconds %= SECONDS_PER_DAY;
	if (seconds < 0)
	{
		seconds += SECONDS_PER_DAY;
		days--;
	}
	memcpy(time->text, "0000-00-00T00:00:00.000000Z", BRIDGE_TIME_SIZE);
	if (days < first_day || !put_date(time->text, days + DAYS_TO_2000))
		return false;
	put_digits(time->text + 11, seconds / 3600, 2);
	put_digits(time->text + 14, seconds / 60 % 60, 2);
	put_digits(time->text + 17, seconds % 60, 2);
	put_digits(time->text + 20, fraction, 6);
	return true;
}

static bool
read_column(const BridgeJournalColumn *column, const BridgeValue *value,
			BridgeJournalRow *row)
{
	void	   *target = (char *) row + column->target;
	BridgeBytes bytes = {.next = value->data, .left = value->length};

	if (value->data == NULL)
		return column->nullable;
	switch (column->type)
	{
		case TYPE_UUID:
			return read_uuid(value, target);
		case TYPE_BYTEA:
		case TYPE_TEXT:
			*(BridgeValue *) target = *value;
			return true;
		case TYPE_INT8:
			*(int64_t *) target = (int64_t) bridge_bytes_uint64(&bytes);
			break;
		case TYPE_INT4:
			*(int32_t *) target = (int32_t) bridge_bytes_uint32(&bytes);
			break;
		case TYPE_TIMESTAMPTZ:
			if (!bridge_journal_format_time((int64_t) bridge_bytes_uint64(&bytes),
											target))
				return false;
			break;
		default:
			return false;
	}
	return bytes.left == 0 && !bytes.overrun;
}

static const BridgeJournalShape *
find_shape(const BridgeJournal *journal, uint32_t relation_id)
{
	for (int i = 0; i < BRIDGE_JOURNAL_TABLES; i++)
		if (journal->shapes[i].relation_id == relation_id && relation_id != 0)
			return &journal->shapes[i];
	return NULL;
}

bool
bridge_journal_knows(const BridgeJournal *journal, const BridgeTuple *tuple)
{
	return find_shape(journal, tuple->relation_id) != NULL;
}

bool
bridge_journal_read(BridgeJournal *journal, const BridgeTuple *tuple,
					BridgeJournalRow *row)
{
	const BridgeJournalShape *shape = find_shape(journal, tuple->relation_id);

	if (shape == NULL || shape->column_count != tuple->value_count)
	{
		snprintf(journal->error, sizeof(journal->error),
				 "row of %d columns of relation %" PRIu32 " has an unknown shape",
				 tuple->value_count, tuple->relation_id);
		return false;
	}
	memset(row, 0, sizeof(*row));
	row->table = (BridgeJournalTable) (shape - journal->shapes);
	for (int i = 0; i < tuple->value_count; i++)
	{
		if (shape->columns[i] == NULL ||
			read_column(shape->columns[i], &tuple->values[i], row))
			continue;
		snprintf(journal->error, sizeof(journal->error),
				 "value of column %s.%s is not understood",
				 tables[row->table].name, shape->columns[i]->name);
		return false;
	}
	return true;
}
