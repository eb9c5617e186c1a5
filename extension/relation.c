/*
 * Rows of our tables through the table access method: found by key, locked,
 * inserted, updated.
 *
 * An operator may have added columns.  Those the code does not know keep their
 * value at an update and get their default at an insert.
 *
 * Snapshots: rows are found with the latest one, since what a lock protects is
 * the row as it is now.  A transaction with a snapshot of its own (REPEATABLE
 * READ and above) that finds a row it must not see gets 40001, or is told so
 * where another row would do.
 *
 * Locks: a table that is written until the end of the transaction, its indexes
 * while they are open; rows as the caller asks.  No page of the table stays
 * pinned after a function returned.
 *
 * Memory: a row that was read points into its page, and is valid only in the
 * callback that it is given to.
 *
 * Raises: LG008 for a key taken at the same moment; 40001; 42704, 42804, 23502
 * for a table of another shape, and what table.c does.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "bank.h"
#include "compat.h"
#include "lookup.h"
#include "relation.h"

static bool
has_unknown(const BankRelation *table)
{
	return RelationGetDescr(table->relation)->natts > table->known->shape->ncolumns;
}

/* Opens a table of the ledger; close it with bank_relation_close. */
void
bank_relation_open(BankRelation *table, const BankShape *shape, BankOpenMode mode)
{
	memset(table, 0, sizeof(*table));
	table->mode = mode;
	table->relation = bank_table_open(shape, mode, &table->known);
	if (bank_table_is_for_write(mode))
		bank_indexes_open(&table->indexes, table->relation, table->known->indexes);
	if (bank_table_is_for_write(mode) && has_unknown(table))
		table->defaults = CreateExecutorState();
	table->slot = table_slot_create(table->relation, NULL);
}

/* Closes the indexes, before the subtransaction ends that has written the table. */
void
bank_relation_close_indexes(BankRelation *table)
{
	bank_indexes_close(&table->indexes);
}

/* The same where that subtransaction has failed. */
void
bank_relation_forget_indexes(BankRelation *table)
{
	bank_indexes_forget(&table->indexes);
}

/*
 * What was written keeps its locks until the end of the transaction; what was
 * only read is let go, so that nobody waits for a caller that waits for others.
 */
void
bank_relation_close(BankRelation *table)
{
	ExecDropSingleTupleTableSlot(table->slot);
	bank_lookup_close(&table->lookup);
	if (bank_table_is_for_write(table->mode))
		bank_indexes_close(&table->indexes);
	if (table->defaults != NULL)
		FreeExecutorState(table->defaults);
	table_close(table->relation,
				bank_table_is_for_write(table->mode) ? NoLock : AccessShareLock);
}

static void
raise_null(const BankRelation *table, int column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("column \"%s\" of a row of \"%s.%s\" is null",
					table->known->shape->columns[column].name, BANK_LEDGER_SCHEMA,
					table->known->shape->table),
			 errhint("Restore the column as the extension's script made it.")));
}

/* Reads the row in a slot; it is valid as long as the slot holds it. */
void
bank_relation_read_slot(const BankRelation *table, TupleTableSlot *slot,
						BankRow *row)
{
	slot_getallattrs(slot);
	row->slot = slot;
	row->fault = NULL;
	for (int i = 0; i < table->known->shape->ncolumns; i++)
	{
		row->values[i] = slot->tts_values[table->known->attributes[i] - 1];
		row->nulls[i] = slot->tts_isnull[table->known->attributes[i] - 1];
		if (row->nulls[i] && !table->known->shape->columns[i].nullable)
			raise_null(table, i);
	}
}

/* True when the callback has not enough. */
static bool
call_back(const BankRelation *table, TupleTableSlot *slot, BankRowCallback callback,
		  void *context)
{
	BankRow		row;

	bank_relation_read_slot(table, slot, &row);
	return callback(&row, context);
}

/* Whether a row as it is now is also what the transaction sees of it. */
static bool
is_visible(const BankRelation *table, TupleTableSlot *slot)
{
	return !IsolationUsesXactSnapshot() ||
		table_tuple_satisfies_snapshot(table->relation, slot,
									   GetTransactionSnapshot());
}

