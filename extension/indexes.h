/*
 * The indexes of a table, open for writing.
 */
#ifndef BANK_INDEXES_H
#define BANK_INDEXES_H

#include "nodes/execnodes.h"

#include "compat.h"

typedef struct BankIndexes
{
	ResultRelInfo *result;
	EState	   *estate;			/* kept from call to call, as is what it holds */
} BankIndexes;

extern void bank_indexes_open(BankIndexes *indexes, Relation table);
extern void bank_indexes_insert(BankIndexes *indexes, TupleTableSlot *slot,
								BankUpdatedIndexes which);
extern void bank_indexes_close(BankIndexes *indexes);

#endif
