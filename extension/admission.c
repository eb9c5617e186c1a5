/*
 * Rate and circuit towards BACEN, kept in one row.
 *
 * Promises:  all who send share one bucket and one circuit; the row is locked
 *            only where it limits or changes, and never over a network's wait.
 * Locks:     the row of bank_report.gate, until the transaction ends.
 * Raises:    22000 where the row is gone; 22004, 22023.
 * Not here:  what opens, closes and fills (common/gate.c).
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "admission.h"
#include "bank.h"

PG_FUNCTION_INFO_V1(bank_admission_admit);
PG_FUNCTION_INFO_V1(bank_admission_note_answers);

/* Columns of both queries, in this order. */
enum
{
	TOKENS = 1,
	REFILLED_AT,
	FAILURES,
	OPENINGS,
	OPENED_UNTIL,
	PROBING,
	SLOWDOWNS,
	PAUSED_UNTIL
};

#define GATE_COLUMNS PAUSED_UNTIL

#define READ_QUERY \
	"SELECT g.tokens, g.refilled_at, g.failures, g.openings, g.opened_until," \
	" g.probing, g.slowdowns, g.paused_until FROM bank_report.gate AS g"

static const char write_query[] =
	"UPDATE bank_report.gate SET tokens = $1, refilled_at = $2, failures = $3,"
	" openings = $4, opened_until = $5, probing = $6, slowdowns = $7,"
	" paused_until = $8";

static Datum
column(HeapTuple row, int number)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, SPI_tuptable->tupdesc, number, &is_null);

	return is_null ? (Datum) 0 : value;
}

static void
read_gate(BankGate *gate, SPIPlanPtr * plan, const char *query)
{
	HeapTuple	row;

	if (*plan == NULL)
	{
		*plan = SPI_prepare(query, 0, NULL);
		SPI_keepplan(*plan);
	}
	SPI_execute_plan(*plan, NULL, NULL, false, 1);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("table bank_report.gate has lost its row"),
				 errhint("Run INSERT INTO bank_report.gate DEFAULT VALUES.")));
	row = SPI_tuptable->vals[0];
	gate->tokens = DatumGetFloat8(column(row, TOKENS));
	gate->refilled_at = DatumGetTimestampTz(column(row, REFILLED_AT));
	gate->failures = DatumGetInt32(column(row, FAILURES));
	gate->openings = DatumGetInt32(column(row, OPENINGS));
	gate->opened_until = DatumGetTimestampTz(column(row, OPENED_UNTIL));
	gate->probing = DatumGetBool(column(row, PROBING));
	gate->slowdowns = DatumGetInt32(column(row, SLOWDOWNS));
	gate->paused_until = DatumGetTimestampTz(column(row, PAUSED_UNTIL));
	SPI_freetuptable(SPI_tuptable);
}

static void
look_at_gate(BankGate *gate)
{
	static SPIPlanPtr plan = NULL;

	read_gate(gate, &plan, READ_QUERY);
}

static void
lock_gate(BankGate *gate)
{
	static SPIPlanPtr plan = NULL;

	read_gate(gate, &plan, READ_QUERY " FOR UPDATE");
}

static void
write_gate(const BankGate *gate)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[GATE_COLUMNS] = {FLOAT8OID, TIMESTAMPTZOID, INT4OID,
	INT4OID, TIMESTAMPTZOID, BOOLOID, INT4OID, TIMESTAMPTZOID};
	Datum		values[GATE_COLUMNS] = {
		Float8GetDatum(gate->tokens), TimestampTzGetDatum(gate->refilled_at),
		Int32GetDatum(gate->failures), Int32GetDatum(gate->openings),
		TimestampTzGetDatum(gate->opened_until), BoolGetDatum(gate->probing),
		Int32GetDatum(gate->slowdowns), TimestampTzGetDatum(gate->paused_until)
	};
	char		nulls[] = "        ";

	nulls[OPENED_UNTIL - 1] = gate->opened_until == 0 ? 'n' : ' ';
	nulls[PAUSED_UNTIL - 1] = gate->paused_until == 0 ? 'n' : ' ';
	if (plan == NULL)
	{
		plan = SPI_prepare(write_query, GATE_COLUMNS, types);
		SPI_keepplan(plan);
	}
	SPI_execute_plan(plan, values, nulls, false, 0);
}

BankAdmission
bank_admission_take(int wanted)
{
	BankGateTerms terms = {
		.rate = bank_bacen_rate,
		.probe_us = 2 * (int64) bank_bacen_timeout * 1000
	};
	TimestampTz now = GetCurrentTimestamp();
	BankAdmission admission = {.admitted = wanted};
	BankGate	gate;

	look_at_gate(&gate);
	if (bank_gate_is_free(&gate, &terms, now))
		return admission;
	lock_gate(&gate);
	admission.admitted = bank_gate_admit(&gate, &terms, now, wanted);
	admission.is_shut = admission.admitted == 0 &&
		bank_gate_is_shut(&gate, &terms, now);
	if (admission.admitted > 0)
		write_gate(&gate);
	return admission;
}

void
bank_admission_note(const BankGateAnswers *answers)
{
	BankGate	gate;

	look_at_gate(&gate);
	if (!bank_gate_note(&gate, answers, GetCurrentTimestamp()))
		return;
	lock_gate(&gate);
	if (bank_gate_note(&gate, answers, GetCurrentTimestamp()))
		write_gate(&gate);
}

static int
natural_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	bank_require_argument(PG_ARGISNULL(number), name);
	bank_require_range(name, PG_GETARG_INT32(number), 0, PG_INT32_MAX);
	return PG_GETARG_INT32(number);
}

/* How many of wanted sends may begin now: what bank-bridge report asks. */
Datum
bank_admission_admit(PG_FUNCTION_ARGS)
{
	int			wanted = natural_argument(fcinfo, 0, "wanted");
	int			admitted;

	bank_require_writer("bank_report.admit");
	SPI_connect();
	admitted = bank_admission_take(wanted).admitted;
	SPI_finish();
	PG_RETURN_INT32(admitted);
}

/* What BACEN answered to bank-bridge report. */
Datum
bank_admission_note_answers(PG_FUNCTION_ARGS)
{
	BankGateAnswers answers = {
		.answered = natural_argument(fcinfo, 0, "answered"),
		.failed = natural_argument(fcinfo, 1, "failed"),
		.slowed = natural_argument(fcinfo, 2, "slowed"),
		.pause_s = natural_argument(fcinfo, 3, "pause_s")
	};

	bank_require_writer("bank_report.note_answers");
	SPI_connect();
	bank_admission_note(&answers);
	SPI_finish();
	PG_RETURN_VOID();
}