static void
raise_changed(const BankRelation *table)
{
	bank_errors_raise_changed(psprintf("A row of \"%s.%s\" changed after this transaction took its snapshot.",
									   BANK_LEDGER_SCHEMA,
									   table->known->shape->table));
}

static void
require_visible(const BankRelation *table, TupleTableSlot *slot)
{
	if (!is_visible(table, slot))
		raise_changed(table);
}

static RegProcedure
comparison_of(Oid type, StrategyNumber strategy)
{
	if (strategy == BTEqualStrategyNumber)
		switch (type)
		{
			case UUIDOID:
				return F_UUID_EQ;
			case INT8OID:
				return F_INT8EQ;
			case INT4OID:
				return F_INT4EQ;
		}
	if (strategy == BTLessEqualStrategyNumber && type == TIMESTAMPTZOID)
		return F_TIMESTAMPTZ_LE;
	elog(ERROR, "no comparison %d of type %u is known", strategy, type);
	pg_unreachable();
}

static void
init_key(const BankRelation *table, int column, Datum value, ScanKey key)
{
	ScanKeyInit(key, table->known->attributes[column], BTEqualStrategyNumber,
				comparison_of(table->known->shape->columns[column].type,
							  BTEqualStrategyNumber), value);
}

/*
 * The primary key's first columns are the shape's.  Without an index every row
 * would be read at each call, which is an error sooner than an outage.
 */
static Oid
primary_key_of(const BankRelation *table)
{
	Oid			index = BANK_PRIMARY_KEY(table->relation);

	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s.%s\" has no primary key",
						BANK_LEDGER_SCHEMA, table->known->shape->table),
				 errhint("Restore the primary key as the extension's script made it.")));
	return index;
}

/* By a scan of the server's: of the key's index, or of all rows. */
static bool
scan_for_row(BankRelation *table, ScanKey keys, int nkeys, Snapshot snapshot)
{
	Oid			index = nkeys > 0 ? primary_key_of(table) : InvalidOid;
	SysScanDesc scan = systable_beginscan(table->relation, index, nkeys > 0,
										  snapshot, nkeys, keys);
	bool		found = HeapTupleIsValid(systable_getnext(scan));

	if (found)
		ExecCopySlot(table->slot, scan->slot);
	systable_endscan(scan);
	return found;
}

/*
 * What is committed now.  It need not be registered: the running query's
 * snapshot keeps all that it may see.
 */
static Snapshot
latest_snapshot(void)
{
	Assert(ActiveSnapshotSet());
	return GetLatestSnapshot();
}

static bool
find_row(BankRelation *table, const Datum *key, int nkeys, Snapshot snapshot)
{
	ScanKeyData keys[BANK_LOOKUP_KEYS_MAX];

	Assert(nkeys <= lengthof(keys));
	for (int i = 0; i < nkeys; i++)
		init_key(table, i, key[i], &keys[i]);
	if (nkeys == 0 || !bank_table_is_for_write(table->mode))
		return scan_for_row(table, keys, nkeys, snapshot);
	if (!bank_lookup_is_open(&table->lookup))
		bank_lookup_open(&table->lookup, table->relation, primary_key_of(table), keys,
						 nkeys);
	return bank_lookup(&table->lookup, table->relation, keys, snapshot, table->slot);
}

static void
call_back_with_found(BankRelation *table, BankRowCallback callback, void *context)
{
	(void) call_back(table, table->slot, callback, context);
	ExecClearTuple(table->slot);
}

/*
 * Calls back with the row of a key (nkeys 0: the only row) as it is committed
 * now, unless the transaction's own snapshot does not see it so.
 */
BankFindResult
bank_relation_find_unchanged(BankRelation *table, const Datum *key, int nkeys,
							 BankRowCallback callback, void *context)
{
	if (!find_row(table, key, nkeys, latest_snapshot()))
		return BANK_FIND_NONE;
	if (!is_visible(table, table->slot))
	{
		ExecClearTuple(table->slot);
		return BANK_FIND_CHANGED;
	}
	call_back_with_found(table, callback, context);
	return BANK_FIND_DONE;
}

/* The same where a changed row is 40001.  False when there is none. */
bool
bank_relation_find(BankRelation *table, const Datum *key, int nkeys,
				   BankRowCallback callback, void *context)
{
	BankFindResult result = bank_relation_find_unchanged(table, key, nkeys,
														 callback, context);

	if (result == BANK_FIND_CHANGED)
		raise_changed(table);
	return result == BANK_FIND_DONE;
}

