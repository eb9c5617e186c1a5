/*
 * Rows of the published tables, out of pgoutput's tuples.
 *
 * Columns are found by name, so the order of a table's columns and columns
 * added later do not matter; a column that is missing or of another type is
 * an error.
 *
 * Memory: texts of a row point into the decoded message.
 */
#ifndef BRIDGE_JOURNAL_H
#define BRIDGE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "contract.h"
#include "pgoutput.h"

/* 2026-01-31T12:00:00.000000Z and the closing NUL */
#define BRIDGE_TIME_SIZE 28

#define BRIDGE_JOURNAL_ERROR_SIZE 160

typedef enum BridgeJournalTable
{
	BRIDGE_JOURNAL_ACCOUNT_EVENT,
	BRIDGE_JOURNAL_TRANSFER,
	BRIDGE_JOURNAL_HEARTBEAT,
	BRIDGE_JOURNAL_EPOCH,
	BRIDGE_JOURNAL_SEAL
} BridgeJournalTable;

#define BRIDGE_JOURNAL_TABLES 5

/* A uuid in text; empty where the column is null. */
typedef struct BridgeUuid
{
	char		text[BANK_UUID_SIZE];
} BridgeUuid;

typedef struct BridgeTime
{
	char		text[BRIDGE_TIME_SIZE];
} BridgeTime;

typedef struct BridgeAccountEvent
{
	BridgeUuid	account_id;
	BridgeUuid	customer_id;	/* empty: settlement */
	BridgeUuid	transfer_id;	/* empty: none */
	BridgeValue kind;
	BridgeValue currency;
	BridgeValue status;
	int64_t		version;
	int64_t		balance;
	int64_t		held;
	BridgeTime	occurred_at;
} BridgeAccountEvent;

typedef struct BridgeTransferRow
{
	BridgeUuid	transfer_id;
	BridgeUuid	customer_id;
	BridgeUuid	from_account;
	BridgeUuid	to_account;
	BridgeValue kind;
	BridgeValue currency;
	int64_t		amount;
	int64_t		from_version;
	int64_t		to_version;
	int64_t		from_balance;
	int64_t		to_balance;
	int64_t		from_held;
	int64_t		to_held;
	BridgeTime	completed_at;
	BridgeUuid	reverses;		/* empty: none */
	BridgeValue reference;		/* data is null: none */
} BridgeTransferRow;

typedef struct BridgeEpochRow
{
	int32_t		number;
} BridgeEpochRow;

typedef struct BridgeSealRow
{
	int32_t		number;
	int64_t		entries;
	BridgeValue root;			/* bytes */
	BridgeValue previous;		/* bytes */
	BridgeTime	sealed_at;
} BridgeSealRow;

typedef struct BridgeJournalRow
{
	BridgeJournalTable table;
	union
	{
		BridgeAccountEvent account_event;
		BridgeTransferRow transfer;
		BridgeEpochRow epoch;
		BridgeSealRow seal;
	};
} BridgeJournalRow;

typedef struct BridgeJournalColumn
{
	const char *name;
	uint32_t	type;
	bool		nullable;
	size_t		target;
} BridgeJournalColumn;

/* What the stream has said of one table; relation_id 0: nothing yet. */
typedef struct BridgeJournalShape
{
	uint32_t	relation_id;
	int			column_count;
	const BridgeJournalColumn *columns[BRIDGE_PGOUTPUT_COLUMNS];
} BridgeJournalShape;

typedef struct BridgeJournal
{
	BridgeJournalShape shapes[BRIDGE_JOURNAL_TABLES];
	char		error[BRIDGE_JOURNAL_ERROR_SIZE];
} BridgeJournal;

/* Forgets all shapes: each connection says them anew. */
extern void bridge_journal_reset(BridgeJournal *journal);

/* A table of the ledger that is published: the bridge knows it by name. */
extern bool bridge_journal_is_ours(const BridgeRelation *relation);

/* A row of a table whose shape was learned. */
extern bool bridge_journal_knows(const BridgeJournal *journal,
								 const BridgeTuple *tuple);

/* Learns a table's shape; false, and journal->error, where it is unknown. */
extern bool bridge_journal_learn(BridgeJournal *journal,
								 const BridgeRelation *relation);

/* Reads a row; false, and journal->error, where it is not understood. */
extern bool bridge_journal_read(BridgeJournal *journal,
								const BridgeTuple *tuple,
								BridgeJournalRow *row);

/*
 * The columns the bridge needs of a table: name and type of the one numbered
 * column, from 0; false beyond the last.
 */
extern bool bridge_journal_column(BridgeJournalTable table, int column,
								  const char **name, uint32_t *type);

extern const char *bridge_journal_table_name(BridgeJournalTable table);

/*
 * Writes microseconds since 2000-01-01 UTC as RFC 3339; false for a date
 * that has no such form (infinity, a year beyond 9999).
 */
extern bool bridge_journal_format_time(int64_t microseconds, BridgeTime *time);

#endif
