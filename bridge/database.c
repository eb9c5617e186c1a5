/*
 * Connections to PostgreSQL.
 */
#include "database.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "hosts.h"
#include "log.h"

#define RESOLVE_MS 5000

static PGconn *
refuse(const char *why)
{
	bridge_log(BRIDGE_LOG_WARNING, "could not connect to postgresql",
			   "error=%s", why);
	return NULL;
}

PGconn *
bridge_database_connect(const char *dsn, BridgeDatabaseMode mode)
{
	static BankHostList list;
	BankHostTexts texts;
	const char *problem = bridge_hosts_find(dsn, bridge_clock_ms() + RESOLVE_MS,
											&list, &texts);
	bool		replication = mode == BRIDGE_DATABASE_REPLICATION;

	/* What stands before dbname, the connection string may change. */
	const char *const keywords[] = {
		"connect_timeout", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "fallback_application_name",
		"dbname", "client_encoding", replication ? "replication" : "options",
		list.count > 0 ? "host" : NULL, "hostaddr", "port", NULL
	};
	const char *const values[] = {
		"5", "10", "5", "3", "30000", "bank-bridge", dsn, "UTF8",
		replication ? "database" : "-c row_security=off -c statement_timeout=10s",
		texts.hosts, texts.addresses, texts.ports, NULL
	};
	PGconn	   *conn;

	if (problem != NULL)
		return refuse(problem);
	conn = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	refuse(PQerrorMessage(conn));
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
