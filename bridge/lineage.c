/*
 * The ledger's system, timeline and WAL against the position record, as
 * publish compares them at its start.
 */
#include "lineage.h"

#include <inttypes.h>
#include <stdlib.h>

#include "database.h"
#include "log.h"
#include "position.h"

/* The first 8 digits of a WAL file's name are the timeline being written. */
static const char ledger_sql[] =
	"SELECT pg_catalog.pg_current_wal_flush_lsn(), c.system_identifier,"
	" ('x' || left(pg_catalog.pg_walfile_name("
	"pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::integer"
	" FROM pg_catalog.pg_control_system() AS c";

static bool
read_ledger(BridgeStore *store, BridgePosition *ledger)
{
	const BridgeStatement statement = {.sql = ledger_sql};
	PGresult   *answer = bridge_store_query(store, &statement);

	if (answer == NULL)
		return false;
	bridge_database_parse_lsn(PQgetvalue(answer, 0, 0), &ledger->lsn);
	ledger->system_identifier = strtoll(PQgetvalue(answer, 0, 1), NULL, 10);
	ledger->timeline = (int32_t) strtol(PQgetvalue(answer, 0, 2), NULL, 10);
	PQclear(answer);
	return true;
}

static BridgeLineage
judge(const BridgePosition *position, const BridgePosition *ledger)
{
	const char *wrong = bridge_position_refute(position, ledger);

	if (wrong == NULL)
		return BRIDGE_LINEAGE_OURS;
	bridge_log(BRIDGE_LOG_ERROR, wrong, "system=%" PRId64 " timeline=%" PRId32
			   " record_system=%" PRId64 " record_timeline=%" PRId32 " hint=%s",
			   ledger->system_identifier, ledger->timeline,
			   position->system_identifier, position->timeline,
			   "Run bank-bridge rebuild --new-epoch.");
	return BRIDGE_LINEAGE_LOST;
}

/* The record first: the WAL has grown past it by the time it is written. */
BridgeLineage
bridge_lineage_check(BridgeStore *store, const BridgeConfig *config)
{
	BridgePosition position;
	BridgePosition ledger = {0};

	switch (bridge_position_read(config, &position, NULL, NULL))
	{
		case BRIDGE_POSITION_FOUND:
			break;
		case BRIDGE_POSITION_NONE:
			bridge_position_tell_none();
			return BRIDGE_LINEAGE_LOST;
		case BRIDGE_POSITION_UNKNOWN:
			return BRIDGE_LINEAGE_UNKNOWN;
	}
	return read_ledger(store, &ledger) ? judge(&position, &ledger) :
		BRIDGE_LINEAGE_FAILED;
}
