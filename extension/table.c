/*
 * Tables of ours, found by name and locked.
 *
 * An operator may add or drop columns and indexes, and attribute numbers then
 * differ from those the script gave.  So every column is looked up by name and
 * checked for its type; a table that lacks one is an error and never a crash.
 * What was found out is kept for the backend's later calls, until the server
 * tells of a change of the table or of one of its indexes.
 *
 * Locks: the table; where it is to be written without waiting, its indexes.
 *
 * Memory: each table has a context of its own, which outlives the call; one
 * that is out of date goes with the transaction, in which it may be in use.
 *
 * Raises: 42P01, 42703, 42804, 42809, 0A000 for a table of another shape; LG009
 * for a locked table when opened without waiting.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "bank.h"
#include "indexes.h"
#include "table.h"

static BankTable *all_tables = NULL;
static uint64 changes = 0;		/* of any relation, seen by this backend */

/* Called by the server for each relation that was changed. */
static void
forget_changed(Datum argument, Oid relation_id)
{
	changes++;
	for (BankTable *table = all_tables; table != NULL; table = table->next)
		if (!OidIsValid(relation_id) || relation_id == table->relation_id ||
			bank_indexes_have(table->indexes, relation_id))
			table->is_current = false;
}

/* One that is out of date may still serve a call of this transaction. */
static void
drop(BankTable *table)
{
	BankTable **place = &all_tables;

	while (*place != table)
		place = &(*place)->next;
	*place = table->next;
	MemoryContextSetParent(table->context, TopTransactionContext);
}

/* What is known of a table; null: nothing, or nothing that still holds. */
static BankTable *
find_known(const BankShape *shape)
{
	BankTable  *table = all_tables;

	while (table != NULL && table->shape != shape)
		table = table->next;
	if (table != NULL && !table->is_current)
	{
		drop(table);
		table = NULL;
	}
	return table;
}

static AttrNumber
find_attribute(TupleDesc descriptor, const char *name)
{
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!attribute->attisdropped &&
			strcmp(NameStr(attribute->attname), name) == 0)
			return (AttrNumber) (i + 1);
	}
	return InvalidAttrNumber;
}

static void
map_columns(BankTable *table, TupleDesc descriptor)
{
	const BankShape *shape = table->shape;

	Assert(shape->ncolumns <= BANK_COLUMNS_MAX);
	for (int i = 0; i < shape->ncolumns; i++)
	{
		const BankColumn *column = &shape->columns[i];
		AttrNumber	attribute = find_attribute(descriptor, column->name);

		if (attribute == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("table \"%s.%s\" has no column \"%s\"",
							BANK_LEDGER_SCHEMA, shape->table, column->name),
					 errhint("Restore the column as the extension's script made it.")));
		if (TupleDescAttr(descriptor, attribute - 1)->atttypid != column->type)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s.%s\" is not of type %s",
							column->name, BANK_LEDGER_SCHEMA, shape->table,
							format_type_be(column->type)),
					 errhint("Restore the column as the extension's script made it.")));
		table->attributes[i] = attribute;
	}
}

static void
raise_busy(const char *table)
{
	bank_errors_raise_in_progress(psprintf("Table \"%s.%s\" is locked by another transaction.",
										   BANK_LEDGER_SCHEMA, table));
}

static bool
is_nowait(BankOpenMode mode)
{
	return mode == BANK_OPEN_READ_NOWAIT || mode == BANK_OPEN_WRITE_NOWAIT;
}

bool
bank_table_is_for_write(BankOpenMode mode)
{
	return mode == BANK_OPEN_WRITE || mode == BANK_OPEN_WRITE_NOWAIT;
}

static Oid
find_relation(const BankShape *shape)
{
	Oid			namespace = get_namespace_oid(BANK_LEDGER_SCHEMA, true);
	Oid			relation_id = InvalidOid;

	if (OidIsValid(namespace))
		relation_id = get_relname_relid(shape->table, namespace);
	if (!OidIsValid(relation_id))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" does not exist",
						BANK_LEDGER_SCHEMA, shape->table),
				 errhint("Run CREATE EXTENSION bank in this database.")));
	return relation_id;
}

static void
lock(const BankShape *shape, Oid relation_id, BankOpenMode mode)
{
	LOCKMODE	lock = bank_table_is_for_write(mode) ? RowExclusiveLock : AccessShareLock;

	if (!is_nowait(mode))
		LockRelationOid(relation_id, lock);
	else if (!ConditionalLockRelationOid(relation_id, lock))
		raise_busy(shape->table);
}

