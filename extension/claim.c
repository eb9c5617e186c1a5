/*
 * Claims on notifications that are due, and what came of each.
 *
 * Promises:  attempts only grows, and each number of it is sent once at most
 *            (invariant 11); the result of an attempt whose lease was lost to
 *            a later one changes nothing; a clock that steps back keeps no row
 *            for longer than the longest it may be kept.
 * Locks:     the rows claimed or settled, until the next commit; rows that
 *            others have locked are left to them.
 * Not here:  the sending (retry.c), requeueing (notification.c).
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "bank.h"
#include "claim.h"

/*
 * A moment further ahead than any we set was left behind by a stepping clock;
 * small steps count for nothing.
 * What nobody has tried, or somebody has just requeued, was due when stored.
 */
static const char recall_query[] =
	"WITH left_behind AS ("
	" SELECT l.transfer_id FROM bank_report.notification AS l"
	" WHERE l.state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'sending'])"
	" AND l.next_attempt_at OPERATOR(pg_catalog.>) $1"
	" AND l.next_attempt_at OPERATOR(pg_catalog.>)"
	"  CASE WHEN l.state OPERATOR(pg_catalog.=) 'sending' THEN $2"
	"  WHEN l.attempts OPERATOR(pg_catalog.=) l.requeued_after THEN $1"
	"  ELSE $3 END"
	" FOR UPDATE SKIP LOCKED) "
	"UPDATE bank_report.notification AS n SET next_attempt_at = $1 "
	"FROM left_behind AS l WHERE n.transfer_id OPERATOR(pg_catalog.=) l.transfer_id";

/* The predicate of both is that of the index notification_due_idx. */
static const char due_query[] =
	"SELECT pg_catalog.count(*) FROM (SELECT FROM bank_report.notification AS d"
	" WHERE d.state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'sending'])"
	" AND d.next_attempt_at OPERATOR(pg_catalog.<=) $1 LIMIT $2) AS due";

static const char claim_query[] =
	"WITH due AS ("
	" SELECT d.transfer_id FROM bank_report.notification AS d"
	" WHERE d.state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'sending'])"
	" AND d.next_attempt_at OPERATOR(pg_catalog.<=) $1"
	" ORDER BY d.next_attempt_at USING OPERATOR(pg_catalog.<)"
	" LIMIT $2 FOR UPDATE SKIP LOCKED) "
	"UPDATE bank_report.notification AS n SET state = 'sending',"
	" attempts = n.attempts OPERATOR(pg_catalog.+) 1,"
	" first_attempt_at = COALESCE(n.first_attempt_at, $3),"
	" next_attempt_at = $4 "
	"FROM due WHERE n.transfer_id OPERATOR(pg_catalog.=) due.transfer_id "
	"RETURNING n.transfer_id::pg_catalog.text, n.from_account::pg_catalog.text,"
	" n.to_account::pg_catalog.text, n.currency, " BANK_SQL_TIME("n.completed_at") ","
	" n.amount, n.attempts, n.requeued_after";

static const char settle_query[] =
	"UPDATE bank_report.notification AS n SET state = $3, next_attempt_at = $4,"
	" delivered_at = $5, last_status = $6, last_error = $7 "
	"WHERE n.transfer_id OPERATOR(pg_catalog.=) $1::pg_catalog.uuid"
	" AND n.attempts OPERATOR(pg_catalog.=) $2"
	" AND n.state OPERATOR(pg_catalog.=) 'sending'";

static TimestampTz
after_ms(TimestampTz time, int64 milliseconds)
{
	return time + milliseconds * 1000;
}

static void
copy_text(char *buffer, size_t size, HeapTuple row, int column)
{
	const char *text = SPI_getvalue(row, SPI_tuptable->tupdesc, column);

	if (text == NULL || !bank_text_copy(buffer, size, text))
		elog(ERROR, "unexpected text in column %d of a claimed notification", column);
}

static Datum
datum(HeapTuple row, int column)
{
	bool		is_null;

	return SPI_getbinval(row, SPI_tuptable->tupdesc, column, &is_null);
}

