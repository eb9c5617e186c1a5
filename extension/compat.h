/*
 * Every difference between PostgreSQL 15 and 18 that we meet, one branch
 * each; a line goes with the version that needed it.
 */
#ifndef BANK_COMPAT_H
#define BANK_COMPAT_H

#include "access/tableam.h"
#include "executor/executor.h"
#include "utils/snapmgr.h"

#if PG_VERSION_NUM >= 180000
#define BANK_PRIMARY_KEY(relation) RelationGetPrimaryKeyIndex(relation, false)
#define BANK_INDEX_BEGINSCAN(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#define pg_attribute_noreturn() __attribute__((noreturn))
#else
#define BANK_PRIMARY_KEY(relation) RelationGetPrimaryKeyIndex(relation)
#define BANK_INDEX_BEGINSCAN(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, nkeys, 0)
#endif

#if PG_VERSION_NUM >= 170000
#define BANK_INDEX_INSERT_CLEANUP(index, info) index_insert_cleanup(index, info)
#define BANK_SNAPSHOTS_EXPIRE false
#else
#define BANK_SNAPSHOTS_EXPIRE (old_snapshot_threshold >= 0)
#define BANK_INDEX_INSERT_CLEANUP(index, info) ((void) (info))
#endif

#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes BankUpdatedIndexes;
#define BANK_INDEXES_UPDATED(updated) ((updated) != TU_None)
#define BANK_INSERT_INDEX_TUPLES(result, slot, estate, updated) \
	ExecInsertIndexTuples(result, slot, estate, \
						  (updated) != TU_None, false, NULL, NIL, \
						  (updated) == TU_Summarizing)
#define BANK_INDEXES_NEW TU_None
#else
typedef bool BankUpdatedIndexes;
#define BANK_INDEXES_UPDATED(updated) (updated)
#define BANK_INSERT_INDEX_TUPLES(result, slot, estate, updated) \
	ExecInsertIndexTuples(result, slot, estate, updated, false, NULL, NIL)
#define BANK_INDEXES_NEW false
#endif

#if PG_VERSION_NUM >= 160000
#define BANK_BACKEND_STATUS(index) pgstat_get_local_beentry_by_index((index) + 1)
#else
#define BANK_BACKEND_STATUS(index) pgstat_fetch_stat_local_beentry((index) + 1)
#endif

#endif
