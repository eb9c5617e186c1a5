/*
 * The role publish: WAL to Kafka.
 *
 * One thread waits for the replication socket, the producer, the heartbeat's
 * answer and the stop at once.
 *
 * Promises: an LSN is confirmed only after the broker has acknowledged every
 * record before it, and the position record that says so [9, 12].  PostgreSQL
 * and Kafka may come and go; neither ends the role.
 * Not here: what a session requires before it begins (session.c).
 */
#include "role.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "database.h"
#include "lag.h"
#include "log.h"
#include "metrics.h"
#include "publication.h"
#include "session.h"
#include "trouble.h"

#define RECORD_INTERVAL_MS 1000
#define STATUS_INTERVAL_MS 10000
#define LOOK_INTERVAL_MS 5000
#define AHEAD_INTERVAL_MS 600000
#define TICK_MS 1000
#define STALL_UNHEALTHY_MS 5000
#define STALL_MS 60000
#define DRAIN_MS 6000
#define BACKOFF_MAX_MS 10000
#define BACKOFF_FIRST_MS 250

/* A query may take 10 s (database.c). */
#define ANSWER_LIMIT_MS 20000

/* A server that is busy may take its time to say so. */
#define SILENCE_MIN_MS 30000

/* Acknowledgements are served at least once in so many frames. */
#define FRAME_BATCH 256

static const char heartbeat_query[] = "SELECT bank_ledger.beat()";

static const char seal_query[] = "SELECT bank_ledger.seal_next()";

/* How the slot stands: end of WAL, what is confirmed, what is safe, its state. */
static const char slot_query[] =
	"SELECT pg_catalog.pg_current_wal_lsn(), s.confirmed_flush_lsn,"
	" coalesce(s.safe_wal_size, -1),"
	" coalesce(pg_catalog.array_position("
	"ARRAY['reserved', 'extended', 'unreserved'], s.wal_status)"
	" OPERATOR(pg_catalog.-) 1, 3) "
	"FROM pg_catalog.pg_replication_slots AS s "
	"WHERE s.slot_name OPERATOR(pg_catalog.=) '" BANK_SLOT "'";

/* It reads every account, so it is not asked often. */
static const char ahead_query[] = "SELECT bank_ledger.accounts_ahead()";

typedef struct Publisher Publisher;

/* What is asked beside the stream, one at a time, and who takes the answer. */
typedef struct Question
{
	const char *query;
	int			interval_ms;	/* 0: the heartbeat's, which is a setting */
	bool		(*take) (Publisher *publisher, const PGresult *result); /* or NULL */
} Question;

#define QUESTIONS 4

struct Publisher
{
	const BridgeConfig *config;
	BridgeProducer producer;
	BridgeSession session;
	bool		reply_due;		/* the server asks for feedback */
	const Question *asked;		/* its answer is awaited */
	int64_t		asked_at;
	const Question *sealing;	/* or NULL: no step towards a seal is taken */
	int64_t		seal_at;
	int64_t		heard_at;		/* when the server last said something */
	int64_t		status_at;
	int64_t		ask_at[QUESTIONS];
	int64_t		record_at;
	int			backoff_ms;		/* grows until a session brings something */
	BridgeLag	lag;
};

/* Everything before it has reached Kafka. */
static uint64_t
safe_lsn(const Publisher *publisher)
{
	const BridgeInflight *inflight = &publisher->producer.inflight;
	uint64_t	lsn = inflight->safe_lsn;

	if (bridge_inflight_empty(inflight) && publisher->session.idle_lsn > lsn)
		lsn = publisher->session.idle_lsn;
	return lsn;
}

/* Sends the position record where there is something new to confirm. */
static bool
record_position(Publisher *publisher, int64_t now)
{
	BridgePosition position;
	uint64_t	lsn = safe_lsn(publisher);

	if (publisher->producer.recording_lsn != 0 || now < publisher->record_at ||
		lsn <= publisher->session.confirmed_lsn)
		return true;
	publisher->record_at = now + RECORD_INTERVAL_MS;
	bridge_session_position(&publisher->session, lsn, &position);
	return bridge_producer_record(&publisher->producer, &position);
}

