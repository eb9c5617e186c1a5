/*
 * bank-bridge init: what the roles need, made where it is absent.
 *
 * Not here: the extension itself, its roles' passwords, the databases.
 */
#include "init.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "clock.h"
#include "contract.h"
#include "database.h"
#include "kafka.h"
#include "log.h"
#include "position.h"
#include "publication.h"
#include "role.h"
#include "waiting.h"

#define TOPICS_TIMEOUT_MS 30000
#define RETRY_MS 500
#define SQLSTATE_QUERY_CANCELED "57014"

static int
run_statement(PGconn *conn, const char *statement, const char *value)
{
	PGresult   *result = bridge_database_query(conn, statement, &value,
											   value != NULL ? 1 : 0);

	PQclear(result);
	return result != NULL ? BRIDGE_EXIT_OK : BRIDGE_EXIT_FAILED;
}

/* Connects and looks for the extension; *conn is NULL unless OK. */
static int
open_database(const char *dsn, PGconn **conn)
{
	int			code;

	*conn = bridge_database_connect(dsn, BRIDGE_DATABASE_SQL);
	if (*conn == NULL)
		return BRIDGE_EXIT_FAILED;
	code = bridge_catalog_check_extension(*conn);
	if (code != BRIDGE_EXIT_OK)
	{
		PQfinish(*conn);
		*conn = NULL;
	}
	return code;
}

static int
prepare_search(const BridgeConfig *config)
{
	PGconn	   *conn;
	int			code = open_database(config->init_search_dsn, &conn);

	if (code != BRIDGE_EXIT_OK)
		return code;
	code = run_statement(conn, "SELECT bank_ledger.init('search', $1)",
						 config->site_name);
	PQfinish(conn);
	return code;
}

static int
look_for_slot(PGconn *conn, bool *exists)
{
	PGresult   *result =
	bridge_database_query(conn,
						  "SELECT 1 FROM pg_catalog.pg_replication_slots "
						  "WHERE slot_name OPERATOR(pg_catalog.=) '" BANK_SLOT "'",
						  NULL, 0);

	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	*exists = PQntuples(result) > 0;
	PQclear(result);
	return BRIDGE_EXIT_OK;
}

static int
drop_slot(PGconn *conn)
{
	bridge_log(BRIDGE_LOG_WARNING, "the stream may lack rows; its slot is made anew",
			   "slot=%s hint=%s", BANK_SLOT, "Run bank-bridge rebuild.");
	return run_statement(conn, "SELECT pg_catalog.pg_drop_replication_slot('"
						 BANK_SLOT "')", NULL);
}

/*
 * The stream has rows by the publication of their time.  Where it has left
 * some out nobody sees that later, so the slot goes: publish then demands a
 * rebuild.  It goes first, since a publication that is whole again tells of
 * nothing.
 */
static int
make_publication(PGconn *conn)
{
	bool		exists;
	int			whole = BRIDGE_EXIT_OK;
	int			code = look_for_slot(conn, &exists);

	if (code == BRIDGE_EXIT_OK && exists)
		whole = bridge_catalog_check_publication(conn);
	if (whole == BRIDGE_EXIT_FAILED)
		return BRIDGE_EXIT_FAILED;
	if (code == BRIDGE_EXIT_OK && whole != BRIDGE_EXIT_OK)
		code = drop_slot(conn);
	if (code == BRIDGE_EXIT_OK)
		code = run_statement(conn, "SELECT bank_ledger.publish()", NULL);
	return code;
}

/* The sessions of init have a limit, and may not wait as long as rebuild does. */
static int
create_slot(PGconn *conn)
{
	PGresult   *result =
	PQexec(conn, PQserverVersion(conn) >= BRIDGE_DATABASE_FAILOVER ?
		   "SELECT pg_catalog.pg_create_logical_replication_slot('"
		   BANK_SLOT "', 'pgoutput', failover => true)" :
		   "SELECT pg_catalog.pg_create_logical_replication_slot('"
		   BANK_SLOT "', 'pgoutput')");
	bool		created = PQresultStatus(result) == PGRES_TUPLES_OK;
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	bool		late = state != NULL && strcmp(state, SQLSTATE_QUERY_CANCELED) == 0;

	if (!created)
		bridge_log(BRIDGE_LOG_ERROR, "could not make the slot", "error=%s",
				   PQresultErrorMessage(result));
	PQclear(result);
	if (late)
		bridge_waiting_tell(conn, BRIDGE_LOG_ERROR,
							"Run bank-bridge init again once the oldest has ended.");
	return created ? BRIDGE_EXIT_OK : BRIDGE_EXIT_FAILED;
}

