/*
 * A row by its key, for a call that is about to write.
 */
#ifndef BANK_LOOKUP_H
#define BANK_LOOKUP_H

#include "access/skey.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

extern bool bank_lookup(Relation table, Oid index_id, ScanKey keys, int nkeys,
						Snapshot snapshot, TupleTableSlot *slot);

#endif
