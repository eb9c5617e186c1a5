/*
 * How a session begins.
 *
 * The order matters: slot and end of WAL are read once the slot is ours, and
 * the position record after them, since a predecessor writes the record first
 * and moves the slot afterwards.  Kafka's tail comes last: once the slot is ours,
 * no predecessor reads more.
 */
#include "session.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "presence.h"
#include "publication.h"
#include "trouble.h"

/* How often the server hears of us while Kafka takes a record. */
#define SERVE_MS 250

/* More than a leader waits for a replica where nobody has set it. */
#define BEGIN_MS 60000

static int
unhealthy(int code, const char *reason)
{
	bridge_health_set(BRIDGE_ROLE_PUBLISH, false, reason);
	return code;
}

bool
bridge_session_stood_still(BridgeSession *session)
{
	int64_t		limit_ms = session->catalog.sender_timeout_ms;
	int64_t		now = bridge_clock_ms();
	int64_t		passed_ms = now - session->turned_at;

	session->turned_at = now;
	if (limit_ms == 0 || passed_ms < limit_ms)
		return false;
	bridge_log(BRIDGE_LOG_WARNING, "the process stood still", "ms=%" PRId64,
			   passed_ms);
	return true;
}

/*
 * What goes on while Kafka is asked: a server that hears nothing ends the
 * stream.  False where the slot is lost.
 */
static bool
keep_alive(void *context)
{
	BridgeSession *session = context;
	int64_t		interval = session->catalog.sender_timeout_ms / 3;
	int64_t		now = bridge_clock_ms();

	bridge_health_set(BRIDGE_ROLE_PUBLISH, false,
					  bridge_trouble_or(session->wait.reason != NULL ?
										session->wait.reason : "comparing with kafka"));
	if (bridge_session_stood_still(session))
		return false;
	if (interval == 0 || now < session->alive_at + interval)
		return true;
	session->alive_at = now;
	return bridge_wal_confirm(&session->wal, session->confirmed_lsn, false);
}

void
bridge_session_create(BridgeSession *session, const BridgeConfig *config,
					  BridgeProducer *producer)
{
	memset(session, 0, sizeof(*session));
	session->config = config;
	session->producer = producer;
	session->pulse = (BridgePulse)
	{
		keep_alive, session
	};
}

static int
check_catalog(BridgeSession *session)
{
	BridgeExit	code = bridge_catalog_read(session->sql, &session->catalog);

	return code == BRIDGE_EXIT_FAILED ? BRIDGE_SESSION_RETRY : (int) code;
}

/* A period has as many rows as came while nobody sealed: no limit of time. */
static PGconn *
connect_for_seals(const char *dsn)
{
	PGconn	   *conn = bridge_database_connect(dsn, BRIDGE_DATABASE_SQL);

	PQclear(PQexec(conn, "SET statement_timeout = 0"));
	return conn;
}

static int
tell_presence(BridgeSession *session)
{
	switch (bridge_presence_share(session->sql))
	{
		case BRIDGE_PRESENCE_TAKEN:
			session->present = true;
			PQfinish(session->presence);
			session->presence = NULL;
			return BRIDGE_EXIT_OK;
		case BRIDGE_PRESENCE_BUSY:
			bridge_log(BRIDGE_LOG_WARNING, "a rebuild is at work", "slot=%s", BANK_SLOT);
			return unhealthy(BRIDGE_SESSION_RETRY, "a rebuild is at work");
		case BRIDGE_PRESENCE_UNKNOWN:
			break;
	}
	return unhealthy(BRIDGE_SESSION_RETRY, "postgresql does not answer");
}

static int
connect_all(BridgeSession *session)
{
	const char *dsn = session->config->publish_dsn;
	int			code;

	session->sql = bridge_database_connect(dsn, BRIDGE_DATABASE_SQL);
	if (session->sql == NULL)
		return unhealthy(BRIDGE_SESSION_RETRY, "postgresql cannot be reached");
	code = check_catalog(session);
	if (code != BRIDGE_EXIT_OK)
		return unhealthy(code, "ledger is not as it must be");
	code = tell_presence(session);
	if (code != BRIDGE_EXIT_OK)
		return code;
	session->sealing = connect_for_seals(dsn);
	if (session->sealing == NULL ||
		!bridge_wal_connect(&session->wal, dsn, &session->identity))
		return unhealthy(BRIDGE_SESSION_RETRY, "postgresql cannot be reached");
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_LAG_BYTES,
					   (int64_t) (session->catalog.flushed_lsn -
								  session->catalog.confirmed_lsn));
	return bridge_catalog_check_system(&session->catalog, &session->identity);
}

