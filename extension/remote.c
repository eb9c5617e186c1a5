/*
 * A libpq connection of a backend, asked without blocking it.
 *
 * Promises:  a cancel is answered at once, and the timeout kept, also while a
 *            name server is silent; an answer is never taken for that of
 *            another question: a connection that an error left busy is closed
 *            before the next.
 * Memory:    connection and results are malloc'd by libpq.
 * Raises:    08006, 58000, 57014; 53000 when descriptors are out.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "remote.h"

/* How often a cancel is looked for while names are resolved. */
#define RESOLVE_WAIT_MS 50

typedef struct Deadline
{
	instr_time	start;
	int			timeout_ms;
} Deadline;

static int
milliseconds_left(const Deadline *deadline)
{
	instr_time	passed;

	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, deadline->start);
	return Max(0, deadline->timeout_ms - (int) INSTR_TIME_GET_MILLISEC(passed));
}

static void
disconnect(BankRemote *remote)
{
	if (remote->connection == NULL)
		return;
	PQfinish(remote->connection);
	ReleaseExternalFD();
	remote->connection = NULL;
	remote->is_busy = false;
}

/* The reason may name hosts and users, so only the log gets it. */
static void
raise_unreachable(BankRemote *remote, const char *reason)
{
	char	   *kept = pchomp(reason);

	disconnect(remote);
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not reach the %s", remote->name),
			 errdetail_log("%s", kept),
			 errhint("Try again later; the server's log has the reason.")));
}

static void
raise_refused(BankRemote *remote, PGresult *result)
{
	char	   *kept = pchomp(PQresultErrorMessage(result));

	PQclear(result);
	disconnect(remote);
	ereport(ERROR,
			(errcode(ERRCODE_SYSTEM_ERROR),
			 errmsg("the %s refused a query", remote->name),
			 errdetail_log("%s", kept),
			 errhint("The server's log has the reason.")));
}

/* Waits for the socket; raises where time is over or the query cancelled. */
static void
wait_for_socket(BankRemote *remote, int socket_event, const Deadline *deadline)
{
	int			left = milliseconds_left(deadline);
	int			events;

	if (left == 0)
		raise_unreachable(remote, "No answer in time.");
	events = WaitLatchOrSocket(MyLatch,
							   WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT | socket_event,
							   PQsocket(remote->connection), left,
							   PG_WAIT_EXTENSION);
	if (events & WL_LATCH_SET)
		ResetLatch(MyLatch);
	if (QueryCancelPending || ProcDiePending)
		disconnect(remote);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Waits for the addresses of all hosts; for half of the time at most where
 * some are known, since connecting takes its time too.  Raises as
 * wait_for_socket does.
 */
static void
find_addresses(BankRemote *remote, const char *dsn, const Deadline *deadline,
			   BankHostTexts *texts)
{
	const char *problem = bank_host_list_begin(&remote->hosts, dsn);
	BankResolveState state = BANK_RESOLVE_PENDING;
	int			left = milliseconds_left(deadline);

	if (problem != NULL)
		raise_unreachable(remote, problem);
	while (left > 0 && state == BANK_RESOLVE_PENDING)
	{
		CHECK_FOR_INTERRUPTS();
		state = bank_host_list_wait(&remote->hosts, Min(left, RESOLVE_WAIT_MS));
		left = milliseconds_left(deadline);
		if (left < deadline->timeout_ms / 2 &&
			bank_host_list_texts(&remote->hosts, texts))
			return;
	}
	if (state == BANK_RESOLVE_PENDING)
		raise_unreachable(remote, "The name server gave no answer in time.");
	if (!bank_host_list_texts(&remote->hosts, texts))
		raise_unreachable(remote, remote->hosts.error);
}

static void
begin_connecting(BankRemote *remote, const char *dsn, const BankHostTexts *texts)
{
	/* What follows dbname replaces what the connection string says. */
	const char *keywords[] = {"fallback_application_name", "dbname",
	remote->hosts.count > 0 ? "host" : NULL, "hostaddr", "port", NULL};
	const char *values[] = {"bank", dsn, texts->hosts, texts->addresses,
	texts->ports, NULL};
	char	   *kept = MemoryContextStrdup(TopMemoryContext, dsn);

	if (remote->dsn != NULL)
		pfree(remote->dsn);
	remote->dsn = kept;
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("too many open files to reach the %s", remote->name)));
	remote->connection = PQconnectStartParams(keywords, values, true);
	if (remote->connection == NULL)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	}
	remote->is_busy = true;
}

static void
connect_within(BankRemote *remote, const char *dsn, const Deadline *deadline)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	BankHostTexts texts;

	find_addresses(remote, dsn, deadline, &texts);
	begin_connecting(remote, dsn, &texts);
	while (status != PGRES_POLLING_OK)
	{
		if (status == PGRES_POLLING_FAILED ||
			PQstatus(remote->connection) == CONNECTION_BAD)
			raise_unreachable(remote, PQerrorMessage(remote->connection));
		wait_for_socket(remote,
						status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE,
						deadline);
		status = PQconnectPoll(remote->connection);
	}
	remote->is_busy = false;
}

/* The answer; NULL where the connection broke. */
static PGresult *
ask(BankRemote *remote, const BankRemoteQuestion *question,
	const Deadline *deadline)
{
	PGconn	   *connection = remote->connection;
	PGresult   *result;

	remote->is_busy = true;
	if (!PQsendQueryParams(connection, question->query, 1, NULL,
						   &question->parameter, NULL, NULL, 0))
		return NULL;
	while (PQisBusy(connection))
	{
		wait_for_socket(remote, WL_SOCKET_READABLE, deadline);
		if (!PQconsumeInput(connection))
			return NULL;
	}
	result = PQgetResult(connection);
	if (PQstatus(connection) == CONNECTION_BAD)
	{
		PQclear(result);
		return NULL;
	}
	return result;
}

/* Takes the end of the answer, so that the next question can be asked. */
static void
finish_answer(BankRemote *remote)
{
	PGresult   *rest = PQisBusy(remote->connection) ? NULL : PQgetResult(remote->connection);

	remote->is_busy = PQisBusy(remote->connection) || rest != NULL;
	PQclear(rest);
}

/* Asks over the connection there is; NULL where that gave no rows. */
static PGresult *
ask_again(BankRemote *remote, const BankRemoteQuestion *question,
		  const Deadline *deadline)
{
	PGresult   *result;

	if (remote->is_busy ||
		(remote->dsn != NULL && strcmp(remote->dsn, question->dsn) != 0))
		disconnect(remote);
	if (remote->connection == NULL)
		return NULL;
	result = ask(remote, question, deadline);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	PQclear(result);
	disconnect(remote);
	return NULL;
}

/*
 * A kept connection may have been closed meanwhile, or its session changed:
 * where it gives no rows, a new one is asked.
 */
PGresult *
bank_remote_ask(BankRemote *remote, const BankRemoteQuestion *question)
{
	Deadline	deadline = {.timeout_ms = question->timeout_ms};
	PGresult   *result;

	INSTR_TIME_SET_CURRENT(deadline.start);
	result = ask_again(remote, question, &deadline);
	if (result == NULL)
	{
		connect_within(remote, question->dsn, &deadline);
		result = ask(remote, question, &deadline);
	}
	if (result == NULL)
		raise_unreachable(remote, PQerrorMessage(remote->connection));
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		raise_refused(remote, result);
	finish_answer(remote);
	return result;
}
