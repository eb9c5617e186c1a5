/*
 * How far a long verification is, told in notices: one when it has run for
 * bank.progress_interval, and then one for each such time.
 *
 * All its parts count what they go through here, those in SQL too, so that a
 * statement tells at one pace whatever it is at.
 *
 * Memory: what is counted is the backend's, and begins anew in each statement.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "bank.h"
#include "progress.h"

PG_FUNCTION_INFO_V1(bank_progress_is_counted);

/* The clock is read once for so many rows. */
#define ROWS_PER_LOOK 1024

/* Longest name of what is counted, its end included. */
#define NAME_SIZE 32

static TimestampTz statement;	/* when the one that counts began */
static TimestampTz told_at;
static int64 looks;
static char counted[NAME_SIZE];
static int64 rows;

static void
begin_with_statement(void)
{
	if (statement == GetCurrentStatementStartTimestamp())
		return;
	statement = GetCurrentStatementStartTimestamp();
	told_at = statement;
	counted[0] = '\0';
}

/* Called for each row: whether it is time to tell; who asks then tells. */
bool
bank_progress_is_due(void)
{
	TimestampTz now;

	if (bank_progress_interval > 0 && ++looks % ROWS_PER_LOOK != 0)
		return false;
	begin_with_statement();
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(told_at, now, bank_progress_interval))
		return false;
	told_at = now;
	return true;
}

/* Counts one of what is verified, and tells how many when it is time. */
void
bank_progress_count(const char *what)
{
	begin_with_statement();
	if (strcmp(what, counted) != 0)
	{
		strlcpy(counted, what, NAME_SIZE);
		rows = 0;
	}
	rows++;
	if (bank_progress_is_due())
		ereport(NOTICE,
				(errmsg("verified " INT64_FORMAT " %s so far", rows, counted)));
}

/*
 * is_counted(what, row): the same for SQL, where it stands among the conditions
 * of a table's rows; always true.  Raises 22004.
 */
Datum
bank_progress_is_counted(PG_FUNCTION_ARGS)
{
	char		what[NAME_SIZE];

	bank_require_argument(PG_ARGISNULL(0), "what");
	text_to_cstring_buffer(PG_GETARG_TEXT_PP(0), what, NAME_SIZE);
	bank_progress_count(what);
	PG_RETURN_BOOL(true);
}
