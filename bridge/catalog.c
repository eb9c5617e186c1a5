/*
 * Checks of extension, site, publication, slot and epoch.
 */
#include "catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "database.h"
#include "journal.h"
#include "log.h"

typedef BridgeExit (*CatalogCheck) (PGconn *conn, BridgeCatalog *catalog);

/* Says what is wrong and what helps. */
static BridgeExit
refuse(BridgeExit code, const char *what, const char *hint)
{
	bridge_log(BRIDGE_LOG_ERROR, what, "hint=%s", hint);
	return code;
}

static PGresult *
query(PGconn *conn, const char *text)
{
	return bridge_database_query(conn, text, NULL, 0);
}

static bool
is_true(const PGresult *result, int row, int column)
{
	return strcmp(PQgetvalue(result, row, column), "t") == 0;
}

BridgeExit
bridge_catalog_check_extension(PGconn *conn)
{
	PGresult   *result = query(conn,
							   "SELECT extversion FROM pg_catalog.pg_extension "
							   "WHERE extname OPERATOR(pg_catalog.=) 'bank'");
	BridgeExit	code = BRIDGE_EXIT_OK;

	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (PQntuples(result) == 0)
		code = refuse(BRIDGE_EXIT_MISSING, "extension bank is missing",
					  "Run CREATE EXTENSION bank in this database.");
	else if (strcmp(PQgetvalue(result, 0, 0), BANK_VERSION) != 0)
	{
		bridge_log(BRIDGE_LOG_ERROR, "extension bank has another version",
				   "extension=%s bridge=%s", PQgetvalue(result, 0, 0),
				   BANK_VERSION);
		code = BRIDGE_EXIT_MISSING;
	}
	PQclear(result);
	return code;
}

/* A standby has no slot of ours; it may be promoted, or leave the list of hosts. */
static BridgeExit
check_primary(PGconn *conn, BridgeCatalog *catalog)
{
	PGresult   *result = query(conn, "SELECT pg_catalog.pg_is_in_recovery()");
	BridgeExit	code = BRIDGE_EXIT_OK;

	(void) catalog;
	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (is_true(result, 0, 0))
		code = refuse(BRIDGE_EXIT_FAILED, "server is a standby",
					  "Promote it, or add target_session_attrs=read-write "
					  "to a connection string with several hosts.");
	PQclear(result);
	return code;
}

static BridgeExit
check_extension(PGconn *conn, BridgeCatalog *catalog)
{
	(void) catalog;
	return bridge_catalog_check_extension(conn);
}

static BridgeExit
check_site(PGconn *conn, BridgeCatalog *catalog)
{
	PGresult   *result = query(conn, "SELECT role, name FROM bank_ledger.site");
	BridgeExit	code = BRIDGE_EXIT_OK;

	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (PQntuples(result) == 0 || strcmp(PQgetvalue(result, 0, 0), "ledger") != 0)
		code = refuse(BRIDGE_EXIT_MISSING, "database is no ledger",
					  "Run bank-bridge init.");
	else
		snprintf(catalog->site, sizeof(catalog->site), "%s",
				 PQgetvalue(result, 0, 1));
	PQclear(result);
	return code;
}

static BridgeExit
check_publication(PGconn *conn, BridgeCatalog *catalog)
{
	PGresult   *result = query(conn,
							   "SELECT pubinsert AND NOT (pubupdate OR pubdelete"
							   " OR pubtruncate OR pubviaroot OR puballtables) "
							   "FROM pg_catalog.pg_publication "
							   "WHERE pubname OPERATOR(pg_catalog.=) '"
							   BANK_PUBLICATION "'");
	BridgeExit	code = BRIDGE_EXIT_OK;

	(void) catalog;
	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (PQntuples(result) == 0)
		code = refuse(BRIDGE_EXIT_MISSING, "publication bank is missing",
					  "Run bank-bridge init, and do what it says.");
	else if (!is_true(result, 0, 0))
		code = refuse(BRIDGE_EXIT_MISSING,
					  "publication bank does not publish inserts only",
					  "Run bank-bridge init, and do what it says.");
	PQclear(result);
	return code;
}

/* The row of the result that has the column, with the right type, or -1. */
static int
find_column(const PGresult *result, const char *table, const char *column,
			uint32_t type)
{
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (strcmp(PQgetvalue(result, i, 0), table) == 0 &&
			strcmp(PQgetvalue(result, i, 1), column) == 0 &&
			strtoul(PQgetvalue(result, i, 2), NULL, 10) == type)
			return i;
	}
	return -1;
}

static bool
has_table(const PGresult *result, BridgeJournalTable table)
{
	for (int i = 0; i < PQntuples(result); i++)
		if (strcmp(PQgetvalue(result, i, 0), bridge_journal_table_name(table)) == 0)
			return true;
	return false;
}

