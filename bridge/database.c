/*
 * Connections to PostgreSQL.
 */
#include "database.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "hosts.h"
#include "log.h"
#include "role.h"

#define RESOLVE_MS 5000

/* A host that is dead is passed over soon, a slow way to all is waited for. */
#define SOON "5"
#define SOON_MS 5000
#define PATIENTLY_MS 30000

static PGconn *
refuse(const char *why)
{
	bridge_log(BRIDGE_LOG_WARNING, "could not connect to postgresql",
			   "error=%s", why);
	return NULL;
}

typedef PGconn *(*Connect) (const char *const *keywords,
							const char *const *values, int expand);

/* connect: a function of libpq, of which one alone heeds connect_timeout. */
static PGconn *
begin(Connect connect, const char *dsn, BridgeDatabaseMode mode,
	  const BankHostTexts *texts)
{
	bool		replication = mode == BRIDGE_DATABASE_REPLICATION;

	/* What stands before dbname, the connection string may change. */
	const char *const keywords[] = {
		"connect_timeout", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "fallback_application_name",
		"dbname", "client_encoding", replication ? "replication" : "options",
		texts != NULL ? "host" : NULL, "hostaddr", "port", NULL
	};
	const char *const values[] = {
		SOON, "10", "5", "3", "30000", "bank-bridge", dsn, "UTF8",
		replication ? "database" : "-c row_security=off -c statement_timeout=10s",
		texts != NULL ? texts->hosts : NULL, texts != NULL ? texts->addresses : NULL,
		texts != NULL ? texts->ports : NULL, NULL
	};

	return connect(keywords, values, 1);
}

/* Until it is made, or cannot be, or the process must stop. */
static PGconn *
wait_patiently(PGconn *conn)
{
	int64_t		deadline = bridge_clock_ms() + PATIENTLY_MS;
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	while (PQstatus(conn) != CONNECTION_BAD && state != PGRES_POLLING_OK)
	{
		struct pollfd fds[2] = {
			{.fd = PQsocket(conn),
			.events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT},
			{.fd = bridge_stop_fd(), .events = POLLIN}
		};
		int64_t		left = deadline - bridge_clock_ms();

		if (left <= 0 || poll(fds, 2, (int) left) <= 0 || fds[1].revents != 0)
			break;
		state = PQconnectPoll(conn);
	}
	return conn;
}

/* A warning of the server, as that it waits for a standby, is one of ours. */
static void
log_remark(void *argument, const PGresult *remark)
{
	const char *severity = PQresultErrorField(remark, PG_DIAG_SEVERITY_NONLOCALIZED);
	bool		warns = severity != NULL && strcmp(severity, "WARNING") == 0;

	(void) argument;
	bridge_log(warns ? BRIDGE_LOG_WARNING : BRIDGE_LOG_DEBUG, "database remarks",
			   "text=%s", PQresultErrorMessage(remark));
}

/* libpq would write them to standard error, in the server's form. */
void
bridge_database_log_remarks(PGconn *conn)
{
	PQsetNoticeReceiver(conn, log_remark, NULL);
}

PGconn *
bridge_database_connect(const char *dsn, BridgeDatabaseMode mode)
{
	static BankHostList list;
	BankHostTexts texts;
	const char *problem = bridge_hosts_find(dsn, bridge_clock_ms() + RESOLVE_MS,
											&list, &texts);
	const BankHostTexts *known = list.count > 0 ? &texts : NULL;
	int64_t		began = bridge_clock_ms();
	PGconn	   *conn;

	if (problem != NULL)
		return refuse(problem);
	conn = begin(PQconnectdbParams, dsn, mode, known);
	if (PQstatus(conn) != CONNECTION_OK && bridge_clock_ms() - began >= SOON_MS)
	{
		PQfinish(conn);
		conn = wait_patiently(begin(PQconnectStartParams, dsn, mode, known));
	}
	if (PQstatus(conn) == CONNECTION_OK)
	{
		bridge_database_log_remarks(conn);
		return conn;
	}
	refuse(*PQerrorMessage(conn) != '\0' ? PQerrorMessage(conn) :
		   "no connection in time");
	PQfinish(conn);
	return NULL;
}

PGresult *
bridge_database_query(PGconn *conn, const char *query,
					  const char *const *values, int count)
{
	PGresult   *result = PQexecParams(conn, query, count, NULL, values,
									  NULL, NULL, 0);

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	bridge_log(BRIDGE_LOG_ERROR, "query failed", "error=%s query=%s",
			   PQerrorMessage(conn), query);
	PQclear(result);
	return NULL;
}

bool
bridge_database_parse_lsn(const char *text, uint64_t *lsn)
{
	uint32_t	high;
	uint32_t	low;
	int			length = 0;

	if (sscanf(text, "%8" SCNx32 "/%8" SCNx32 "%n", &high, &low, &length) != 2 ||
		text[length] != '\0')
		return false;
	*lsn = (uint64_t) high << 32 | low;
	return true;
}

void
bridge_database_format_lsn(uint64_t lsn, char *target)
{
	snprintf(target, BRIDGE_LSN_SIZE, "%" PRIX32 "/%" PRIX32,
			 (uint32_t) (lsn >> 32), (uint32_t) lsn);
}
