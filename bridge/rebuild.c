/*
 * The command rebuild.
 *
 * The slot goes first, so that no publisher works meanwhile and one that
 * comes too early is refused.  Kafka is read, and the journal in a snapshot
 * of now; then the slot is made anew, which waits for every transaction that
 * runs, and the journal is read once more in the snapshot where the slot
 * begins.  While the slot is waited for, the journal is read again from time
 * to time, so that a long transaction delays nobody but itself.
 *
 * Promises: may be killed at any moment and run again; a publisher that is
 * started in between is refused, since the position record is written last.
 * Not here: passes over the journal (resend.c), what Kafka has (survey.c),
 * what only Kafka has (phantom.c).
 */
#include "rebuild.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "clock.h"
#include "contract.h"
#include "database.h"
#include "log.h"
#include "phantom.h"
#include "position.h"
#include "presence.h"
#include "publication.h"
#include "resend.h"
#include "rewind.h"
#include "role.h"
#include "survey.h"
#include "tail.h"
#include "waiting.h"
#include "wal.h"

#define WAIT_MS 250
#define TELL_MS 5000
#define PASS_PERIOD_MS 10000
#define SNAPSHOT_SIZE 64

/* What does not look for a stop is ended then, as by a kill. */
#define GRACE_S 2

typedef struct Rebuild
{
	const BridgeConfig *config;
	bool		new_epoch;
	PGconn	   *conn;			/* the journal, and what Kafka has */
	BridgeWal	wal;			/* makes the slot, and keeps its snapshot */
	BridgeWalIdentity identity;
	BridgeCatalog catalog;
	BridgePublication publication;	/* before it was checked */
	BridgeSurvey survey;
	BridgeEnds	known;			/* by the position record there is */
	BridgeProducer producer;
	BridgeResend resend;
	uint64_t	slot_lsn;
	char		snapshot[SNAPSHOT_SIZE];
} Rebuild;

static BridgeExit
run(PGconn *conn, const char *statement)
{
	PGresult   *result = PQexec(conn, statement);
	ExecStatusType status = PQresultStatus(result);

	PQclear(result);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return BRIDGE_EXIT_OK;
	bridge_log(BRIDGE_LOG_ERROR, "statement failed", "error=%s statement=%s",
			   PQerrorMessage(conn), statement);
	return BRIDGE_EXIT_FAILED;
}

/* Nothing ends a session but the command's end. */
static BridgeExit
lift_limits(PGconn *conn)
{
	return run(conn, "SET search_path = pg_catalog;"
			   "SET client_connection_check_interval = '1s';"
			   "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN"
			   " ('statement_timeout', 'lock_timeout', 'idle_session_timeout',"
			   "  'idle_in_transaction_session_timeout', 'transaction_timeout')");
}

/* A publisher without the slot may still have records on their way. */
static BridgeExit
be_alone(Rebuild *rebuild)
{
	switch (bridge_presence_alone(rebuild->conn))
	{
		case BRIDGE_PRESENCE_TAKEN:
			return BRIDGE_EXIT_OK;
		case BRIDGE_PRESENCE_BUSY:
			return BRIDGE_EXIT_FENCED;
		case BRIDGE_PRESENCE_UNKNOWN:
			break;
	}
	return BRIDGE_EXIT_FAILED;
}

static BridgeExit
connect_both(Rebuild *rebuild)
{
	BridgeExit	code;

	rebuild->conn = bridge_database_connect(rebuild->config->init_ledger_dsn,
											BRIDGE_DATABASE_SQL);
	if (rebuild->conn == NULL ||
		!bridge_publication_read(rebuild->conn, &rebuild->publication))
		return BRIDGE_EXIT_FAILED;
	code = bridge_catalog_read_ledger(rebuild->conn, &rebuild->catalog);
	if (code == BRIDGE_EXIT_OK)
		code = lift_limits(rebuild->conn);
	if (code == BRIDGE_EXIT_OK)
		code = be_alone(rebuild);
	if (code != BRIDGE_EXIT_OK)
		return code;
	return bridge_wal_connect(&rebuild->wal, rebuild->config->publish_dsn,
							  &rebuild->identity) ? lift_limits(rebuild->wal.conn) :
		BRIDGE_EXIT_FAILED;
}

static BridgeExit
demand_epoch(const char *what)
{
	bridge_log(BRIDGE_LOG_ERROR, what, "hint=%s",
			   "Run bank-bridge rebuild --new-epoch.");
	return BRIDGE_EXIT_LOST;
}