static bool
check_table(const PGresult *result, BridgeJournalTable table)
{
	const char *name = bridge_journal_table_name(table);
	const char *column;
	uint32_t	type;

	if (!has_table(result, table))
	{
		bridge_log(BRIDGE_LOG_ERROR, "table is not published", "table=%s", name);
		return false;
	}
	for (int i = 0; bridge_journal_column(table, i, &column, &type); i++)
	{
		if (find_column(result, name, column, type) >= 0)
			continue;
		bridge_log(BRIDGE_LOG_ERROR, "column is not published with its type",
				   "table=%s column=%s type=%" PRIu32, name, column, type);
		return false;
	}
	return true;
}

static bool
is_ours(const PGresult *result, int row)
{
	for (int t = 0; t < BRIDGE_JOURNAL_TABLES; t++)
		if (strcmp(PQgetvalue(result, row, 0), bridge_journal_table_name(t)) == 0)
			return is_true(result, row, 4);
	return false;
}

/* All of our tables, and all of their rows. */
static bool
check_whole(const PGresult *result)
{
	for (int t = 0; t < BRIDGE_JOURNAL_TABLES; t++)
		if (!check_table(result, (BridgeJournalTable) t))
			return false;
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (!is_ours(result, i) || !is_true(result, i, 3))
			continue;
		bridge_log(BRIDGE_LOG_ERROR, "rows of a table are filtered", "table=%s",
				   PQgetvalue(result, i, 0));
		return false;
	}
	return true;
}

/* And no others. */
static bool
check_foreign(const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (is_ours(result, i))
			continue;
		bridge_log(BRIDGE_LOG_ERROR, "publication has a foreign table", "table=%s",
				   PQgetvalue(result, i, 0));
		return false;
	}
	return true;
}

/* A row for each column that is published; NULL where it is not known. */
static PGresult *
ask_tables(PGconn *conn)
{
	return query(conn, "SELECT t.tablename, a.attname, a.atttypid,"
				 " t.rowfilter IS NOT NULL,"
				 " t.schemaname OPERATOR(pg_catalog.=) '"
				 BANK_LEDGER_SCHEMA "' "
				 "FROM pg_catalog.pg_publication_tables AS t "
				 "JOIN pg_catalog.pg_namespace AS n"
				 " ON n.nspname OPERATOR(pg_catalog.=) t.schemaname "
				 "JOIN pg_catalog.pg_class AS c"
				 " ON c.relnamespace OPERATOR(pg_catalog.=) n.oid"
				 " AND c.relname OPERATOR(pg_catalog.=) t.tablename "
				 "JOIN pg_catalog.pg_attribute AS a"
				 " ON a.attrelid OPERATOR(pg_catalog.=) c.oid"
				 " AND a.attname OPERATOR(pg_catalog.=) ANY (t.attnames) "
				 "WHERE t.pubname OPERATOR(pg_catalog.=) '"
				 BANK_PUBLICATION "'");
}

static BridgeExit
check_tables(PGconn *conn, BridgeCatalog *catalog)
{
	PGresult   *result = ask_tables(conn);
	bool		sound;

	(void) catalog;
	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	sound = check_whole(result) && check_foreign(result);
	PQclear(result);
	if (sound)
		return BRIDGE_EXIT_OK;
	return refuse(BRIDGE_EXIT_MISSING, "publication bank is not as it must be",
				  "Run bank-bridge init, and do what it says.");
}

BridgeExit
bridge_catalog_check_publication(PGconn *conn)
{
	PGresult   *result;
	BridgeExit	code = check_publication(conn, NULL);

	if (code != BRIDGE_EXIT_OK)
		return code;
	result = ask_tables(conn);
	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (!check_whole(result))
		code = BRIDGE_EXIT_MISSING;
	PQclear(result);
	return code;
}

static BridgeExit
judge_slot(const PGresult *result, BridgeCatalog *catalog)
{
	if (PQntuples(result) == 0)
		return refuse(BRIDGE_EXIT_MISSING, "slot " BANK_SLOT " is missing",
					  "Run bank-bridge rebuild, or, where there never was one, init.");
	if (!is_true(result, 0, 0))
		return refuse(BRIDGE_EXIT_MISSING,
					  "slot " BANK_SLOT " is of another plugin or database",
					  "Run bank-bridge rebuild, which makes it anew.");
	if (strcmp(PQgetvalue(result, 0, 1), "lost") == 0 ||
		!bridge_database_parse_lsn(PQgetvalue(result, 0, 2),
								   &catalog->confirmed_lsn) ||
		!bridge_database_parse_lsn(PQgetvalue(result, 0, 3),
								   &catalog->flushed_lsn))
		return refuse(BRIDGE_EXIT_LOST, "slot " BANK_SLOT " has lost its WAL",
					  "Run bank-bridge rebuild, which sends again what Kafka "
					  "lacks.");
	return BRIDGE_EXIT_OK;
}

