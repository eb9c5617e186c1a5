/*
 * A row by its key, for a call that is about to write.
 */
#ifndef BANK_LOOKUP_H
#define BANK_LOOKUP_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* No table of ours has more columns in its primary key. */
#define BANK_LOOKUP_KEYS_MAX 2

/* A unique index that is open for one lookup after the other; unset: not open. */
typedef struct BankLookup
{
	Relation	index;
	IndexScanDesc scan;
	int			nkeys;
	AttrNumber	columns[BANK_LOOKUP_KEYS_MAX];	/* of the index, for each key */
} BankLookup;

extern void bank_lookup_open(BankLookup *lookup, Relation table, Oid index_id,
							 const ScanKeyData *keys, int nkeys);
extern bool bank_lookup_is_open(const BankLookup *lookup);
extern bool bank_lookup(BankLookup *lookup, Relation table, ScanKey keys,
						Snapshot snapshot, TupleTableSlot *slot);
extern void bank_lookup_close(BankLookup *lookup);

#endif