/* Where nothing is to be confirmed, the server is asked whether it is there. */
static bool
send_status(Publisher *publisher, int64_t now)
{
	BridgeSession *session = &publisher->session;
	int64_t		interval = session->catalog.sender_timeout_ms / 3;
	bool		due = now >= publisher->status_at;
	bool		moved = publisher->producer.recorded_lsn > session->confirmed_lsn;

	if (interval == 0 || interval > STATUS_INTERVAL_MS)
		interval = STATUS_INTERVAL_MS;
	if (!moved && !publisher->reply_due && !due)
		return true;
	if (moved)
		session->confirmed_lsn = publisher->producer.recorded_lsn;
	publisher->status_at = now + interval;
	publisher->reply_due = false;
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_CONFIRMED_LSN,
					   (int64_t) session->confirmed_lsn);
	return bridge_wal_confirm(&session->wal, session->confirmed_lsn, due);
}

static bool
is_silent(Publisher *publisher, int64_t now)
{
	int64_t		limit = publisher->session.catalog.sender_timeout_ms;
	const char *which = NULL;

	/* What is left unread says nothing. */
	if (!bridge_producer_has_room(&publisher->producer))
		publisher->heard_at = now;
	if (limit == 0)
		limit = BRIDGE_SENDER_TIMEOUT_MS;
	if (limit < SILENCE_MIN_MS)
		limit = SILENCE_MIN_MS;
	if (now - publisher->heard_at > limit)
		which = "stream";
	else if (publisher->asked != NULL &&
			 now - publisher->asked_at > ANSWER_LIMIT_MS)
		which = "questions";
	if (which != NULL)
		bridge_log(BRIDGE_LOG_WARNING, "postgresql is silent; connecting again",
				   "connection=%s", which);
	return which != NULL;
}

static int64_t
number_in(const PGresult *result, int column)
{
	return strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

static bool
take_slot(Publisher *publisher, const PGresult *result)
{
	uint64_t	written;
	uint64_t	confirmed;

	if (!bridge_database_parse_lsn(PQgetvalue(result, 0, 0), &written) ||
		!bridge_database_parse_lsn(PQgetvalue(result, 0, 1), &confirmed))
		return true;
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_LAG_BYTES, (int64_t) (written - confirmed));
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_LAG_SECONDS,
					   bridge_clock_date_ms() -
					   bridge_lag_note(&publisher->lag, bridge_clock_ms(), written,
									   confirmed));
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_SAFE_WAL_BYTES, number_in(result, 2));
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_SLOT_STATE, number_in(result, 3));
	return true;
}

static bool
take_ahead(Publisher *publisher, const PGresult *result)
{
	(void) publisher;
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_ACCOUNTS_AHEAD, number_in(result, 0));
	return true;
}

/*
 * What the session has found of it must go on to hold.  Where it does not, the
 * next one says what is wrong.
 */
static bool
take_publication(Publisher *publisher, const PGresult *result)
{
	BridgePublication found;

	return strcmp(PQgetvalue(result, 0, 0), "t") == 0 &&
		bridge_publication_parse(PQgetvalue(result, 0, 1), &found) &&
		!bridge_publication_differs(&publisher->session.position.publication, &found);
}

static const Question questions[QUESTIONS] = {
	{heartbeat_query, 0, NULL},
	{slot_query, LOOK_INTERVAL_MS, take_slot},
	{ahead_query, AHEAD_INTERVAL_MS, take_ahead},
	{bridge_publication_query, LOOK_INTERVAL_MS, take_publication},
};

/* False where the session must not go on. */
static bool
take_answer(Publisher *publisher, const Question *question, const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		bridge_log(BRIDGE_LOG_WARNING, "a question failed", "query=%s error=%s",
				   question->query, PQresultErrorMessage(result));
	else if (question->take != NULL && PQntuples(result) == 1)
		return question->take(publisher, result);
	return true;
}

static bool
take_answers(Publisher *publisher, PGconn *conn, const Question **asked)
{
	PGresult   *result;
	bool		goes_on = true;

	if (PQconsumeInput(conn) == 0)
	{
		bridge_log(BRIDGE_LOG_WARNING, "connection for questions lost",
				   "error=%s", PQerrorMessage(conn));
		return false;
	}
	while (PQisBusy(conn) == 0 && (result = PQgetResult(conn)) != NULL)
	{
		goes_on = take_answer(publisher, *asked, result) && goes_on;
		PQclear(result);
	}
	if (PQisBusy(conn) == 0)
		*asked = NULL;
	return goes_on;
}

