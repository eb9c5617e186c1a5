/*
 * The jobs of pg_cron: the retry towards BACEN, and the expiry of holds.
 *
 * Promises:  there is one job of each at most; scheduling again replaces it.
 * Raises:    0A000 without pg_cron or a role that can run the job; 22004,
 *            22023; what caller.c raises.
 * Not here:  what the jobs do (retry.c, expiry.c).
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type_d.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "bank.h"

PG_FUNCTION_INFO_V1(bank_notification_schedule);
PG_FUNCTION_INFO_V1(bank_notification_unschedule);
PG_FUNCTION_INFO_V1(bank_expiry_schedule);
PG_FUNCTION_INFO_V1(bank_expiry_unschedule);

/* Both jobs run as this role, never as a superuser. */
#define JOB_ROLE "bank_report"

typedef struct Job
{
	const char *name;
	const char *command;
} Job;

static const Job retry_job = {
	"bank_report.retry", "CALL bank_report.retry()"
};

static const Job expiry_job = {
	"bank.expire_holds", "SELECT bank.expire_holds()"
};

#define MINUTES_OF_HOUR 60
#define MINUTES_OF_DAY 1440

/* When to run, as pg_cron reads it; NULL where it could not be regular. */
static const char *
cron_times(int minutes)
{
	int			hours = minutes / MINUTES_OF_HOUR;

	if (minutes < 1 || minutes > MINUTES_OF_DAY)
		return NULL;
	if (minutes == MINUTES_OF_DAY)
		return "0 0 * * *";
	if (minutes == MINUTES_OF_HOUR)
		return "0 * * * *";
	if (MINUTES_OF_HOUR % minutes == 0)
		return psprintf("*/%d * * * *", minutes);
	if (minutes % MINUTES_OF_HOUR == 0 && MINUTES_OF_DAY % minutes == 0)
		return psprintf("0 */%d * * *", hours);
	return NULL;
}

static const char *
require_cron_times(int minutes)
{
	const char *times = cron_times(minutes);

	if (times == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot schedule a job at that interval"),
				 errdetail("The interval is %d minutes.", minutes),
				 errhint("Give a divisor of 60, or a multiple of 60 that divides 1440.")));
	return times;
}

static void
execute(const char *query, int count, Datum *values)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};

	SPI_execute_with_args(query, count, types, values, NULL, false, 0);
}

static void
require_pg_cron(void)
{
	execute("SELECT FROM pg_catalog.pg_extension AS e "
			"WHERE e.extname OPERATOR(pg_catalog.=) 'pg_cron'", 0, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pg_cron is not installed in database \"%s\"",
						get_database_name(MyDatabaseId)),
				 errhint("Set shared_preload_libraries to include pg_cron and cron.database_name to this database, restart, and run CREATE EXTENSION pg_cron.")));
}

/* pg_cron starts a session of the role. */
static void
require_login(void)
{
	HeapTuple	role = SearchSysCache1(AUTHNAME, CStringGetDatum(JOB_ROLE));
	bool		can_login = HeapTupleIsValid(role) &&
	((Form_pg_authid) GETSTRUCT(role))->rolcanlogin;

	if (HeapTupleIsValid(role))
		ReleaseSysCache(role);
	if (!can_login)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("role \"%s\", which runs the job, cannot log in",
						JOB_ROLE),
				 errhint("Run ALTER ROLE %s LOGIN, and let pg_hba.conf admit it from the host that cron.host names.",
						 JOB_ROLE)));
}

static int64
job_id(void)
{
	bool		is_null;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, 1, &is_null));
}

static int64
make_job(const Job *job, const char *times)
{
	Datum		values[] = {
		CStringGetTextDatum(job->name), CStringGetTextDatum(times),
		CStringGetTextDatum(job->command),
		CStringGetTextDatum(get_database_name(MyDatabaseId)),
		CStringGetTextDatum(JOB_ROLE)
	};

	execute("SELECT cron.schedule_in_database($1, $2, $3, $4, $5)",
			lengthof(values), values);
	return job_id();
}

/* Makes or replaces a job; returns pg_cron's number of it. */
static Datum
schedule(FunctionCallInfo fcinfo, const char *function, const Job *job)
{
	const char *times;
	int64		number;

	bank_require_writer(function);
	bank_require_argument(PG_ARGISNULL(0), "minutes");
	times = require_cron_times(PG_GETARG_INT32(0));
	SPI_connect();
	require_pg_cron();
	require_login();
	number = make_job(job, times);
	SPI_finish();
	PG_RETURN_INT64(number);
}

/* Removes a job; false where there was none. */
static Datum
unschedule(const char *function, const Job *job)
{
	Datum		values[] = {CStringGetTextDatum(job->name), CStringGetTextDatum(JOB_ROLE)};
	bool		removed;

	bank_require_writer(function);
	SPI_connect();
	require_pg_cron();
	execute("SELECT cron.unschedule(j.jobid) FROM cron.job AS j "
			"WHERE j.jobname::pg_catalog.text OPERATOR(pg_catalog.=) $1 "
			"AND j.username OPERATOR(pg_catalog.=) $2",
			lengthof(values), values);
	removed = SPI_processed > 0;
	SPI_finish();
	PG_RETURN_BOOL(removed);
}

/* schedule(minutes) of schema bank_report. */
Datum
bank_notification_schedule(PG_FUNCTION_ARGS)
{
	return schedule(fcinfo, "bank_report.schedule", &retry_job);
}

/* unschedule() of schema bank_report. */
Datum
bank_notification_unschedule(PG_FUNCTION_ARGS)
{
	return unschedule("bank_report.unschedule", &retry_job);
}

/* schedule_expiry(minutes) of schema bank. */
Datum
bank_expiry_schedule(PG_FUNCTION_ARGS)
{
	return schedule(fcinfo, "bank.schedule_expiry", &expiry_job);
}

/* unschedule_expiry() of schema bank. */
Datum
bank_expiry_unschedule(PG_FUNCTION_ARGS)
{
	return unschedule("bank.unschedule_expiry", &expiry_job);
}