/*
 * The end of the WAL is asked after the record was read: it is never behind it.
 * An epoch may have begun without what belongs to it.
 */
static BridgeExit
judge_position(const Rebuild *rebuild, const BridgePosition *position)
{
	PGresult   *result =
	bridge_database_query(rebuild->conn, "SELECT pg_current_wal_flush_lsn()", NULL, 0);
	BridgePosition ledger = {
		.system_identifier = rebuild->identity.system_identifier,
		.timeline = rebuild->identity.timeline
	};
	bool		known = result != NULL &&
	bridge_database_parse_lsn(PQgetvalue(result, 0, 0), &ledger.lsn);
	const char *wrong = bridge_position_refute(position, &ledger);

	PQclear(result);
	if (!known)
		return BRIDGE_EXIT_FAILED;
	if (wrong == NULL && position->epoch != rebuild->catalog.epoch)
		wrong = "position record is of another epoch";
	return wrong == NULL ? BRIDGE_EXIT_OK : demand_epoch(wrong);
}

/* Without a new epoch, versions must mean what they meant when sent. */
static BridgeExit
check_position(Rebuild *rebuild)
{
	BridgeExit	code = BRIDGE_EXIT_OK;
	BridgePosition position;
	BridgePositionFound found = bridge_position_read(rebuild->config, &position,
													 &rebuild->known, NULL);

	if (found == BRIDGE_POSITION_UNKNOWN)
		return BRIDGE_EXIT_KAFKA;
	if (rebuild->new_epoch)
		return BRIDGE_EXIT_OK;
	if (found == BRIDGE_POSITION_FOUND)
		code = judge_position(rebuild, &position);
	return code == BRIDGE_EXIT_OK ?
		bridge_catalog_check_system(&rebuild->catalog, &rebuild->identity) : code;
}

/*
 * A server that waits for transactions to make a slot does not see that the
 * rebuild it makes it for was killed.
 */
static BridgeExit
end_maker(Rebuild *rebuild)
{
	return run(rebuild->conn,
			   "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots"
			   " WHERE slot_name = '" BANK_SLOT "' AND slot_type = 'logical'"
			   " AND active AND confirmed_flush_lsn IS NULL");
}

static BridgeExit
drop_slot(Rebuild *rebuild)
{
	PGresult   *result =
	bridge_database_query(rebuild->conn,
						  "SELECT active FROM pg_replication_slots"
						  " WHERE slot_name = '" BANK_SLOT "'", NULL, 0);
	bool		exists = result != NULL && PQntuples(result) > 0;
	bool		active = exists && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	PQclear(result);
	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (!exists)
		return BRIDGE_EXIT_OK;
	if (!active)
		return run(rebuild->conn, "SELECT pg_drop_replication_slot('" BANK_SLOT "')");
	bridge_log(BRIDGE_LOG_ERROR, "somebody reads the slot", "slot=%s hint=%s",
			   BANK_SLOT, "Stop what reads it first.");
	return BRIDGE_EXIT_FENCED;
}

/* The epoch of what is sent: the ledger's last, or one nobody has seen. */
static BridgeExit
begin_epoch(Rebuild *rebuild)
{
	char		number[16];
	const char *values[] = {number};
	PGresult   *result;

	rebuild->resend.epoch = rebuild->catalog.epoch;
	if (!rebuild->new_epoch)
		return BRIDGE_EXIT_OK;
	snprintf(number, sizeof(number), "%" PRId32, rebuild->survey.epoch);
	result = bridge_database_query(rebuild->conn,
								   "SELECT bank_ledger.begin_epoch($1)", values, 1);
	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	rebuild->resend.epoch = (int32_t) strtol(PQgetvalue(result, 0, 0), NULL, 10);
	rebuild->resend.restate = true;
	PQclear(result);
	bridge_log(BRIDGE_LOG_INFO, "epoch begins", "epoch=%" PRId32,
			   rebuild->resend.epoch);
	return BRIDGE_EXIT_OK;
}