/* A predecessor that died silently is dropped by the server in this time. */
static int
judge_active(BridgeSession *session)
{
	int64_t		now = bridge_clock_ms();
	int64_t		limit_ms = session->catalog.sender_timeout_ms;

	if (limit_ms == 0)
		limit_ms = BRIDGE_SENDER_TIMEOUT_MS;
	if (session->active_since == 0)
		session->active_since = now;
	if (now - session->active_since < limit_ms)
		return unhealthy(BRIDGE_SESSION_RETRY, "another publisher is active");
	bridge_log(BRIDGE_LOG_ERROR, "another publisher reads the slot",
			   "slot=%s waited_ms=%" PRId64, BANK_SLOT, limit_ms);
	return BRIDGE_EXIT_FENCED;
}

static int
start_stream(BridgeSession *session)
{
	switch (bridge_wal_start(&session->wal))
	{
		case BRIDGE_WAL_STARTED:
			session->active_since = 0;
			return BRIDGE_EXIT_OK;
		case BRIDGE_WAL_ACTIVE:
			return judge_active(session);
		case BRIDGE_WAL_REFUSED:
			break;
	}
	session->active_since = 0;
	return unhealthy(BRIDGE_SESSION_RETRY, "the stream does not start");
}

/* Where the slot stands now that nobody else moves it. */
static int
look_at_slot(BridgeSession *session)
{
	BridgeExit	code = bridge_catalog_read_slot(session->sql, &session->catalog);

	session->confirmed_lsn = session->catalog.confirmed_lsn;
	session->alive_at = bridge_clock_ms();
	session->turned_at = session->alive_at;
	return code == BRIDGE_EXIT_FAILED ? BRIDGE_SESSION_RETRY : (int) code;
}

static int
refuse_position(const BridgeSession *session, const char *what,
				const char *hint)
{
	char		slot_lsn[BRIDGE_LSN_SIZE];
	char		record_lsn[BRIDGE_LSN_SIZE];
	char		flushed_lsn[BRIDGE_LSN_SIZE];

	bridge_database_format_lsn(session->catalog.confirmed_lsn, slot_lsn);
	bridge_database_format_lsn(session->position.lsn, record_lsn);
	bridge_database_format_lsn(session->catalog.flushed_lsn, flushed_lsn);
	bridge_log(BRIDGE_LOG_ERROR, what,
			   "slot_lsn=%s record_lsn=%s wal_lsn=%s hint=%s", slot_lsn,
			   record_lsn, flushed_lsn, hint);
	return BRIDGE_EXIT_LOST;
}

/*
 * What this process knows is old where another publisher had the slot.  The
 * next process asks Kafka, and refuses a slot that none of us moved.
 */
static int
begin_anew(const BridgeSession *session, const char *what)
{
	char		slot_lsn[BRIDGE_LSN_SIZE];

	bridge_database_format_lsn(session->catalog.confirmed_lsn, slot_lsn);
	bridge_log(BRIDGE_LOG_WARNING, what, "slot=%s slot_lsn=%s", BANK_SLOT, slot_lsn);
	return BRIDGE_EXIT_FAILED;
}

/*
 * An epoch nobody has published means that commits were lost; where the slot
 * is ours, the stream itself will say when it begins.
 */
static int
refuse_stream(const BridgeSession *session, const char *what)
{
	return refuse_position(session, what,
						   session->catalog.epoch > session->position.epoch ?
						   "Run bank-bridge rebuild --new-epoch." :
						   "Run bank-bridge rebuild.");
}

