/*
 * What a new slot waits for.
 */
#include "waiting.h"

#include "database.h"

static const char running[] =
	"SELECT pg_catalog.count(*),"
	" coalesce((pg_catalog.array_agg(name ORDER BY begun))[1], ''),"
	" coalesce(extract(epoch FROM pg_catalog.max(pg_catalog.now()"
	"  OPERATOR(pg_catalog.-) begun)), 0)::pg_catalog.int8"
	" FROM (SELECT pg_catalog.concat('pid ', pid), xact_start"
	"  FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL"
	"   AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"
	"  UNION ALL SELECT pg_catalog.concat('prepared ', gid), prepared"
	"  FROM pg_catalog.pg_prepared_xacts) AS running (name, begun)";

void
bridge_waiting_tell(PGconn *conn, BridgeLogLevel level, const char *hint)
{
	PGresult   *result = bridge_database_query(conn, running, NULL, 0);

	if (result != NULL)
		bridge_log(level, "the slot waits for transactions that run",
				   "transactions=%s oldest=%s oldest_s=%s hint=%s",
				   PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1),
				   PQgetvalue(result, 0, 2), hint);
	PQclear(result);
}
