/*
 * A table of schema bank_ledger as the code knows it, and as it is.
 */
#ifndef BANK_TABLE_H
#define BANK_TABLE_H

#include "access/attnum.h"
#include "catalog/pg_type_d.h"
#include "nodes/lockoptions.h"
#include "utils/relcache.h"

/* No table of ours has more columns that the code knows. */
#define BANK_COLUMNS_MAX 24

/* A column the code knows: its name, and what the code assumes of it. */
typedef struct BankColumn
{
	const char *name;
	Oid			type;
	bool		nullable;
} BankColumn;

/* The first columns are its primary key.  There is one of each, for ever. */
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

struct BankPreparedIndexes;

/* What was found out about a table, and holds until it is changed. */
typedef struct BankTable
{
	const BankShape *shape;
	Oid			relation_id;
	bool		is_current;
	AttrNumber	attributes[BANK_COLUMNS_MAX];	/* of each known column */
	bool		is_writable;	/* the rest is known too */
	LockTupleMode row_lock;		/* what an update of a row needs */
	struct BankPreparedIndexes *indexes;
	MemoryContext context;
	struct BankTable *next;
} BankTable;

extern bool bank_table_is_for_write(BankOpenMode mode);
extern void bank_table_raise_not_fillable(const BankShape *shape, const char *column);
extern Relation bank_table_open(const BankShape *shape, BankOpenMode mode,
								const BankTable **table);

#endif
