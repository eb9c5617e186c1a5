/*
 * A row by its key, for a call that is about to write.
 *
 * The server clears a page of dead rows at each visit through an index, as
 * long as less of it is free than the table's fill factor leaves: so of an
 * account page, whose rows are updated where they are, one dead row at nearly
 * every visit.  Looking through all of the page and logging what was found
 * cost 5 % of a transfer.  Here a page is cleared when its room runs short, and
 * then of many rows at once.
 *
 * Locks: the index, until the end of the transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "bank.h"
#include "compat.h"
#include "lookup.h"

/* Room for some updates of one batch. */
#define ROOM (BLCKSZ / 4)

/* The number of an index's column, of a table's. */
static AttrNumber
index_column(Relation index, AttrNumber attribute)
{
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
		if (index->rd_index->indkey.values[i] == attribute)
			return (AttrNumber) (i + 1);
	elog(ERROR, "column %d is not in index \"%s\"", attribute,
		 RelationGetRelationName(index));
	return InvalidAttrNumber;
}

/* The version that the snapshot sees, of those that an index entry leads to. */
static bool
find_version(Relation table, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot,
			 bool *all_dead)
{
	HeapTuple	tuple = &((BufferHeapTupleTableSlot *) slot)->base.tupdata;
	Buffer		buffer = ReadBuffer(table, ItemPointerGetBlockNumber(tid));
	bool		found;

	if (PageGetHeapFreeSpace(BufferGetPage(buffer)) < ROOM)
		heap_page_prune_opt(table, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(tid, table, buffer, snapshot, tuple, all_dead, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (found)
	{
		tuple->t_self = *tid;
		tuple->t_tableOid = RelationGetRelid(table);
		ExecStoreBufferHeapTuple(tuple, slot, buffer);
	}
	ReleaseBuffer(buffer);
	return found;
}

/*
 * Opens a unique index of the table for lookups by keys on the same columns as
 * those given.
 */
void
bank_lookup_open(BankLookup *lookup, Relation table, Oid index_id,
				 const ScanKeyData *keys, int nkeys)
{
	Relation	index = index_open(index_id, AccessShareLock);

	Assert(nkeys <= BANK_LOOKUP_KEYS_MAX);
	for (int i = 0; i < nkeys; i++)
		lookup->columns[i] = index_column(index, keys[i].sk_attno);
	lookup->index = index;
	lookup->nkeys = nkeys;
	lookup->scan = BANK_INDEX_BEGINSCAN(table, index, GetActiveSnapshot(), nkeys);
}

bool
bank_lookup_is_open(const BankLookup *lookup)
{
	return lookup->index != NULL;
}

/*
 * Puts the row of a unique key into the slot, which is one of the table's and
 * is to be cleared soon.  False when there is none.
 */
bool
bank_lookup(BankLookup *lookup, Relation table, ScanKey keys, Snapshot snapshot,
			TupleTableSlot *slot)
{
	IndexScanDesc scan = lookup->scan;
	ItemPointer tid;
	bool		found = false;

	for (int i = 0; i < lookup->nkeys; i++)
		keys[i].sk_attno = lookup->columns[i];
	scan->xs_snapshot = snapshot;
	index_rescan(scan, keys, lookup->nkeys, NULL, 0);
	while (!found && (tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
		found = find_version(table, tid, snapshot, slot, &scan->kill_prior_tuple);
	return found;
}

/* Closes the index, where it is open. */
void
bank_lookup_close(BankLookup *lookup)
{
	if (!bank_lookup_is_open(lookup))
		return;
	index_endscan(lookup->scan);
	index_close(lookup->index, NoLock);
	lookup->index = NULL;
}
