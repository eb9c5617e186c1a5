/*
 * The indexes of a table, made ready and open for writing.
 */
#ifndef BANK_INDEXES_H
#define BANK_INDEXES_H

#include "nodes/execnodes.h"

#include "compat.h"

typedef struct BankPreparedIndexes BankPreparedIndexes;

/* An index is opened when a row first has an entry for it. */
typedef struct BankIndexes
{
	const BankPreparedIndexes *prepared;
	ResultRelInfo *result;
} BankIndexes;

extern BankPreparedIndexes *bank_indexes_prepare(Relation table,
												 MemoryContext parent);
extern bool bank_indexes_have(const BankPreparedIndexes *prepared, Oid index);
extern void bank_indexes_open(BankIndexes *indexes, Relation table,
							  const BankPreparedIndexes *prepared);
extern void bank_indexes_insert(BankIndexes *indexes, TupleTableSlot *slot,
								BankUpdatedIndexes which);
extern void bank_indexes_close(BankIndexes *indexes);
extern void bank_indexes_forget(BankIndexes *indexes);

#endif
