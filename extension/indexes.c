/*
 * The indexes of a table that is written, whichever an operator has added:
 * the executor inserts into them.
 *
 * What the executor wants to know of an index, its predicate made ready to
 * run above all, costs more than an insertion, and does not change from call
 * to call.  So it is prepared once (table.c says for how long it holds).  An
 * index is opened when a row first has an entry for it: most transfers have
 * none for three of the journal's.
 *
 * Locks: the indexes, as the executor does, until they are closed.
 *
 * Memory: what is prepared is under the context that the caller gives.
 *
 * Raises: 0A000 for a deferrable constraint.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "bank.h"
#include "indexes.h"

struct BankPreparedIndexes
{
	EState	   *estate;
	int			nindexes;
	Oid		   *ids;
	IndexInfo **infos;
};

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
prepare_index(Relation table, Oid id, EState *estate)
{
	Relation	index = index_open(id, RowExclusiveLock);
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

static BankPreparedIndexes *
prepare_all(Relation table)
{
	BankPreparedIndexes *prepared = palloc0(sizeof(BankPreparedIndexes));
	List	   *ids = RelationGetIndexList(table);
	ListCell   *cell;

	prepared->estate = CreateExecutorState();
	prepared->ids = palloc(list_length(ids) * sizeof(Oid));
	prepared->infos = palloc(list_length(ids) * sizeof(IndexInfo *));
	foreach(cell, ids)
	{
		prepared->ids[prepared->nindexes] = lfirst_oid(cell);
		prepared->infos[prepared->nindexes] =
			prepare_index(table, lfirst_oid(cell), prepared->estate);
		prepared->nindexes++;
	}
	return prepared;
}

/* Under the transaction until it is whole, so that an error leaves nothing. */
BankPreparedIndexes *
bank_indexes_prepare(Relation table, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "indexes of a table of bank",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	BankPreparedIndexes *prepared = prepare_all(table);

	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, parent);
	return prepared;
}

/* Whether an index is among those prepared, if any are. */
bool
bank_indexes_have(const BankPreparedIndexes *prepared, Oid index)
{
	for (int i = 0; prepared != NULL && i < prepared->nindexes; i++)
		if (index == prepared->ids[i])
			return true;
	return false;
}

/*
 * Begins with the indexes of a table that is open for writing.  The executor
 * looks at little more of the table than them: there is no range table to name
 * it in, and triggers are not fired.
 */
void
bank_indexes_open(BankIndexes *indexes, Relation table,
				  const BankPreparedIndexes *prepared)
{
	ResultRelInfo *result = makeNode(ResultRelInfo);

	result->ri_RelationDesc = table;
	result->ri_NumIndices = prepared->nindexes;
	result->ri_IndexRelationDescs = palloc0(prepared->nindexes * sizeof(Relation));
	result->ri_IndexRelationInfo = palloc0(prepared->nindexes * sizeof(IndexInfo *));
	indexes->prepared = prepared;
	indexes->result = result;
}

/* What an access method keeps in the copy is this call's alone. */
static void
open_index(BankIndexes *indexes, int i)
{
	IndexInfo  *info = palloc(sizeof(IndexInfo));

	*info = *indexes->prepared->infos[i];
	info->ii_AmCache = NULL;
	info->ii_Context = CurrentMemoryContext;
	indexes->result->ri_IndexRelationInfo[i] = info;
	indexes->result->ri_IndexRelationDescs[i] =
		index_open(indexes->prepared->ids[i], RowExclusiveLock);
}

static bool
is_open(const BankIndexes *indexes, int i)
{
	return indexes->result->ri_IndexRelationDescs[i] != NULL;
}

static bool
has_entry(const BankPreparedIndexes *prepared, int i, TupleTableSlot *slot)
{
	ExprContext *context = GetPerTupleExprContext(prepared->estate);

	context->ecxt_scantuple = slot;
	return ExecQual(prepared->infos[i]->ii_PredicateState, context);
}

/*
 * Adds a row's entries: to all indexes, or those that an update touches.  The
 * executor passes over an index that is not open.
 */
void
bank_indexes_insert(BankIndexes *indexes, TupleTableSlot *slot,
					BankUpdatedIndexes which)
{
	EState	   *estate = indexes->prepared->estate;

	for (int i = 0; i < indexes->prepared->nindexes; i++)
		if (!is_open(indexes, i) && has_entry(indexes->prepared, i, slot))
			open_index(indexes, i);
	if (indexes->prepared->nindexes > 0)
		list_free(BANK_INSERT_INDEX_TUPLES(indexes->result, slot, estate, which));
	ResetPerTupleExprContext(estate);
}

/* Closes those that are open; more may be opened after. */
void
bank_indexes_close(BankIndexes *indexes)
{
	Relation   *relations = indexes->result->ri_IndexRelationDescs;

	for (int i = 0; i < indexes->prepared->nindexes; i++)
		if (is_open(indexes, i))
		{
			BANK_INDEX_INSERT_CLEANUP(relations[i],
									  indexes->result->ri_IndexRelationInfo[i]);
			index_close(relations[i], RowExclusiveLock);
			relations[i] = NULL;
		}
}

/* The same where the subtransaction that opened them has failed and closed them. */
void
bank_indexes_forget(BankIndexes *indexes)
{
	for (int i = 0; i < indexes->prepared->nindexes; i++)
		indexes->result->ri_IndexRelationDescs[i] = NULL;
}