/*
 * Locks the table of that name, and returns what is known of it.  It may have
 * been changed, or dropped and made again, while the lock was waited for; so
 * what was known, or the name, must still hold.
 */
static Relation
open_locked(const BankShape *shape, BankOpenMode mode, BankTable **known)
{
	for (;;)
	{
		BankTable  *table = find_known(shape);
		Oid			relation_id = table != NULL ? table->relation_id : find_relation(shape);

		lock(shape, relation_id, mode);
		*known = table;
		if (table != NULL ? table->is_current : find_relation(shape) == relation_id)
			return table_open(relation_id, NoLock);
		UnlockRelationOid(relation_id, bank_table_is_for_write(mode) ?
						  RowExclusiveLock : AccessShareLock);
	}
}

static void
require_plain(Relation relation)
{
	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s.%s\" is not a plain table", BANK_LEDGER_SCHEMA,
						RelationGetRelationName(relation)),
				 errhint("Restore the table as the extension's script made it.")));
}

/* Raises 42804 for a column that the code does not know and cannot fill. */
void
bank_table_raise_not_fillable(const BankShape *shape, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table \"%s.%s\" cannot be filled",
					column, BANK_LEDGER_SCHEMA, shape->table),
			 errhint("An added column must be nullable or have a default, and must not be generated.")));
}

/* A generated column would keep a value that is no longer right. */
static void
require_none_generated(const BankShape *shape, TupleDesc descriptor)
{
	if (descriptor->constr == NULL)
		return;
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (attribute->attgenerated)
			bank_table_raise_not_fillable(shape, NameStr(attribute->attname));
	}
}

/*
 * As the server chooses for an UPDATE: a row whose columns under a unique
 * index may change must also be kept from foreign keys.
 */
static LockTupleMode
row_lock_for(const BankTable *table, Relation relation)
{
	Bitmapset  *keys = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY);
	LockTupleMode mode = LockTupleNoKeyExclusive;

	for (int i = 1; i < table->shape->ncolumns; i++)
	{
		if (bms_is_member(table->attributes[i] - FirstLowInvalidHeapAttributeNumber,
						  keys))
			mode = LockTupleExclusive;
	}
	bms_free(keys);
	return mode;
}

/*
 * A change that arrives while things are looked up leaves them out of date
 * from the start: good for this call, as they are for the executor.
 */
static BankTable *
learn(const BankShape *shape, Relation relation)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "table of bank",
												  ALLOCSET_SMALL_SIZES);
	BankTable  *table = MemoryContextAllocZero(context, sizeof(BankTable));
	uint64		before = changes;

	require_plain(relation);
	table->shape = shape;
	table->relation_id = RelationGetRelid(relation);
	table->context = context;
	map_columns(table, RelationGetDescr(relation));
	table->is_current = changes == before;
	table->next = all_tables;
	all_tables = table;
	MemoryContextSetParent(context, CacheMemoryContext);
	return table;
}

static void
learn_to_write(BankTable *table, Relation relation)
{
	uint64		before = changes;

	require_none_generated(table->shape, RelationGetDescr(relation));
	table->row_lock = row_lock_for(table, relation);
	table->indexes = bank_indexes_prepare(relation, table->context);
	table->is_writable = true;
	if (changes != before)
		table->is_current = false;
}

static void
lock_indexes_nowait(Relation relation)
{
	List	   *indexes = RelationGetIndexList(relation);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(cell), RowExclusiveLock))
			raise_busy(RelationGetRelationName(relation));
	}
	list_free(indexes);
}

/* Opens and locks a table, and says what is known of it. */
Relation
bank_table_open(const BankShape *shape, BankOpenMode mode, const BankTable **table)
{
	static bool is_listening = false;
	BankTable  *known;
	Relation	relation;

	if (!is_listening)
		CacheRegisterRelcacheCallback(forget_changed, (Datum) 0);
	is_listening = true;
	relation = open_locked(shape, mode, &known);
	if (known == NULL)
		known = learn(shape, relation);
	if (mode == BANK_OPEN_WRITE_NOWAIT)
		lock_indexes_nowait(relation);
	if (bank_table_is_for_write(mode) && !known->is_writable)
		learn_to_write(known, relation);
	*table = known;
	return relation;
}