static BridgeExit
read_kafka(Rebuild *rebuild)
{
	BridgeExit	code;

	rebuild->survey.with_content = rebuild->new_epoch;
	rebuild->survey.ends = &rebuild->producer.ends;
	code = bridge_survey_run(rebuild->config, rebuild->conn, &rebuild->survey);
	if (code == BRIDGE_EXIT_OK)
		code = bridge_rewind_run(rebuild->config, rebuild->conn,
								 &rebuild->known, &rebuild->producer.ends);
	if (code == BRIDGE_EXIT_OK)
		code = begin_epoch(rebuild);
	if (code == BRIDGE_EXIT_OK)
		code = bridge_resend_prepare(&rebuild->resend);
	if (code != BRIDGE_EXIT_OK)
		return code;
	return rebuild->new_epoch ?
		bridge_phantom_list(rebuild->config, rebuild->conn, rebuild->resend.epoch) :
		bridge_phantom_check(rebuild->conn, rebuild->resend.epoch);
}

/* One turn of waiting for the slot; *asked: when to read and tell again. */
static BridgeExit
wait_for_slot(Rebuild *rebuild, int64_t *tell_at, int64_t *pass_at)
{
	struct pollfd fds[] = {
		{.fd = PQsocket(rebuild->wal.conn), .events = POLLIN},
		{.fd = bridge_stop_fd(), .events = POLLIN}
	};
	int64_t		began = bridge_clock_ms();
	BridgeExit	code;

	poll(fds, 2, WAIT_MS);
	if (bridge_stop_requested() || PQconsumeInput(rebuild->wal.conn) == 0)
		return BRIDGE_EXIT_FAILED;
	if (began >= *tell_at)
	{
		bridge_waiting_tell(rebuild->conn, BRIDGE_LOG_INFO,
							"End the oldest, or wait.");
		*tell_at = began + TELL_MS;
	}
	if (began < *pass_at || !PQisBusy(rebuild->wal.conn))
		return BRIDGE_EXIT_OK;
	code = bridge_resend_pass(&rebuild->resend, NULL, 0);
	*pass_at = bridge_clock_ms() + PASS_PERIOD_MS +
		2 * (bridge_clock_ms() - began);
	return code;
}

static BridgeExit
take_slot(Rebuild *rebuild)
{
	PGresult   *result = PQgetResult(rebuild->wal.conn);
	BridgeExit	code = BRIDGE_EXIT_FAILED;

	if (PQresultStatus(result) == PGRES_TUPLES_OK &&
		bridge_database_parse_lsn(PQgetvalue(result, 0, 1), &rebuild->slot_lsn))
	{
		snprintf(rebuild->snapshot, sizeof(rebuild->snapshot), "%s",
				 PQgetvalue(result, 0, 2));
		code = BRIDGE_EXIT_OK;
	}
	else
		bridge_log(BRIDGE_LOG_ERROR, "could not make the slot", "error=%s",
				   PQresultErrorMessage(result));
	PQclear(result);
	while ((result = PQgetResult(rebuild->wal.conn)) != NULL)
		PQclear(result);
	return code;
}

static BridgeExit
make_one(Rebuild *rebuild)
{
	int64_t		tell_at = bridge_clock_ms() + TELL_MS / 5;
	int64_t		pass_at = bridge_clock_ms() + PASS_PERIOD_MS;
	BridgeExit	code = BRIDGE_EXIT_OK;

	if (PQsendQuery(rebuild->wal.conn,
					PQserverVersion(rebuild->wal.conn) >= BRIDGE_DATABASE_FAILOVER ?
					"CREATE_REPLICATION_SLOT \"" BANK_SLOT
					"\" LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER)" :
					"CREATE_REPLICATION_SLOT \"" BANK_SLOT
					"\" LOGICAL pgoutput (SNAPSHOT 'export')") == 0)
		return BRIDGE_EXIT_FAILED;
	while (code == BRIDGE_EXIT_OK && PQisBusy(rebuild->wal.conn))
		code = wait_for_slot(rebuild, &tell_at, &pass_at);
	return code == BRIDGE_EXIT_OK ? take_slot(rebuild) : code;
}

/*
 * A pass that began behind the place where the slot begins, since the server
 * did not wait any more when it was asked, has sent what the stream brings
 * too, under another place.
 */
static BridgeExit
make_slot(Rebuild *rebuild)
{
	BridgeExit	code = make_one(rebuild);

	while (code == BRIDGE_EXIT_OK && rebuild->slot_lsn <= rebuild->resend.lsn)
	{
		bridge_log(BRIDGE_LOG_INFO, "journal was read behind the slot's begin;"
				   " the slot is made once more", "slot=%s", BANK_SLOT);
		code = drop_slot(rebuild);
		if (code == BRIDGE_EXIT_OK)
			code = make_one(rebuild);
	}
	return code;
}