static void
read_claim(BankClaim *claim, HeapTuple row)
{
	BankBacenNotification *n = &claim->notification;

	copy_text(n->transfer_id, sizeof(n->transfer_id), row, 1);
	copy_text(n->from_account, sizeof(n->from_account), row, 2);
	copy_text(n->to_account, sizeof(n->to_account), row, 3);
	copy_text(n->currency, sizeof(n->currency), row, 4);
	copy_text(n->completed_at, sizeof(n->completed_at), row, 5);
	n->amount = DatumGetInt64(datum(row, 6));
	n->attempt = DatumGetInt32(datum(row, 7));
	claim->requeued_after = DatumGetInt32(datum(row, 8));
}

void
bank_claim_recall(TimestampTz now)
{
	Oid			types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		TimestampTzGetDatum(now),
		TimestampTzGetDatum(after_ms(now, 2 * BANK_BACEN_TIMEOUT_MAX_MS)),
		TimestampTzGetDatum(after_ms(now, BANK_BACEN_DELAY_MAX_MS +
									 bank_max_clock_lead * INT64CONST(1000)))
	};

	SPI_execute_with_args(recall_query, lengthof(types), types, values, NULL, false, 0);
}

int
bank_claim_count_due(int max, TimestampTz due)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZOID, INT8OID};
	Datum		values[] = {TimestampTzGetDatum(due), Int64GetDatum(max)};
	int			count;

	if (plan == NULL)
	{
		plan = SPI_prepare(due_query, lengthof(types), types);
		SPI_keepplan(plan);
	}
	SPI_execute_plan(plan, values, NULL, false, 1);
	count = (int) DatumGetInt64(datum(SPI_tuptable->vals[0], 1));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

int
bank_claim_take(BankClaim *claims, int max, TimestampTz due)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[] = {
		TimestampTzGetDatum(due), Int64GetDatum(max), TimestampTzGetDatum(now),
		TimestampTzGetDatum(after_ms(now, 2 * bank_bacen_timeout))
	};
	int			count;

	if (plan == NULL)
	{
		plan = SPI_prepare(claim_query, lengthof(types), types);
		SPI_keepplan(plan);
	}
	SPI_execute_plan(plan, values, NULL, false, 0);
	count = (int) SPI_processed;
	for (int i = 0; i < count; i++)
		read_claim(&claims[i], SPI_tuptable->vals[i]);
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* last_error arrives as UTF-8; a database of another encoding keeps ASCII. */
static Datum
error_datum(const char *error)
{
	char	   *text = pstrdup(error);

	for (char *c = text; GetDatabaseEncoding() != PG_UTF8 && *c != '\0'; c++)
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	return CStringGetTextDatum(text);
}

/* What becomes of the row: its state, and when it is due again if it is. */
static const char *
next_state(const BankClaim *claim, const BankBacenOutcome *outcome,
		   int64 *delay_ms)
{
	int			counted = claim->notification.attempt - claim->requeued_after;

	*delay_ms = 0;
	if (outcome->verdict == BANK_BACEN_DELIVERED)
		return "delivered";
	if (outcome->verdict == BANK_BACEN_DEAD || counted >= bank_bacen_max_attempts)
		return "dead";
	*delay_ms = bank_bacen_delay_ms(counted, outcome->retry_after_s,
									pg_prng_double(&pg_global_prng_state));
	return "pending";
}

void
bank_claim_settle(const BankClaim *claim, const BankBacenOutcome *outcome)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, INT4OID, TEXTOID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, INT4OID, TEXTOID};
	TimestampTz now = GetCurrentTimestamp();
	int64		delay_ms;
	const char *state = next_state(claim, outcome, &delay_ms);
	Datum		values[] = {
		CStringGetTextDatum(claim->notification.transfer_id),
		Int32GetDatum(claim->notification.attempt),
		CStringGetTextDatum(state),
		TimestampTzGetDatum(after_ms(now, delay_ms)),
		TimestampTzGetDatum(now),
		Int32GetDatum(outcome->status),
		error_datum(outcome->error)
	};
	char		nulls[] = "       ";

	nulls[3] = strcmp(state, "pending") == 0 ? ' ' : 'n';
	nulls[4] = strcmp(state, "delivered") == 0 ? ' ' : 'n';
	nulls[5] = outcome->status != 0 ? ' ' : 'n';
	nulls[6] = outcome->error[0] != '\0' ? ' ' : 'n';
	if (plan == NULL)
	{
		plan = SPI_prepare(settle_query, lengthof(types), types);
		SPI_keepplan(plan);
	}
	SPI_execute_plan(plan, values, nulls, false, 0);
}
