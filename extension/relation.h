/*
 * Rows of our tables through the table access method, found by name.
 */
#ifndef BANK_RELATION_H
#define BANK_RELATION_H

#include "access/htup.h"
#include "access/stratnum.h"
#include "catalog/pg_type_d.h"
#include "nodes/execnodes.h"
#include "nodes/lockoptions.h"
#include "utils/relcache.h"

#include "indexes.h"

/* No table of ours has more columns that the code knows. */
#define BANK_COLUMNS_MAX 24

/* A column the code knows: its name, and what the code assumes of it. */
typedef struct BankColumn
{
	const char *name;
	Oid			type;
	bool		nullable;
} BankColumn;

/* A table of schema bank_ledger; the first columns are its primary key. */
typedef struct BankShape
{
	const char *table;
	const BankColumn *columns;
	int			ncolumns;
} BankShape;

typedef enum BankOpenMode
{
	BANK_OPEN_READ,
	BANK_OPEN_READ_NOWAIT,		/* NOWAIT: LG009 where the table is locked, */
	BANK_OPEN_WRITE,
	BANK_OPEN_WRITE_NOWAIT		/* or an index that is to be written */
} BankOpenMode;

typedef struct BankRelation
{
	const BankShape *shape;
	BankOpenMode mode;
	Relation	relation;
	AttrNumber	attributes[BANK_COLUMNS_MAX];	/* of each known column */
	BankIndexes indexes;		/* unset when opened to read, as row_lock */
	LockTupleMode row_lock;		/* what an update of a row needs */
	EState	   *defaults;		/* of columns that the code does not know */
	TupleTableSlot *slot;		/* for rows locked, inserted and updated */
} BankRelation;

/* A row, copied out of its page. */
typedef struct BankRow
{
	HeapTuple	tuple;
	Datum		values[BANK_COLUMNS_MAX];	/* of each known column */
	bool		nulls[BANK_COLUMNS_MAX];
} BankRow;

typedef enum BankLockResult
{
	BANK_LOCK_TAKEN,
	BANK_LOCK_BUSY,				/* another transaction has it (skip only) */
	BANK_LOCK_GONE				/* the row was deleted meanwhile */
} BankLockResult;

/* Called with each row of a scan; false: that was enough. */
typedef bool (*BankRowCallback) (const BankRow *row, void *context);

/* Which rows of a table to call back with, in the order of an index. */
typedef struct BankScan
{
	const char *index;			/* its first column is the one compared */
	int			column;
	StrategyNumber strategy;	/* unset: equality */
	Datum		value;
	bool		as_visible;		/* to the running query, else as committed now */
	BankRowCallback callback;
	void	   *context;
} BankScan;

/* An index on two columns, which may be partial: who looks a row up through it
 * knows that it is in it. */
typedef struct BankIndex
{
	const char *name;
	int			columns[2];
} BankIndex;

extern void bank_relation_open(BankRelation *table, const BankShape *shape,
							   BankOpenMode mode);
extern void bank_relation_close(BankRelation *table);
extern void bank_relation_read_slot(const BankRelation *table,
									TupleTableSlot *slot, BankRow *row);
extern bool bank_relation_find(BankRelation *table, const Datum *key, int nkeys,
							   BankRow *row);
extern bool bank_relation_find_visible(BankRelation *table, const Datum *key,
									   int nkeys, BankRow *row);
extern bool bank_relation_find_latest(BankRelation *table, BankRow *row);
extern bool bank_relation_find_through(BankRelation *table, const BankIndex *index,
									   const Datum *key, BankRow *row);
extern void bank_relation_scan_visible(BankRelation *table, BankRowCallback callback,
									   void *context);
extern void bank_relation_scan(BankRelation *table, const BankScan *scan);
extern BankLockResult bank_relation_lock(BankRelation *table, BankRow *row,
										 LockWaitPolicy policy);
extern void bank_relation_insert(BankRelation *table, const Datum *values,
								 const bool *nulls);
extern void bank_relation_insert_keyed(BankRelation *table, Datum *const *values,
									   bool *const *nulls, const int *key_order,
									   int nrows);
extern void bank_relation_update(BankRelation *table, BankRow *row);

#endif
