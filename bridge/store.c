/*
 * The database of a consuming role, by libpq without blocking.
 *
 * Promises:  no call lasts longer than its deadline, and none much longer
 *            than STOP_GRACE_MS once the process must stop.
 * Memory:    one connection; results are the caller's.
 */
#include "store.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "database.h"
#include "hosts.h"
#include "log.h"
#include "role.h"
#include "text.h"

#define RESOLVE_TIMEOUT_MS 10000
#define CONNECT_TIMEOUT_MS 30000
#define STATEMENT_TIMEOUT_MS 60000
#define STOP_GRACE_MS 3000

/* Where the list of keywords ends for a host that libpq finds itself. */
#define HOST_KEYWORD 4

/*
 * A filter by row-level security would be an error and not an empty answer;
 * names are qualified, so nothing but pg_catalog is searched.
 */
static const char session_settings[] =
	"SELECT pg_catalog.set_config('row_security', 'off', false),"
	" pg_catalog.set_config('search_path', 'pg_catalog', false)";

/* Keeps the reason as one line, and closes. */
static bool
fail(BridgeStore *store, const char *reason)
{
	size_t		length = strcspn(reason, "\n");

	snprintf(store->error, sizeof(store->error), "%.*s", (int) length, reason);
	bridge_store_close(store);
	return false;
}

static bool
fail_connection(BridgeStore *store)
{
	return fail(store, PQerrorMessage(store->connection));
}

/* Waits for the socket; false once the deadline has passed. */
static bool
wait_socket(const BridgeStore *store, short events, int64_t deadline)
{
	struct pollfd fds[2] = {
		{.fd = PQsocket(store->connection), .events = events},
		{.fd = bridge_stop_fd(), .events = POLLIN}
	};
	bool		stopping = false;

	for (;;)
	{
		int64_t		left = deadline - bridge_clock_ms();

		if (left <= 0)
			return false;
		if (poll(fds, stopping ? 1 : 2, (int) left) > 0 && fds[0].revents != 0)
			return true;
		if (!stopping && fds[1].revents != 0)
		{
			stopping = true;
			if (left > STOP_GRACE_MS)
				deadline = bridge_clock_ms() + STOP_GRACE_MS;
		}
	}
}

static bool
send_all(BridgeStore *store, int64_t deadline)
{
	int			left;

	while ((left = PQflush(store->connection)) > 0)
	{
		if (!wait_socket(store, POLLIN | POLLOUT, deadline))
			return fail(store, "the server takes no statement in time");
		if (PQconsumeInput(store->connection) == 0)
			return fail_connection(store);
	}
	return left == 0 ? true : fail_connection(store);
}

/* Takes the next result, NULL at the end; false after a failure. */
static bool
take_result(BridgeStore *store, int64_t deadline, PGresult **result)
{
	while (PQisBusy(store->connection))
	{
		if (!wait_socket(store, POLLIN, deadline))
			return fail(store, "the server gives no answer in time");
		if (PQconsumeInput(store->connection) == 0)
			return fail_connection(store);
	}
	*result = PQgetResult(store->connection);
	return true;
}

static bool
is_success(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/*
 * The rows arrive before the commit, and the end of the results after it: a
 * commit that fails is an error that follows the rows.
 */
static PGresult *
take_answer(BridgeStore *store, int64_t deadline)
{
	PGresult   *answer = NULL;
	PGresult   *result = NULL;

	while (take_result(store, deadline, &result) && result != NULL)
	{
		if (!is_success(result))
		{
			fail(store, PQresultErrorMessage(result));
			PQclear(result);
			PQclear(answer);
			return NULL;
		}
		PQclear(answer);
		answer = result;
	}
	if (store->connection == NULL)
	{
		PQclear(answer);
		return NULL;
	}
	return answer;
}

PGresult *
bridge_store_query(BridgeStore *store, const BridgeStatement *statement)
{
	int64_t		deadline = bridge_clock_ms() + STATEMENT_TIMEOUT_MS;

	if (store->connection == NULL)
		return NULL;
	if (PQsendQueryParams(store->connection, statement->sql, statement->count,
						  NULL, statement->values, NULL, NULL, 0) == 0)
	{
		fail_connection(store);
		return NULL;
	}
	return send_all(store, deadline) ? take_answer(store, deadline) : NULL;
}

static bool
finish_connect(BridgeStore *store, int64_t deadline)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	while (state != PGRES_POLLING_OK)
	{
		if (state == PGRES_POLLING_FAILED)
			return fail_connection(store);
		if (!wait_socket(store, state == PGRES_POLLING_READING ?
						 POLLIN : POLLOUT, deadline))
			return fail(store, "no connection in time");
		state = PQconnectPoll(store->connection);
	}
	if (PQsetnonblocking(store->connection, 1) != 0)
		return fail_connection(store);
	return true;
}

