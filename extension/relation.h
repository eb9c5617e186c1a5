/*
 * Rows of our tables through the table access method, found by name.
 */
#ifndef BANK_RELATION_H
#define BANK_RELATION_H

#include "access/htup.h"
#include "access/stratnum.h"
#include "nodes/execnodes.h"
#include "nodes/lockoptions.h"

#include "indexes.h"
#include "lookup.h"
#include "table.h"

typedef struct BankRelation
{
	const BankTable *known;		/* where its columns and indexes are */
	BankOpenMode mode;
	Relation	relation;
	BankIndexes indexes;		/* unset when opened to read */
	BankLookup	lookup;			/* unset until a row is looked up to be
								 * written */
	EState	   *defaults;		/* of columns that the code does not know */
	TupleTableSlot *slot;		/* for rows found, locked, inserted and
								 * updated */
} BankRelation;

/* A row that was read, or one to be written. */
typedef struct BankRow
{
	TupleTableSlot *slot;		/* where it was read; unset in one to be
								 * written */
	Datum		values[BANK_COLUMNS_MAX];	/* of each known column */
	bool		nulls[BANK_COLUMNS_MAX];
	const char **fault;			/* takes what is first not understood of it;
								 * null: that is an error */
} BankRow;

typedef enum BankLockResult
{
	BANK_LOCK_TAKEN,
	BANK_LOCK_BUSY,				/* another transaction has it (skip only) */
	BANK_LOCK_GONE				/* the row was deleted meanwhile */
} BankLockResult;

typedef enum BankFindResult
{
	BANK_FIND_NONE,
	BANK_FIND_CHANGED,			/* after the transaction took its snapshot */
	BANK_FIND_DONE
} BankFindResult;

/*
 * Called with a row where it is; what is to be kept of it must be copied.
 * False: that was enough, where there may be more.
 */
typedef bool (*BankRowCallback) (const BankRow *row, void *context);

/* Called for the values of row i that is to be inserted; none of them is null yet. */
typedef void (*BankRowMaker) (int i, void *context, BankRow *row);

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
extern void bank_relation_close_indexes(BankRelation *table);
extern void bank_relation_forget_indexes(BankRelation *table);
extern void bank_relation_close(BankRelation *table);
extern void bank_relation_read_slot(const BankRelation *table,
									TupleTableSlot *slot, BankRow *row);
extern bool bank_relation_find(BankRelation *table, const Datum *key, int nkeys,
							   BankRowCallback callback, void *context);
extern BankFindResult bank_relation_find_unchanged(BankRelation *table,
												   const Datum *key, int nkeys,
												   BankRowCallback callback,
												   void *context);
extern bool bank_relation_find_visible(BankRelation *table, const Datum *key,
									   int nkeys, BankRowCallback callback,
									   void *context);
extern bool bank_relation_find_latest(BankRelation *table, const Datum *key,
									  int nkeys, BankRowCallback callback,
									  void *context);
extern bool bank_relation_find_through(BankRelation *table, const BankIndex *index,
									   const Datum *key, BankRowCallback callback,
									   void *context);
extern void bank_relation_scan_visible(BankRelation *table, BankRowCallback callback,
									   void *context);
extern void bank_relation_scan(BankRelation *table, const BankScan *scan);
extern BankLockResult bank_relation_lock(BankRelation *table,
										 const ItemPointerData *place, bool is_read,
										 LockWaitPolicy policy,
										 BankRowCallback callback, void *context);
extern void bank_relation_insert(BankRelation *table, const BankRow *row);
extern void bank_relation_insert_keyed(BankRelation *table, BankRowMaker maker,
									   void *context, const int *key_order,
									   int nrows);
extern void bank_relation_update(BankRelation *table, const ItemPointerData *place,
								 const BankRow *row);

#endif
