/*
 * Connections to PostgreSQL as the bridge makes them.
 */
#ifndef BRIDGE_DATABASE_H
#define BRIDGE_DATABASE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum BridgeDatabaseMode
{
	BRIDGE_DATABASE_SQL,
	BRIDGE_DATABASE_REPLICATION
} BridgeDatabaseMode;

/*
 * Connects; waits a few seconds at most.  A peer that went silent is noticed
 * within half a minute.  NULL, logged, where it fails.
 */
extern PGconn *bridge_database_connect(const char *dsn,
									   BridgeDatabaseMode mode);

/* What the server remarks from now on goes to the log. */
extern void bridge_database_log_remarks(PGconn *conn);

/* Runs a query that gives rows; NULL, logged, where it fails. */
extern PGresult *bridge_database_query(PGconn *conn, const char *query,
									   const char *const *values, int count);

/* The first server whose logical slots a standby can keep up, for a failover. */
#define BRIDGE_DATABASE_FAILOVER 170000

/* An LSN in its text form X/X; false where it is none. */
extern bool bridge_database_parse_lsn(const char *text, uint64_t *lsn);

#define BRIDGE_LSN_SIZE 18

/* Writes the text form; target has BRIDGE_LSN_SIZE bytes. */
extern void bridge_database_format_lsn(uint64_t lsn, char *target);

#endif