static int64_t
interval_of(const Publisher *publisher, const Question *question)
{
	return question->interval_ms > 0 ? question->interval_ms :
		publisher->config->publish_heartbeat_s * 1000;
}

/* A heartbeat, or what metrics want to know, whichever is due. */
static bool
ask(Publisher *publisher, int64_t now)
{
	for (int i = 0; i < QUESTIONS && publisher->asked == NULL; i++)
	{
		if (now < publisher->ask_at[i])
			continue;
		publisher->ask_at[i] = now + interval_of(publisher, &questions[i]);
		publisher->asked = &questions[i];
		publisher->asked_at = now;
		return PQsendQuery(publisher->session.sql, questions[i].query) == 1;
	}
	return true;
}

/* A step towards the next seal; how long it takes, the journal decides. */
static bool
seal(Publisher *publisher, int64_t now)
{
	static const Question step = {seal_query, 0, NULL};

	if (publisher->sealing != NULL || now < publisher->seal_at)
		return true;
	publisher->seal_at = now + interval_of(publisher, &step);
	publisher->sealing = &step;
	return PQsendQuery(publisher->session.sealing, step.query) == 1;
}

static bool
is_stalled(const Publisher *publisher, int64_t limit_ms)
{
	return bridge_producer_is_waiting(&publisher->producer) &&
		bridge_clock_ms() - publisher->producer.progress_at > limit_ms;
}

static void
tell_health(const Publisher *publisher)
{
	const char *trouble = is_stalled(publisher, STALL_UNHEALTHY_MS) ?
	bridge_trouble_or("kafka does not acknowledge") : bridge_trouble_or(NULL);

	bridge_health_set(BRIDGE_ROLE_PUBLISH, trouble == NULL,
					  trouble == NULL ? "streaming" : trouble);
}

/* Until something arrives; with frames at hand only a look. */
static void
wait_for_event(Publisher *publisher, bool at_hand)
{
	BridgeSession *session = &publisher->session;
	short		wal_events = session->wal.unsent ? POLLOUT : 0;
	struct pollfd fds[] = {
		{.fd = bridge_stop_fd(), .events = POLLIN},
		{.fd = bridge_producer_fd(&publisher->producer), .events = POLLIN},
		{.fd = PQsocket(session->wal.conn), .events = wal_events},
		{.fd = PQsocket(session->sql), .events = POLLIN},
		{.fd = PQsocket(session->sealing), .events = POLLIN},
	};

	if (bridge_producer_has_room(&publisher->producer))
		fds[2].events |= POLLIN;
	if (fds[2].events == 0)
		fds[2].fd = -1;
	poll(fds, 5, at_hand ? 0 : TICK_MS / 4);
}

/* Takes frames while there is room; *at_hand: it stopped before the last. */
static int
take_frames(Publisher *publisher, bool *at_hand)
{
	BridgeSession *session = &publisher->session;
	BridgeWalFrame frame;
	int			code = BRIDGE_EXIT_OK;

	*at_hand = false;
	for (int i = 0; i < FRAME_BATCH; i++)
	{
		BridgeWalRead read;

		if (!bridge_producer_has_room(&publisher->producer))
			return BRIDGE_EXIT_OK;
		read = bridge_wal_read(&session->wal, &frame);
		if (read == BRIDGE_WAL_NOTHING)
			return BRIDGE_EXIT_OK;
		if (read != BRIDGE_WAL_FRAME)
			return read == BRIDGE_WAL_LOST ? BRIDGE_EXIT_LOST : BRIDGE_SESSION_RETRY;
		if (bridge_session_stood_still(session))
		{
			bridge_wal_release(&frame);
			return BRIDGE_SESSION_RETRY;
		}
		publisher->backoff_ms = BACKOFF_FIRST_MS;
		if (frame.data != NULL)
			code = bridge_stream_take(&session->stream, frame.data,
									  frame.length, frame.lsn);
		else
			session->idle_lsn = frame.lsn;
		publisher->heard_at = bridge_clock_ms();
		publisher->reply_due = publisher->reply_due || frame.reply_requested;
		bridge_wal_release(&frame);
		if (code != BRIDGE_EXIT_OK)
			return code;
	}
	*at_hand = true;
	return BRIDGE_EXIT_OK;
}