/* The same also where the transaction's own snapshot does not see the row so. */
bool
bank_relation_find_latest(BankRelation *table, const Datum *key, int nkeys,
						  BankRowCallback callback, void *context)
{
	if (!find_row(table, key, nkeys, latest_snapshot()))
		return false;
	call_back_with_found(table, callback, context);
	return true;
}

/* Calls back with the row of a key as the running query sees it. */
bool
bank_relation_find_visible(BankRelation *table, const Datum *key, int nkeys,
						   BankRowCallback callback, void *context)
{
	if (!find_row(table, key, nkeys, GetActiveSnapshot()))
		return false;
	call_back_with_found(table, callback, context);
	return true;
}

static bool
begins_with(Relation index, AttrNumber attribute)
{
	return index->rd_index->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
		index->rd_index->indkey.values[0] == attribute;
}

/*
 * The table's index of that name.  Without it every row would be read at each
 * call, which is an error sooner than an outage.
 */
static Oid
index_named(const BankRelation *table, const char *name, int column)
{
	List	   *indexes = RelationGetIndexList(table->relation);
	Oid			found = InvalidOid;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (strcmp(RelationGetRelationName(index), name) == 0 &&
			begins_with(index, table->known->attributes[column]))
			found = lfirst_oid(cell);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	if (!OidIsValid(found))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s.%s\" has no index \"%s\"",
						BANK_LEDGER_SCHEMA, table->known->shape->table, name),
				 errhint("Restore the index as the extension's script made it.")));
	return found;
}

static void
call_back_with_rows(BankRelation *table, const BankScan *scan, SysScanDesc rows)
{
	while (HeapTupleIsValid(systable_getnext(rows)))
	{
		CHECK_FOR_INTERRUPTS();
		if (!scan->as_visible)
			require_visible(table, rows->slot);
		if (!call_back(table, rows->slot, scan->callback, scan->context))
			return;
	}
}