static bool
claim_generation(BridgeStore *store)
{
	const BridgeStatement claim = {.sql = store->spec.claim};
	PGresult   *answer;

	if (store->generation[0] != '\0')
		return true;
	answer = bridge_store_query(store, &claim);
	if (answer == NULL)
		return false;
	snprintf(store->generation, sizeof(store->generation), "%s",
			 PQgetvalue(answer, 0, 0));
	PQclear(answer);
	return true;
}

static bool
begin_session(BridgeStore *store)
{
	const BridgeStatement settings = {.sql = session_settings};
	PGresult   *answer = bridge_store_query(store, &settings);

	if (answer == NULL)
		return false;
	PQclear(answer);
	return claim_generation(store);
}

bool
bridge_store_connect(BridgeStore *store)
{
	int64_t		deadline = bridge_clock_ms() + CONNECT_TIMEOUT_MS;
	BankHostTexts texts;
	const char *problem;
	const char *values[] = {store->spec.dsn, store->spec.application, "UTF8",
	"30000", texts.hosts, texts.addresses, texts.ports, NULL};
	const char *keywords[] = {"dbname", "application_name", "client_encoding",
	"tcp_user_timeout", "host", "hostaddr", "port", NULL};

	if (store->connection != NULL)
		return true;
	problem = bridge_hosts_find(store->spec.dsn,
								bridge_clock_ms() + RESOLVE_TIMEOUT_MS,
								&store->hosts, &texts);
	if (problem != NULL)
		return fail(store, problem);
	if (store->hosts.count == 0)
		keywords[HOST_KEYWORD] = NULL;
	store->connection = PQconnectStartParams(keywords, values, 1);
	if (store->connection == NULL)
		return fail(store, "out of memory");
	bridge_database_log_remarks(store->connection);
	if (PQstatus(store->connection) == CONNECTION_BAD)
		return fail_connection(store);
	return finish_connect(store, deadline) && begin_session(store);
}

void
bridge_store_read_offset(const PGresult *answer, int row, int column,
						 BridgeOffsets *offsets)
{
	int64_t		partition = -1;
	int64_t		next = -1;

	if (!bank_text_to_int64(PQgetvalue(answer, row, 0), &partition) ||
		!bank_text_to_int64(PQgetvalue(answer, row, column), &next) ||
		partition < 0 || partition >= BRIDGE_PARTITIONS_MAX)
		return;
	bridge_store_extend(offsets, (int) partition + 1);
	offsets->next[partition] = next;
}

void
bridge_store_extend(BridgeOffsets *offsets, int count)
{
	while (offsets->count < count)
		offsets->next[offsets->count++] = -1;
}

void
bridge_store_advance(BridgeOffsets *offsets, const BridgeOffsets *reached)
{
	for (int i = 0; i < offsets->count; i++)
		if (reached->next[i] > offsets->next[i])
			offsets->next[i] = reached->next[i];
}

bool
bridge_store_is_behind(const BridgeOffsets *offsets, const BridgeOffsets *reached)
{
	for (int i = 0; i < offsets->count; i++)
		if (reached->next[i] > offsets->next[i])
			return true;
	return false;
}

void
bridge_store_close(BridgeStore *store)
{
	PQfinish(store->connection);
	store->connection = NULL;
}