static BridgeExit
write_position(const Rebuild *rebuild)
{
	BridgePosition position = {
		.lsn = rebuild->slot_lsn, .epoch = rebuild->resend.epoch,
		.system_identifier = rebuild->identity.system_identifier,
		.timeline = rebuild->identity.timeline,
		.publication = rebuild->publication
	};

	return bridge_position_write(rebuild->config, &position,
								 &rebuild->producer.ends) ?
		BRIDGE_EXIT_OK : BRIDGE_EXIT_KAFKA;
}

/* What was found, and what was sent, must be there still. */
static BridgeExit
check_ends(const Rebuild *rebuild)
{
	BridgeEnds	found = {0};
	bool		known = bridge_tail_ask_ends(rebuild->config, &found);
	bool		hold = known && bridge_ends_check(&rebuild->producer.ends, &found);

	bridge_ends_free(&found);
	if (!known)
		return BRIDGE_EXIT_KAFKA;
	return hold ? BRIDGE_EXIT_OK : BRIDGE_EXIT_LOST;
}

/*
 * Of a compacted topic that was made anew meanwhile, what it had before is not
 * sent: it was found, or is below what was sent since.
 */
static BridgeExit
send_all(Rebuild *rebuild)
{
	BridgeExit	code = bridge_resend_pass(&rebuild->resend, NULL, 0);

	if (code == BRIDGE_EXIT_OK)
		code = make_slot(rebuild);
	if (code == BRIDGE_EXIT_OK)
		code = bridge_resend_pass(&rebuild->resend, rebuild->snapshot,
								  rebuild->slot_lsn);
	if (code == BRIDGE_EXIT_OK)
		code = check_ends(rebuild);
	if (code == BRIDGE_EXIT_LOST)
		bridge_log(BRIDGE_LOG_ERROR, "a topic was made anew while it was rebuilt",
				   "hint=%s",
				   "Delete it once more, run bank-bridge init, then rebuild.");
	return code;
}

static BridgeExit
rebuild_all(Rebuild *rebuild)
{
	BridgeExit	code = connect_both(rebuild);

	if (code == BRIDGE_EXIT_OK)
		code = check_position(rebuild);
	if (code == BRIDGE_EXIT_OK)
		code = end_maker(rebuild);
	if (code == BRIDGE_EXIT_OK)
		code = drop_slot(rebuild);
	if (code != BRIDGE_EXIT_OK)
		return code;
	snprintf(rebuild->producer.source, sizeof(rebuild->producer.source),
			 "/bank/%s", rebuild->catalog.site);
	rebuild->resend.conn = rebuild->conn;
	rebuild->resend.events.site = rebuild->catalog.site;
	code = read_kafka(rebuild);
	if (code == BRIDGE_EXIT_OK)
		code = send_all(rebuild);
	return code == BRIDGE_EXIT_OK ? write_position(rebuild) : code;
}

static void
tell_end(const Rebuild *rebuild, BridgeExit code)
{
	bool		done = code == BRIDGE_EXIT_OK;

	bridge_log(done ? BRIDGE_LOG_INFO : BRIDGE_LOG_ERROR,
			   done ? "rebuilt" : "not rebuilt; run it again",
			   "records=%" PRId64 " epoch=%" PRId32 " exit_code=%d",
			   rebuild->resend.sent, rebuild->resend.epoch, (int) code);
}

int
bridge_rebuild_run(const BridgeConfig *config, bool new_epoch)
{
	Rebuild    *rebuild = calloc(1, sizeof(*rebuild));
	BridgeExit	code = BRIDGE_EXIT_CONFIG;

	if (rebuild == NULL)
		return BRIDGE_EXIT_FAILED;
	rebuild->config = config;
	rebuild->new_epoch = new_epoch;
	rebuild->resend.producer = &rebuild->producer;
	bridge_log_role("rebuild");
	if (bridge_config_require(config, "init.ledger_dsn") &&
		bridge_config_require(config, "publish.dsn") &&
		bridge_config_require(config, "kafka.bootstrap.servers") &&
		bridge_config_require(config, "init.search_dsn") &&
		bridge_stop_catch(-1, GRACE_S) &&
		bridge_producer_create(&rebuild->producer, config))
	{
		code = rebuild_all(rebuild);
		tell_end(rebuild, code);
		bridge_producer_free(&rebuild->producer);
		bridge_ends_free(&rebuild->known);
		bridge_wal_close(&rebuild->wal);
		PQfinish(rebuild->conn);
	}
	free(rebuild);
	return code;
}
