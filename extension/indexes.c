/*
 * The indexes of a table that is written, whichever an operator has added:
 * the executor inserts into them.
 *
 * What the executor wants to know of an index, its predicate made ready to
 * run above all, costs more than an insertion, and does not change from call
 * to call.  So it is prepared once a backend, and again after any of the
 * table's or the index's definition changed.
 *
 * Locks: the indexes, as the executor does, until they are closed.
 *
 * Memory: what is prepared has a context of its own, which outlives the call;
 * one that is out of date goes with the transaction, in which it may be in
 * use.
 *
 * Raises: 0A000 for a deferrable constraint.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "bank.h"
#include "indexes.h"

typedef struct Prepared
{
	Oid			table;
	bool		is_current;
	MemoryContext context;		/* of this struct and all it points to */
	EState	   *estate;
	int			nindexes;
	Oid		   *index_ids;
	IndexInfo **infos;
	struct Prepared *next;
} Prepared;

static Prepared *all_prepared = NULL;
static uint64 changes = 0;		/* of any relation, seen by this backend */

static bool
concerns(const Prepared *prepared, Oid relation)
{
	if (!OidIsValid(relation) || relation == prepared->table)
		return true;
	for (int i = 0; i < prepared->nindexes; i++)
		if (relation == prepared->index_ids[i])
			return true;
	return false;
}

/* Called by the server for each relation whose definition has changed. */
static void
forget_changed(Datum argument, Oid relation)
{
	changes++;
	for (Prepared *one = all_prepared; one != NULL; one = one->next)
		if (concerns(one, relation))
			one->is_current = false;
}

/* A deferred check would be ours to make at commit, and nobody makes it. */
static void
require_immediate(Relation table, Relation index)
{
	if (!index->rd_index->indimmediate)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("constraint \"%s\" of table \"%s.%s\" is deferrable",
						RelationGetRelationName(index), BANK_LEDGER_SCHEMA,
						RelationGetRelationName(table)),
				 errhint("Make it NOT DEFERRABLE.")));
}

static IndexInfo *
prepare_index(Relation table, Oid index_id, EState *estate)
{
	Relation	index = index_open(index_id, RowExclusiveLock);
	IndexInfo  *info;

	require_immediate(table, index);
	info = BuildIndexInfo(index);
	if (info->ii_Predicate != NIL)
		info->ii_PredicateState = ExecPrepareQual(info->ii_Predicate, estate);
	if (info->ii_Expressions != NIL)
		info->ii_ExpressionsState = ExecPrepareExprList(info->ii_Expressions, estate);
	index_close(index, NoLock);
	return info;
}

static void
prepare_all(Prepared *prepared, Relation table)
{
	List	   *index_ids = RelationGetIndexList(table);
	ListCell   *cell;

	prepared->table = RelationGetRelid(table);
	prepared->estate = CreateExecutorState();
	prepared->index_ids = palloc(list_length(index_ids) * sizeof(Oid));
	prepared->infos = palloc(list_length(index_ids) * sizeof(IndexInfo *));
	foreach(cell, index_ids)
	{
		int			i = prepared->nindexes;

		prepared->index_ids[i] = lfirst_oid(cell);
		prepared->infos[i] = prepare_index(table, lfirst_oid(cell), prepared->estate);
		prepared->nindexes++;
	}
}

/* One that is out of date may still serve a call of this transaction. */
static void
remove_from_all(Prepared *prepared)
{
	Prepared  **place = &all_prepared;

	while (*place != prepared)
		place = &(*place)->next;
	*place = prepared->next;
	MemoryContextSetParent(prepared->context, TopTransactionContext);
}

/*
 * A change that arrives while its parts are looked up leaves it out of date
 * from the start: good for this call, as it is for the executor.
 */
static Prepared *
prepare(Relation table)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "indexes of a table of bank",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Prepared   *prepared = palloc0(sizeof(Prepared));
	uint64		before = changes;

	prepared->context = context;
	prepare_all(prepared, table);
	prepared->is_current = changes == before;
	prepared->next = all_prepared;
	all_prepared = prepared;
	MemoryContextSetParent(context, CacheMemoryContext);
	MemoryContextSwitchTo(caller);
	return prepared;
}

static Prepared *
find_prepared(Relation table)
{
	static bool is_listening = false;
	Prepared   *found = all_prepared;

	if (!is_listening)
		CacheRegisterRelcacheCallback(forget_changed, (Datum) 0);
	is_listening = true;
	while (found != NULL && found->table != RelationGetRelid(table))
		found = found->next;
	if (found != NULL && found->is_current)
		return found;
	if (found != NULL)
		remove_from_all(found);
	return prepare(table);
}

/* What an access method keeps in it is this call's alone. */
static IndexInfo *
copy_info(const IndexInfo * prepared)
{
	IndexInfo  *info = palloc(sizeof(IndexInfo));

	*info = *prepared;
	info->ii_AmCache = NULL;
	info->ii_Context = CurrentMemoryContext;
	return info;
}

/*
 * Opens the indexes of a table that is open for writing.  There is no range
 * table to name the relation in, hence number 0.
 */
void
bank_indexes_open(BankIndexes *indexes, Relation table)
{
	Prepared   *prepared = find_prepared(table);
	ResultRelInfo *result = makeNode(ResultRelInfo);

	InitResultRelInfo(result, table, 0, NULL, 0);
	result->ri_IndexRelationDescs = palloc(prepared->nindexes * sizeof(Relation));
	result->ri_IndexRelationInfo = palloc(prepared->nindexes * sizeof(IndexInfo *));
	for (int i = 0; i < prepared->nindexes; i++)
	{
		result->ri_IndexRelationDescs[i] =
			index_open(prepared->index_ids[i], RowExclusiveLock);
		result->ri_IndexRelationInfo[i] = copy_info(prepared->infos[i]);
	}
	result->ri_NumIndices = prepared->nindexes;
	indexes->result = result;
	indexes->estate = prepared->estate;
}

/* Adds a row's entries: to all indexes, or those that an update touches. */
void
bank_indexes_insert(BankIndexes *indexes, TupleTableSlot *slot,
					BankUpdatedIndexes which)
{
	if (indexes->result->ri_NumIndices == 0)
		return;
	list_free(BANK_INSERT_INDEX_TUPLES(indexes->result, slot, indexes->estate,
									   which));
	ResetPerTupleExprContext(indexes->estate);
}

void
bank_indexes_close(BankIndexes *indexes)
{
	ExecCloseIndices(indexes->result);
}
