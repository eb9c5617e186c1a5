/*
 * What verify() answers: rows of invariant, subject and detail.
 */
#ifndef BANK_FINDING_H
#define BANK_FINDING_H

#include "funcapi.h"
#include "utils/tuplestore.h"

typedef struct BankFindings
{
	Tuplestorestate *store;
	TupleDesc	descriptor;
} BankFindings;

extern void bank_finding_open(BankFindings *findings, FunctionCallInfo fcinfo);
extern void bank_finding_add(BankFindings *findings, char invariant,
							 const char *subject, const char *detail);
extern const char *bank_finding_time(TimestampTz at);

#endif
