/*
 * The rows that verify() answers, collected as they are found.
 *
 * Memory: rows are copied into the function's result.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "bank.h"
#include "finding.h"

/* The results of a function that returns invariant, subject, detail. */
void
bank_finding_open(BankFindings *findings, FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	findings->store = result->setResult;
	findings->descriptor = result->setDesc;
	bank_require_columns(findings->descriptor, 3, "the result of verify");
}

void
bank_finding_add(BankFindings *findings, char invariant, const char *subject,
				 const char *detail)
{
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = PointerGetDatum(cstring_to_text_with_len(&invariant, 1));
	values[1] = CStringGetTextDatum(subject);
	values[2] = CStringGetTextDatum(detail);
	tuplestore_putvalues(findings->store, findings->descriptor, values, nulls);
}

/* A date as a detail shows it; palloc'd. */
const char *
bank_finding_time(TimestampTz at)
{
	return DatumGetCString(DirectFunctionCall1(timestamptz_out,
											   TimestampTzGetDatum(at)));
}