static int
judge_position(const BridgeSession *session)
{
	const BridgePosition *position = &session->position;
	const BridgePosition ledger = {
		.lsn = session->catalog.flushed_lsn,
		.system_identifier = session->identity.system_identifier,
		.timeline = session->identity.timeline
	};
	const char *wrong = bridge_position_refute(position, &ledger);

	if (wrong != NULL)
		return refuse_position(session, wrong, "Run bank-bridge rebuild --new-epoch.");
	if (session->catalog.confirmed_lsn > position->lsn)
		return session->placed ?
			begin_anew(session, "slot was moved while this process had it not") :
			refuse_stream(session, "slot was recreated or moved by somebody else");
	return BRIDGE_EXIT_OK;
}

/* A record that does not say is of an older bridge, and completed. */
static int
judge_publication(BridgeSession *session)
{
	BridgePublication found;

	if (!bridge_publication_read(session->sql, &found))
		return unhealthy(BRIDGE_SESSION_RETRY, "postgresql does not answer");
	if (bridge_publication_differs(&session->position.publication, &found))
		return refuse_stream(session,
							 "publication was altered; the stream may lack rows");
	session->position.publication = found;
	return BRIDGE_EXIT_OK;
}

static int
kafka_is_away(void)
{
	return unhealthy(BRIDGE_SESSION_RETRY, bridge_trouble_or("kafka cannot be reached"));
}

/* Until the record on its way, where there is one, is acknowledged. */
static int
await_record(BridgeSession *session)
{
	BridgeProducer *producer = session->producer;
	int64_t		deadline = bridge_clock_ms() + BEGIN_MS;
	struct pollfd fds[] = {
		{.fd = bridge_producer_fd(producer), .events = POLLIN},
		{.fd = bridge_stop_fd(), .events = POLLIN}
	};

	session->wait.reason = "waiting for kafka";
	while (producer->recording_lsn != 0 && !producer->failed &&
		   !bridge_stop_requested() && bridge_clock_ms() < deadline &&
		   bridge_ask_beat(&session->pulse))
	{
		poll(fds, 2, SERVE_MS);
		bridge_producer_serve(producer);
	}
	session->wait.reason = NULL;
	if (producer->failed)
		return producer->code;
	return producer->recording_lsn == 0 ? BRIDGE_EXIT_OK : kafka_is_away();
}

/*
 * While a session was away, another process may have had the slot, and a server
 * that was killed may have put it back since.
 */
