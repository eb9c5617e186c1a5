/*
 * Who is at work.
 */
#include "presence.h"

#include "clock.h"
#include "database.h"
#include "log.h"
#include "role.h"

/* A session whose process was killed ends within this time. */
#define WAIT_MS 3000
#define RETRY_MS 100

/* "bank", and the first of its locks. */
#define LOCK "1650552427, 1"

static const char share[] = "SELECT pg_catalog.pg_try_advisory_lock_shared(" LOCK ")";
static const char alone[] = "SELECT pg_catalog.pg_try_advisory_lock(" LOCK ")";
static const char holders[] =
	"SELECT pg_catalog.string_agg(pid::pg_catalog.text, ',') FROM pg_catalog.pg_locks"
	" WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND granted"
	" AND database OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database"
	"  WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())"
	" AND (classid::pg_catalog.int8, objid::pg_catalog.int8) OPERATOR(pg_catalog.=) (" LOCK ")";

static BridgePresence
take(PGconn *conn, const char *statement)
{
	PGresult   *result = bridge_database_query(conn, statement, NULL, 0);
	BridgePresence presence = BRIDGE_PRESENCE_UNKNOWN;

	if (result != NULL)
		presence = PQgetvalue(result, 0, 0)[0] == 't' ? BRIDGE_PRESENCE_TAKEN :
			BRIDGE_PRESENCE_BUSY;
	PQclear(result);
	return presence;
}

BridgePresence
bridge_presence_share(PGconn *conn)
{
	return take(conn, share);
}

BridgePresence
bridge_presence_alone(PGconn *conn)
{
	int64_t		deadline = bridge_clock_ms() + WAIT_MS;
	BridgePresence presence = take(conn, alone);
	PGresult   *result;

	while (presence == BRIDGE_PRESENCE_BUSY && bridge_clock_ms() < deadline)
	{
		bridge_stop_sleep(RETRY_MS);
		presence = take(conn, alone);
	}
	if (presence != BRIDGE_PRESENCE_BUSY)
		return presence;
	result = bridge_database_query(conn, holders, NULL, 0);
	bridge_log(BRIDGE_LOG_ERROR, "a publisher or another rebuild is at work",
			   "pids=%s hint=%s", result != NULL ? PQgetvalue(result, 0, 0) : "",
			   "Stop bank-bridge first. Where its machine is gone, end these"
			   " sessions with pg_terminate_backend.");
	PQclear(result);
	return presence;
}