BridgeExit
bridge_catalog_read_slot(PGconn *conn, BridgeCatalog *catalog)
{
	PGresult   *result = query(conn,
							   "SELECT coalesce(plugin OPERATOR(pg_catalog.=) 'pgoutput'"
							   " AND database OPERATOR(pg_catalog.=)"
							   " pg_catalog.current_database(), false),"
							   " wal_status, confirmed_flush_lsn,"
							   " pg_catalog.pg_current_wal_flush_lsn() "
							   "FROM pg_catalog.pg_replication_slots "
							   "WHERE slot_name OPERATOR(pg_catalog.=) '"
							   BANK_SLOT "'");
	BridgeExit	code;

	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	code = judge_slot(result, catalog);
	PQclear(result);
	return code;
}

static BridgeExit
check_epoch(PGconn *conn, BridgeCatalog *catalog)
{
	PGresult   *result = query(conn,
							   "SELECT e.number, e.system_identifier, e.timeline,"
							   " s.setting "
							   "FROM pg_catalog.pg_settings AS s"
							   " CROSS JOIN bank_ledger.epoch AS e "
							   "WHERE s.name OPERATOR(pg_catalog.=) 'wal_sender_timeout' "
							   "ORDER BY e.number DESC LIMIT 1");
	BridgeExit	code = BRIDGE_EXIT_OK;

	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (PQntuples(result) == 0)
		code = refuse(BRIDGE_EXIT_MISSING, "ledger has no epoch",
					  "Run bank-bridge init.");
	else
	{
		catalog->epoch = (int32_t) strtol(PQgetvalue(result, 0, 0), NULL, 10);
		catalog->system_identifier = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
		catalog->timeline = (int32_t) strtol(PQgetvalue(result, 0, 2), NULL, 10);
		catalog->sender_timeout_ms = strtoll(PQgetvalue(result, 0, 3), NULL, 10);
	}
	PQclear(result);
	return code;
}

/* The server takes whoever reads WAL for a standby, where its name fits. */
static BridgeExit
warn_of_waiting(PGconn *conn, BridgeCatalog *catalog)
{
	PGresult   *result = query(conn,
							   "SELECT true FROM pg_catalog.regexp_split_to_table("
							   "pg_catalog.lower(pg_catalog.current_setting("
							   "'synchronous_standby_names')), '[\"\\s,()]+') AS n "
							   "WHERE n OPERATOR(pg_catalog.=) ANY (ARRAY['*',"
							   " pg_catalog.lower(pg_catalog.current_setting("
							   "'application_name'))])");

	(void) catalog;
	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (PQntuples(result) > 0)
		bridge_log(BRIDGE_LOG_WARNING, "commits may wait for the bridge", "hint=%s",
				   "Name standbys alone in synchronous_standby_names.");
	PQclear(result);
	return BRIDGE_EXIT_OK;
}

BridgeExit
bridge_catalog_read_ledger(PGconn *conn, BridgeCatalog *catalog)
{
	static const CatalogCheck checks[] = {
		check_primary, check_extension, check_site, check_publication,
		check_tables, check_epoch, warn_of_waiting
	};
	BridgeExit	code = BRIDGE_EXIT_OK;

	memset(catalog, 0, sizeof(*catalog));
	for (size_t i = 0; code == BRIDGE_EXIT_OK &&
		 i < sizeof(checks) / sizeof(checks[0]); i++)
		code = checks[i] (conn, catalog);
	return code;
}

BridgeExit
bridge_catalog_read(PGconn *conn, BridgeCatalog *catalog)
{
	BridgeExit	code = bridge_catalog_read_ledger(conn, catalog);

	return code == BRIDGE_EXIT_OK ? bridge_catalog_read_slot(conn, catalog) : code;
}

BridgeExit
bridge_catalog_check_system(const BridgeCatalog *catalog,
							const BridgeWalIdentity *identity)
{
	if (catalog->system_identifier == identity->system_identifier &&
		catalog->timeline == identity->timeline)
		return BRIDGE_EXIT_OK;
	bridge_log(BRIDGE_LOG_ERROR, "server is not the one of the last epoch",
			   "hint=%s epoch=%" PRId32 " system=%" PRId64 " timeline=%" PRId32
			   " epoch_system=%" PRId64 " epoch_timeline=%" PRId32,
			   "Run bank-bridge init, then bank-bridge rebuild --new-epoch.",
			   catalog->epoch, identity->system_identifier, identity->timeline,
			   catalog->system_identifier, catalog->timeline);
	return BRIDGE_EXIT_LOST;
}