static int
make_slot(PGconn *conn)
{
	bool		exists;
	int			code = look_for_slot(conn, &exists);

	if (code != BRIDGE_EXIT_OK)
		return code;
	bridge_log(BRIDGE_LOG_INFO, "slot", "slot=%s result=%s", BANK_SLOT,
			   exists ? "kept" : "created");
	if (exists)
		return BRIDGE_EXIT_OK;
	return create_slot(conn);
}

static int
prepare_ledger(const BridgeConfig *config, PGconn *conn)
{
	int			code = run_statement(conn,
									 "SELECT bank_ledger.init('ledger', $1)",
									 config->site_name);

	if (code == BRIDGE_EXIT_OK)
		code = make_publication(conn);
	if (code == BRIDGE_EXIT_OK)
		code = make_slot(conn);
	return code;
}

/* A topic just made takes a moment until its leader answers. */
static BridgePositionFound
read_position(const BridgeConfig *config, BridgePosition *position)
{
	int64_t		deadline = bridge_clock_ms() + TOPICS_TIMEOUT_MS;
	BridgePositionFound found;

	while ((found = bridge_position_read(config, position, NULL, NULL)) ==
		   BRIDGE_POSITION_UNKNOWN && bridge_clock_ms() < deadline)
		poll(NULL, 0, RETRY_MS);
	return found;
}

/* Whether the journal has rows; every account begins with one. */
static int
look_for_entries(PGconn *conn, bool *found)
{
	PGresult   *result =
	bridge_database_query(conn, "SELECT 1 FROM bank_ledger.account_event LIMIT 1",
						  NULL, 0);

	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	*found = PQntuples(result) > 0;
	PQclear(result);
	return BRIDGE_EXIT_OK;
}

/*
 * Where the stream begins; only while nothing can be missing in Kafka.  With
 * no record, publish refuses and says what to do.
 */
static int
write_position(const BridgeConfig *config, PGconn *conn)
{
	static const BridgeEnds unknown;
	BridgePosition position = {0};
	BridgeCatalog catalog;
	bool		has_entries;
	int			code;

	/* First: what is found below, or comes later, is published by this one. */
	if (!bridge_publication_read(conn, &position.publication))
		return BRIDGE_EXIT_FAILED;
	code = look_for_entries(conn, &has_entries);
	if (code == BRIDGE_EXIT_OK && has_entries)
	{
		bridge_log(BRIDGE_LOG_WARNING, "kafka lacks what the ledger has",
				   "hint=%s", "Run bank-bridge rebuild before bank-bridge run.");
		return BRIDGE_EXIT_OK;
	}
	if (code == BRIDGE_EXIT_OK)
		code = bridge_catalog_read(conn, &catalog);
	if (code != BRIDGE_EXIT_OK)
		return code;
	position.lsn = catalog.confirmed_lsn;
	position.epoch = catalog.epoch;
	position.system_identifier = catalog.system_identifier;
	position.timeline = catalog.timeline;
	return bridge_position_write(config, &position, &unknown) ? BRIDGE_EXIT_OK :
		BRIDGE_EXIT_KAFKA;
}

/*
 * A record that exists is kept, also where the slot is new: publish then
 * sees that WAL may have been lost in between, and says so.
 */
static int
make_position(const BridgeConfig *config, PGconn *conn)
{
	BridgePosition position;

	switch (read_position(config, &position))
	{
		case BRIDGE_POSITION_FOUND:
			return BRIDGE_EXIT_OK;
		case BRIDGE_POSITION_NONE:
			return write_position(config, conn);
		case BRIDGE_POSITION_UNKNOWN:
			break;
	}
	return BRIDGE_EXIT_KAFKA;
}

static int
prepare_kafka(const BridgeConfig *config, PGconn *conn)
{
	if (!bridge_kafka_create_topics(config, TOPICS_TIMEOUT_MS))
		return BRIDGE_EXIT_KAFKA;
	return make_position(config, conn);
}

int
bridge_init_run(const BridgeConfig *config)
{
	PGconn	   *ledger;
	int			code;

	if (!bridge_config_require(config, "init.ledger_dsn") ||
		!bridge_config_require(config, "init.search_dsn") ||
		!bridge_config_require(config, "kafka.bootstrap.servers"))
		return BRIDGE_EXIT_CONFIG;
	bridge_log_role("init");
	code = prepare_search(config);
	if (code != BRIDGE_EXIT_OK)
		return code;
	code = open_database(config->init_ledger_dsn, &ledger);
	if (code != BRIDGE_EXIT_OK)
		return code;
	code = prepare_ledger(config, ledger);
	if (code == BRIDGE_EXIT_OK)
		code = prepare_kafka(config, ledger);
	PQfinish(ledger);
	if (code == BRIDGE_EXIT_OK)
		bridge_log(BRIDGE_LOG_INFO, "ready", "site=%s", config->site_name);
	return code;
}