static int
require_last_word(BridgeSession *session)
{
	BridgeProducer *producer = session->producer;
	int64_t		end;
	int			code = await_record(session);

	if (code != BRIDGE_EXIT_OK || producer->recorded_offset < 0)
		return code;
	if (bridge_position_end(producer->client, &end, &session->pulse) !=
		RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_is_away();
	return end == producer->recorded_offset + 1 ? BRIDGE_EXIT_OK :
		begin_anew(session, "another publisher worked while this process had no session");
}

/* The first session of the process asks Kafka what was published; later ones know. */
static int
find_position(BridgeSession *session)
{
	session->position.ended_at = 0;
	if (session->placed)
		return require_last_word(session);
	switch (bridge_position_read(session->config, &session->position,
								 &session->producer->ends, &session->pulse))
	{
		case BRIDGE_POSITION_FOUND:
			return BRIDGE_EXIT_OK;
		case BRIDGE_POSITION_NONE:
			bridge_position_tell_none();
			return BRIDGE_EXIT_LOST;
		case BRIDGE_POSITION_UNKNOWN:
			break;
	}
	return kafka_is_away();
}

static void
place_stream(BridgeSession *session)
{
	const BridgePosition *position = &session->position;
	int32_t		epoch = bridge_position_epoch_at(position, position->lsn);

	if (!session->placed)
		bridge_stream_create(&session->stream, session->producer, epoch,
							 epoch == position->epoch ? position->epoch_lsn : 0,
							 position->lsn);
	bridge_stream_restart(&session->stream);
	snprintf(session->producer->source, sizeof(session->producer->source),
			 "/bank/%s", session->catalog.site);
	session->stream.events.site = session->catalog.site;
	session->idle_lsn = 0;
	session->placed = true;
}

/*
 * What was sent and is not acknowledged counts among the ends that are found,
 * so that they are taken for known before anything is sent, and not later.
 */
static bool
check_ends(BridgeSession *session, BridgeEnds *found)
{
	BridgeEnds *known = &session->producer->ends;
	bool		hold = bridge_ends_check(known, found);

	if (hold && !session->measured)
	{
		bridge_ends_free(known);
		*known = *found;
		memset(found, 0, sizeof(*found));
		session->measured = true;
	}
	bridge_ends_free(found);
	return hold;
}

/*
 * What a predecessor said of its end is over once something new is sent: a
 * record of ours stands behind it before that.  And where replicas that stand
 * still cannot be given up, since nobody decides it, this is not acknowledged.
 */
static int
take_back_end(BridgeSession *session)
{
	BridgeProducer *producer = session->producer;
	BridgePosition position = session->position;

	if (producer->recorded_offset >= 0)
		return BRIDGE_EXIT_OK;
	position.ended_at = 0;
	if (producer->recording_lsn == 0 && !bridge_producer_record(producer, &position))
		return producer->code;
	return await_record(session);
}

/* Until all that Kafka had at the start of the process is behind. */
static int
open_tail(BridgeSession *session)
{
	BridgeStream *stream = &session->stream;
	BridgePlace from = bridge_stream_place(stream, stream->done_lsn);
	BridgeEnds	found = {0};

	if (stream->compared)
		return BRIDGE_EXIT_OK;
	session->wait.left = session->position.ended_at > 0 ? &session->producer->ends :
		NULL;
	if (!bridge_tail_open(session->config, &from, &found, &session->pulse,
						  &session->wait, &stream->tail))
	{
		bridge_ends_free(&found);
		return unhealthy(BRIDGE_SESSION_RETRY,
						 bridge_trouble_or(session->wait.reason != NULL ?
										   session->wait.reason :
										   "kafka cannot be reached"));
	}
	if (!check_ends(session, &found))
		return BRIDGE_EXIT_LOST;
	stream->compared = stream->tail == NULL;
	return BRIDGE_EXIT_OK;
}

static void
tell_start(const BridgeSession *session)
{
	char		lsn[BRIDGE_LSN_SIZE];

	bridge_database_format_lsn(session->confirmed_lsn, lsn);
	bridge_metrics_add(BRIDGE_METRIC_PUBLISH_CONNECTS, 1);
	bridge_trouble_end();
	bridge_log(BRIDGE_LOG_INFO, "streaming", "slot=%s lsn=%s epoch=%" PRId32
			   " site=%s", BANK_SLOT, lsn, session->stream.epoch,
			   session->catalog.site);
}

int
bridge_session_open(BridgeSession *session)
{
	int			code = connect_all(session);

	if (code == BRIDGE_EXIT_OK)
		code = start_stream(session);
	else
		session->active_since = 0;
	if (code == BRIDGE_EXIT_OK)
		code = look_at_slot(session);
	if (code == BRIDGE_EXIT_OK)
		code = find_position(session);
	if (code == BRIDGE_EXIT_OK)
		code = judge_position(session);
	if (code == BRIDGE_EXIT_OK)
		code = judge_publication(session);
	if (code != BRIDGE_EXIT_OK)
		return code;
	place_stream(session);
	code = take_back_end(session);
	if (code == BRIDGE_EXIT_OK)
		code = open_tail(session);
	if (code == BRIDGE_EXIT_OK)
		tell_start(session);
	return code;
}

void
bridge_session_position(BridgeSession *session, uint64_t lsn,
						BridgePosition *position)
{
	*position = (BridgePosition)
	{
		.lsn = lsn, .epoch = session->stream.epoch,
			.epoch_lsn = session->stream.epoch_lsn,
			.system_identifier = session->identity.system_identifier,
			.timeline = session->identity.timeline,
			.publication = session->position.publication
	};
	session->position = *position;
}

void
bridge_session_close(BridgeSession *session)
{
	bridge_wal_close(&session->wal);
	bridge_tail_close(session->stream.tail);
	session->stream.tail = NULL;
	if (session->present)
		session->presence = session->sql;
	else
		PQfinish(session->sql);
	PQfinish(session->sealing);
	session->sql = NULL;
	session->sealing = NULL;
	session->present = false;
}

void
bridge_session_free(BridgeSession *session)
{
	PQfinish(session->presence);
	session->presence = NULL;
}