/* Calls back with the row of an index's two values, as the running query sees it. */
bool
bank_relation_find_through(BankRelation *table, const BankIndex *index,
						   const Datum *key, BankRowCallback callback,
						   void *context)
{
	ScanKeyData keys[lengthof(index->columns)];
	SysScanDesc scan;
	bool		found;

	for (int i = 0; i < lengthof(keys); i++)
		init_key(table, index->columns[i], key[i], &keys[i]);
	scan = systable_beginscan(table->relation,
							  index_named(table, index->name, index->columns[0]),
							  true, GetActiveSnapshot(), lengthof(keys), keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	if (found)
		(void) call_back(table, scan->slot, callback, context);
	systable_endscan(scan);
	return found;
}

/* Calls back with every row, as the running query sees it, in no order. */
void
bank_relation_scan_visible(BankRelation *table, BankRowCallback callback,
						   void *context)
{
	BankScan	all = {.as_visible = true, .callback = callback, .context = context};
	SysScanDesc rows = systable_beginscan(table->relation, InvalidOid, false,
										  GetActiveSnapshot(), 0, NULL);

	call_back_with_rows(table, &all, rows);
	systable_endscan(rows);
}

/* Calls back with the rows of a scan until the callback has enough. */
void
bank_relation_scan(BankRelation *table, const BankScan *scan)
{
	Snapshot	snapshot = RegisterSnapshot(scan->as_visible ? GetActiveSnapshot() :
											GetLatestSnapshot());
	Oid			index = index_named(table, scan->index, scan->column);
	StrategyNumber strategy = scan->strategy == InvalidStrategy ?
	BTEqualStrategyNumber : scan->strategy;
	ScanKeyData key;
	SysScanDesc rows;

	ScanKeyInit(&key, table->known->attributes[scan->column], strategy,
				comparison_of(table->known->shape->columns[scan->column].type, strategy),
				scan->value);
	rows = systable_beginscan(table->relation, index, true, snapshot, 1, &key);
	call_back_with_rows(table, scan, rows);
	systable_endscan(rows);
	UnregisterSnapshot(snapshot);
}

/*
 * Locks the row that was found at a place, and calls back with its newest
 * version; where the caller has the version of the place, only with another.
 * Waits or answers BANK_LOCK_BUSY, as the policy says.
 */
BankLockResult
bank_relation_lock(BankRelation *table, const ItemPointerData *place, bool is_read,
				   LockWaitPolicy policy, BankRowCallback callback, void *context)
{
	ItemPointerData newest = *place;
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(table->relation, &newest, GetActiveSnapshot(),
							  table->slot, GetCurrentCommandId(false),
							  table->known->row_lock, policy,
							  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	if (result == TM_WouldBlock || result == TM_Deleted)
	{
		ExecClearTuple(table->slot);
		return result == TM_WouldBlock ? BANK_LOCK_BUSY : BANK_LOCK_GONE;
	}
	if (result != TM_Ok)
		elog(ERROR, "could not lock a row of \"%s\": result %d",
			 table->known->shape->table, (int) result);
	require_visible(table, table->slot);
	if (is_read && !failure.traversed)
		ExecClearTuple(table->slot);
	else
		call_back_with_found(table, callback, context);
	return BANK_LOCK_TAKEN;
}

static bool
is_known(const BankRelation *table, AttrNumber attribute)
{
	for (int i = 0; i < table->known->shape->ncolumns; i++)
		if (table->known->attributes[i] == attribute)
			return true;
	return false;
}

/* The default of a column that the code does not know. */
static Datum
default_value(BankRelation *table, AttrNumber attribute, bool *isnull)
{
	Form_pg_attribute form = TupleDescAttr(RelationGetDescr(table->relation),
										   attribute - 1);
	Node	   *expression = NULL;
	Datum		value = (Datum) 0;

	*isnull = true;
	if (form->atthasdef)
		expression = build_column_default(table->relation, attribute);
	if (expression != NULL)
		value = ExecEvalExprSwitchContext(ExecPrepareExpr((Expr *) expression,
														  table->defaults),
										  GetPerTupleExprContext(table->defaults),
										  isnull);
	if (form->attnotnull && *isnull)
		bank_table_raise_not_fillable(table->known->shape, NameStr(form->attname));
	return value;
}

/* Puts a row into a slot; what the code does not know of it is null. */
static void
store_known(const BankRelation *table, TupleTableSlot *slot, const BankRow *row)
{
	ExecClearTuple(slot);
	if (has_unknown(table))
		memset(slot->tts_isnull, true,
			   slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < table->known->shape->ncolumns; i++)
	{
		slot->tts_values[table->known->attributes[i] - 1] = row->values[i];
		slot->tts_isnull[table->known->attributes[i] - 1] = row->nulls[i];
	}
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(table->relation);
}

static void
fill_unknown(BankRelation *table, TupleTableSlot *slot)
{
	TupleDesc	descriptor = slot->tts_tupleDescriptor;

	if (!has_unknown(table))
		return;
	for (AttrNumber a = 1; a <= descriptor->natts; a++)
		if (!TupleDescAttr(descriptor, a - 1)->attisdropped && !is_known(table, a))
			slot->tts_values[a - 1] =
				default_value(table, a, &slot->tts_isnull[a - 1]);
}

/* One row needs no slot of its own. */
static TupleTableSlot **
make_slots(const BankRelation *table, int nslots)
{
	TupleTableSlot **slots = palloc(nslots * sizeof(TupleTableSlot *));
	TupleDesc	descriptor;

	slots[0] = table->slot;
	if (nslots == 1)
		return slots;
	/* a copy has no reference count, which each slot would raise and lower */
	descriptor = CreateTupleDescCopy(RelationGetDescr(table->relation));
	for (int i = 1; i < nslots; i++)
		slots[i] = MakeSingleTupleTableSlot(descriptor,
											table_slot_callbacks(table->relation));
	return slots;
}

/*
 * Inserts rows in the order of their numbers, and their index entries in
 * key_order (null: the same).
 */
static void
insert_rows(BankRelation *table, BankRowMaker maker, void *context,
			const int *key_order, int nrows)
{
	TupleTableSlot **slots = make_slots(table, nrows);

	for (int i = 0; i < nrows; i++)
	{
		BankRow		row = {0};

		maker(i, context, &row);
		store_known(table, slots[i], &row);
		fill_unknown(table, slots[i]);
	}
	table_multi_insert(table->relation, slots, nrows, GetCurrentCommandId(true),
					   0, NULL);
	for (int i = 0; i < nrows; i++)
		bank_indexes_insert(&table->indexes,
							slots[key_order == NULL ? i : key_order[i]],
							BANK_INDEXES_NEW);
	ExecClearTuple(table->slot);
	for (int i = 1; i < nrows; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	pfree(slots);
}

static void
copy_row(int i, void *given, BankRow *row)
{
	*row = *(const BankRow *) given;
}

/* Inserts one row. */
void
bank_relation_insert(BankRelation *table, const BankRow *row)
{
	insert_rows(table, copy_row, (void *) row, NULL, 1);
}

static bool
is_refused_by_key(const BankRelation *table, const ErrorData *error)
{
	const char *key = get_rel_name(primary_key_of(table));

	return error->constraint_name != NULL && key != NULL &&
		strcmp(error->constraint_name, key) == 0;
}

/*
 * Two sessions used one key at the same moment for different accounts, so
 * that no row lock made one of them wait: the index decided.
 */
static void
raise_key_reused(const pg_uuid_t *only_key)
{
	if (only_key == NULL)
		bank_errors_raise_key_reused("A key was used at the same moment by another call.");
	bank_errors_raise_key_reused(psprintf("Key %s was used at the same moment by another call.",
										  bank_uuid_text(only_key)));
}

/* Null where there are more. */
static const pg_uuid_t *
key_of_only_row(BankRowMaker maker, void *context, int nrows)
{
	BankRow		row = {0};

	if (nrows != 1)
		return NULL;
	maker(0, context, &row);
	return DatumGetUUIDP(row.values[0]);
}

/*
 * Inserts rows whose first column is a key of the caller's.  Rows are written
 * in the order of their numbers, index entries in that of the keys, so that
 * two calls cannot wait for each other.  Raises LG008 where the primary key
 * refuses one.
 */
void
bank_relation_insert_keyed(BankRelation *table, BankRowMaker maker, void *context,
						   const int *key_order, int nrows)
{
	MemoryContext memory = CurrentMemoryContext;

	PG_TRY();
	{
		insert_rows(table, maker, context, key_order, nrows);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		MemoryContextSwitchTo(memory);
		if (!is_refused_by_key(table, CopyErrorData()))
			PG_RE_THROW();
		FlushErrorState();
		raise_key_reused(key_of_only_row(maker, context, nrows));
	}
	PG_END_TRY();
}

/* Gives a row what the version before it has in columns that the code does not know. */
static void
keep_unknown(const BankRelation *table, TupleTableSlot *slot, TupleTableSlot *before)
{
	slot_getallattrs(before);
	for (AttrNumber a = 1; a <= slot->tts_tupleDescriptor->natts; a++)
		if (!is_known(table, a))
		{
			slot->tts_values[a - 1] = before->tts_values[a - 1];
			slot->tts_isnull[a - 1] = before->tts_isnull[a - 1];
		}
}

static void
update_row(BankRelation *table, const ItemPointerData *place)
{
	ItemPointerData replaced = *place;
	BankUpdatedIndexes updated;

	simple_table_tuple_update(table->relation, &replaced, table->slot,
							  GetActiveSnapshot(), &updated);
	if (BANK_INDEXES_UPDATED(updated))
		bank_indexes_insert(&table->indexes, table->slot, updated);
	ExecClearTuple(table->slot);
}

/*
 * Writes a row over the version that the caller has locked.  Columns that the
 * code does not know keep what they have.
 */
void
bank_relation_update(BankRelation *table, const ItemPointerData *place,
					 const BankRow *row)
{
	TupleTableSlot *before;
	ItemPointerData replaced = *place;

	store_known(table, table->slot, row);
	if (!has_unknown(table))
	{
		update_row(table, place);
		return;
	}
	before = table_slot_create(table->relation, NULL);
	if (!table_tuple_fetch_row_version(table->relation, &replaced, SnapshotAny, before))
		elog(ERROR, "a locked row of \"%s\" is gone", table->known->shape->table);
	keep_unknown(table, table->slot, before);
	update_row(table, place);
	ExecDropSingleTupleTableSlot(before);
}