/* What is due by time; false where a connection is gone. */
static bool
do_due(Publisher *publisher)
{
	int64_t		now = bridge_clock_ms();

	return !is_silent(publisher, now) && record_position(publisher, now) &&
		send_status(publisher, now) && ask(publisher, now) && seal(publisher, now);
}

/* One turn of the loop: OK to go on, or the code to leave the session with. */
static int
turn(Publisher *publisher)
{
	BridgeSession *session = &publisher->session;
	bool		at_hand;
	int			code;

	if (bridge_session_stood_still(session))
		return BRIDGE_SESSION_RETRY;
	bridge_producer_serve(&publisher->producer);
	if (publisher->producer.failed)
		return publisher->producer.code;
	code = take_frames(publisher, &at_hand);
	if (code != BRIDGE_EXIT_OK)
		return code;
	if (!do_due(publisher))
		return publisher->producer.failed ? (int) publisher->producer.code :
			BRIDGE_SESSION_RETRY;
	wait_for_event(publisher, at_hand);
	if (session->wal.unsent && !bridge_wal_flush(&session->wal))
		return BRIDGE_SESSION_RETRY;
	if (bridge_producer_has_room(&publisher->producer) &&
		!bridge_wal_consume(&session->wal))
		return BRIDGE_SESSION_RETRY;
	return take_answers(publisher, session->sql, &publisher->asked) &&
		take_answers(publisher, session->sealing, &publisher->sealing) ?
		BRIDGE_EXIT_OK : BRIDGE_SESSION_RETRY;
}

static int
stream_until_end(Publisher *publisher)
{
	int64_t		health_at = 0;
	int			code = BRIDGE_EXIT_OK;

	publisher->asked = publisher->sealing = NULL;
	publisher->seal_at = 0;
	memset(publisher->ask_at, 0, sizeof(publisher->ask_at));
	publisher->status_at = 0;
	publisher->heard_at = bridge_clock_ms();
	while (code == BRIDGE_EXIT_OK && !bridge_stop_requested())
	{
		int64_t		now = bridge_clock_ms();

		code = turn(publisher);
		if (now >= health_at)
		{
			tell_health(publisher);
			health_at = now + TICK_MS;
		}
		if (code == BRIDGE_EXIT_OK && is_stalled(publisher, STALL_MS))
			code = BRIDGE_SESSION_STALLED;
	}
	return code;
}

/* Waits, serving acknowledgements, for milliseconds or until done says so. */
static void
serve_until(Publisher *publisher, int64_t milliseconds,
			bool (*done) (const Publisher *publisher))
{
	int64_t		deadline = bridge_clock_ms() + milliseconds;
	struct pollfd fd = {
		.fd = bridge_producer_fd(&publisher->producer), .events = POLLIN
	};

	while (!done(publisher) && !publisher->producer.failed &&
		   bridge_clock_ms() < deadline)
	{
		poll(&fd, 1, 50);
		bridge_producer_serve(&publisher->producer);
	}
}

static bool
is_acknowledged(const Publisher *publisher)
{
	return !bridge_producer_is_waiting(&publisher->producer);
}

static bool
is_stopped(const Publisher *publisher)
{
	(void) publisher;
	return bridge_stop_requested();
}

static bool
is_moving(const Publisher *publisher)
{
	return bridge_stop_requested() || !is_stalled(publisher, STALL_MS);
}

/*
 * The last word: nothing is on its way.  It says no less than the record
 * before, also where nothing was read since.
 */
static bool
record_end(Publisher *publisher)
{
	BridgePosition position = publisher->session.position;
	uint64_t	lsn = safe_lsn(publisher);

	if (lsn > position.lsn)
		bridge_session_position(&publisher->session, lsn, &position);
	return bridge_producer_end(&publisher->producer, &position);
}

/* What was read is sent and confirmed; what is not is read again later. */
static void
drain(Publisher *publisher)
{
	int64_t		deadline = bridge_clock_ms() + DRAIN_MS;
	BridgeSession *session = &publisher->session;

	serve_until(publisher, DRAIN_MS, is_acknowledged);
	publisher->record_at = 0;
	if (session->wal.conn == NULL || publisher->producer.failed ||
		!(is_acknowledged(publisher) ? record_end(publisher) :
		  record_position(publisher, 0)))
		return;
	serve_until(publisher, deadline - bridge_clock_ms() + 500, is_acknowledged);
	publisher->reply_due = true;
	if (send_status(publisher, bridge_clock_ms()))
		bridge_wal_end(&session->wal);
	bridge_log(BRIDGE_LOG_INFO, "drained", "in_flight=%llu",
			   (unsigned long long) publisher->producer.inflight.records);
}

/* How far the slot is behind, also while nothing is read from it. */
static void
look_at_slot(Publisher *publisher, PGconn **conn)
{
	PGresult   *result;

	if (*conn == NULL)
		*conn = bridge_database_connect(publisher->config->publish_dsn,
										BRIDGE_DATABASE_SQL);
	if (*conn == NULL)
		return;
	result = PQexec(*conn, slot_query);
	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
		(void) take_slot(publisher, result);
	PQclear(result);
	if (PQstatus(*conn) == CONNECTION_OK)
		return;
	PQfinish(*conn);
	*conn = NULL;
}

/*
 * A broker that stays silent: the connection is given up, since a server
 * cannot shut down while data it sent is not confirmed.
 */
static void
wait_for_kafka(Publisher *publisher)
{
	PGconn	   *conn = NULL;

	bridge_log(BRIDGE_LOG_WARNING, "kafka makes no progress",
			   "in_flight=%llu", (unsigned long long)
			   publisher->producer.inflight.records);
	bridge_health_set(BRIDGE_ROLE_PUBLISH, false,
					  bridge_trouble_or("waiting for kafka"));
	while (!is_moving(publisher) && !publisher->producer.failed)
	{
		look_at_slot(publisher, &conn);
		serve_until(publisher, LOOK_INTERVAL_MS, is_moving);
	}
	PQfinish(conn);
}

static void
back_off(Publisher *publisher)
{
	serve_until(publisher, publisher->backoff_ms, is_stopped);
	publisher->backoff_ms *= 2;
	if (publisher->backoff_ms > BACKOFF_MAX_MS)
		publisher->backoff_ms = BACKOFF_MAX_MS;
}

/* One session; OK, RETRY and STALLED let another one follow. */
static int
run_session(Publisher *publisher)
{
	int			code = bridge_session_open(&publisher->session);

	if (code == BRIDGE_EXIT_OK)
		code = stream_until_end(publisher);
	if (bridge_stop_requested() && code == BRIDGE_EXIT_OK)
		drain(publisher);
	bridge_session_close(&publisher->session);
	if (!publisher->producer.failed)
		return code;
	bridge_health_set(BRIDGE_ROLE_PUBLISH, false,
					  bridge_trouble_or("kafka refuses a record"));
	return publisher->producer.code;
}

static int
publish(Publisher *publisher)
{
	int			code = BRIDGE_EXIT_OK;

	while (!bridge_stop_requested())
	{
		code = run_session(publisher);
		if (code == BRIDGE_SESSION_STALLED)
			wait_for_kafka(publisher);
		else if (code == BRIDGE_SESSION_RETRY)
			back_off(publisher);
		else
			return code;
	}
	return publisher->producer.failed ? (int) publisher->producer.code : BRIDGE_EXIT_OK;
}

int
bridge_publish_run(const BridgeConfig *config)
{
	Publisher  *publisher = calloc(1, sizeof(*publisher));
	int			code = BRIDGE_EXIT_CONFIG;

	if (publisher == NULL)
		return BRIDGE_EXIT_FAILED;
	publisher->config = config;
	publisher->backoff_ms = BACKOFF_FIRST_MS;
	if (bridge_config_require(config, "publish.dsn") &&
		bridge_config_require(config, "kafka.bootstrap.servers") &&
		bridge_producer_create(&publisher->producer, config))
	{
		bridge_session_create(&publisher->session, config, &publisher->producer);
		code = publish(publisher);
		bridge_producer_free(&publisher->producer);
		bridge_session_free(&publisher->session);
	}
	free(publisher);
	return code;
}
