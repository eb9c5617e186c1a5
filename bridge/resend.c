/*
 * Passes over the journal.
 */
#include "resend.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "contract.h"
#include "event.h"
#include "log.h"

#define PROGRESS_MS 1000
#define WAIT_MS 250
#define FETCH "FETCH FORWARD 500 FROM lacking"

/*
 * Of each account the highest version Kafka has; where another one came after
 * it, which compaction would keep in its place, it is lacking again.  Operators
 * are those of pg_catalog, which alone is searched.
 */
static const char views[] =
	"CREATE TEMPORARY VIEW journal_state AS"
	" SELECT account_id, customer_id, kind, version, currency, status, balance,"
	"  held, transfer_id, occurred_at FROM bank_ledger.account_event"
	" UNION ALL"
	" SELECT t.from_account, a.customer_id, t.kind, t.from_version, t.currency,"
	"  'active', t.from_balance, t.from_held, t.transfer_id, t.completed_at"
	"  FROM bank_ledger.transfer AS t"
	"  JOIN bank_ledger.account AS a ON a.account_id = t.from_account"
	" UNION ALL"
	" SELECT t.to_account, a.customer_id, t.kind, t.to_version, t.currency,"
	"  'active', t.to_balance, t.to_held, t.transfer_id, t.completed_at"
	"  FROM bank_ledger.transfer AS t"
	"  JOIN bank_ledger.account AS a ON a.account_id = t.to_account;"

	"CREATE TEMPORARY VIEW kafka_top AS"
	" SELECT topic, account_id, top[1]::int4 AS epoch, top[2] AS version,"
	"  top[2] - (last[2:3] <> top)::int4 AS reached"
	" FROM (SELECT topic, account_id, max(ARRAY[epoch, version]) AS top,"
	"  max(ARRAY[reading, epoch, version]) AS last"
	"  FROM pg_temp.kafka_state GROUP BY topic, account_id) AS found;"

	"CREATE TEMPORARY VIEW lacking_state AS"
	" SELECT s.*, s.version > coalesce(b.reached, 0) AS lacks_balance,"
	"  s.kind IN ('created', 'inactivated')"
	"   AND s.version > coalesce(a.reached, 0) AS lacks_status"
	" FROM pg_temp.journal_state AS s"
	" LEFT JOIN pg_temp.kafka_top AS b"
	"  ON b.topic = '" BANK_TOPIC_BALANCES "' AND b.account_id = s.account_id"
	" LEFT JOIN pg_temp.kafka_top AS a"
	"  ON a.topic = '" BANK_TOPIC_ACCOUNTS "' AND a.account_id = s.account_id"
	" WHERE s.version > coalesce(b.reached, 0) OR"
	"  (s.kind IN ('created', 'inactivated') AND s.version > coalesce(a.reached, 0));"

	"CREATE TEMPORARY VIEW account_state AS"
	" SELECT account_id, customer_id, CASE status WHEN 'active' THEN 'created'"
	"  ELSE 'inactivated' END AS kind, version, currency, status, balance, held,"
	"  NULL::uuid AS transfer_id, updated_at AS occurred_at,"
	"  true AS lacks_balance, true AS lacks_status FROM bank_ledger.account;"

	"CREATE TEMPORARY VIEW lacking_transfer AS"
	" SELECT t.* FROM bank_ledger.transfer AS t WHERE NOT EXISTS"
	"  (SELECT FROM pg_temp.kafka_transfer AS k WHERE k.transfer_id = t.transfer_id);"

	"CREATE TEMPORARY VIEW lacking_seal AS"
	" SELECT s.* FROM bank_ledger.seal AS s WHERE NOT EXISTS"
	"  (SELECT FROM pg_temp.kafka_seal AS k WHERE k.number = s.number)";

static const char transfers[] =
	"SELECT * FROM pg_temp.lacking_transfer"
	" ORDER BY completed_at, from_version, transfer_id";
static const char states[] =
	"SELECT * FROM pg_temp.lacking_state ORDER BY account_id, version";
static const char seals[] = "SELECT * FROM pg_temp.lacking_seal ORDER BY number";

/* A new epoch begins with every account's state, and every seal. */
static const char forget_seals[] = "TRUNCATE pg_temp.kafka_seal";
static const char accounts[] =
	"SELECT * FROM pg_temp.account_state ORDER BY account_id";

/* After a pass Kafka has all that its snapshot shows. */
static const char note_sent[] =
	"INSERT INTO pg_temp.kafka_transfer (transfer_id)"
	" SELECT transfer_id FROM pg_temp.lacking_transfer;"
	"INSERT INTO pg_temp.kafka_state (topic, account_id, epoch, version)"
	" SELECT t.topic, a.account_id, %" PRId32 ", a.version"
	" FROM bank_ledger.account AS a,"
	" (VALUES ('" BANK_TOPIC_BALANCES "'), ('" BANK_TOPIC_ACCOUNTS "')) AS t (topic);"
	"INSERT INTO pg_temp.kafka_seal (number)"
	" SELECT number FROM pg_temp.lacking_seal;"
	"COMMIT; ANALYZE pg_temp.kafka_transfer, pg_temp.kafka_state";

static BridgeExit
run(BridgeResend *resend, const char *statements)
{
	PGresult   *result = PQexec(resend->conn, statements);
	ExecStatusType status = PQresultStatus(result);

	PQclear(result);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return BRIDGE_EXIT_OK;
	bridge_log(BRIDGE_LOG_ERROR, "the journal could not be read", "error=%s",
			   PQerrorMessage(resend->conn));
	return BRIDGE_EXIT_FAILED;
}

BridgeExit
bridge_resend_prepare(BridgeResend *resend)
{
	bridge_journal_reset(&resend->journal);
	return run(resend, views);
}

static void
tell_progress(BridgeResend *resend, bool now)
{
	int64_t		at = bridge_clock_ms();
	int64_t		elapsed_ms = at - resend->began_ms + 1;
	int64_t		rate = resend->rows * 1000 / elapsed_ms;
	int64_t		left = resend->expected - resend->rows;

	if (!now && at - resend->told_ms < PROGRESS_MS)
		return;
	resend->told_ms = at;
	bridge_log(BRIDGE_LOG_INFO, "rebuilding", "rows=%" PRId64 " of=%" PRId64
			   " percent=%" PRId64 " rate=%" PRId64 " left_s=%" PRId64,
			   resend->rows, resend->expected,
			   resend->expected == 0 ? 100 : resend->rows * 100 / resend->expected,
			   rate, rate == 0 ? -1 : left / rate);
}

/* Serves acknowledgements until done says so. */
static BridgeExit
wait_until(BridgeResend *resend, bool (*done) (const BridgeProducer *producer))
{
	struct pollfd fds[] = {
		{.fd = bridge_producer_fd(resend->producer), .events = POLLIN},
		{.fd = bridge_stop_fd(), .events = POLLIN}
	};

	bridge_producer_serve(resend->producer);
	while (!resend->producer->failed && !done(resend->producer))
	{
		poll(fds, 2, WAIT_MS);
		bridge_producer_serve(resend->producer);
		tell_progress(resend, false);
		if (bridge_stop_requested())
			return BRIDGE_EXIT_FAILED;
	}
	return resend->producer->failed ? resend->producer->code : BRIDGE_EXIT_OK;
}

static bool
is_acknowledged(const BridgeProducer *producer)
{
	return !bridge_producer_is_waiting(producer);
}

static BridgeExit
send_event(BridgeResend *resend, const BridgeEvent *event)
{
	if (!bridge_producer_send(resend->producer, event, resend->lsn_text,
							  resend->index++))
		return resend->producer->code;
	resend->sent++;
	return BRIDGE_EXIT_OK;
}

static BridgeExit
not_understood(const BridgeResend *resend)
{
	bridge_log(BRIDGE_LOG_ERROR, "row of the journal is not understood",
			   "error=%s", resend->journal.error);
	return BRIDGE_EXIT_FAILED;
}

static bool
is_true(const PGresult *result, int row, const char *column)
{
	int			number = PQfnumber(result, column);

	return number >= 0 && PQgetvalue(result, row, number)[0] == 1;
}

static bool
make_events(BridgeResend *resend, const BridgeJournalRow *row)
{
	switch (row->table)
	{
		case BRIDGE_JOURNAL_TRANSFER:
			return bridge_event_make_transfer(&row->transfer, resend->epoch,
											  &resend->events);
		case BRIDGE_JOURNAL_ACCOUNT_EVENT:
			return bridge_event_make_state(&row->account_event, resend->epoch,
										   &resend->events);
		default:
			return bridge_event_make(row, resend->epoch, &resend->events);
	}
}

/*
 * Sends of a row's events those whose topic lacks it.  Each row is a transaction
 * to the producer, who so sees a record that is put before an earlier one.
 */
static BridgeExit
send_row(BridgeResend *resend, const BridgeJournalRow *row,
		 const PGresult *result, int number)
{
	bool		made = make_events(resend, row);
	BridgeExit	code = BRIDGE_EXIT_OK;

	if (!made)
		return not_understood(resend);
	bridge_inflight_begin(&resend->producer->inflight);
	for (int i = 0; code == BRIDGE_EXIT_OK && i < resend->events.count; i++)
	{
		const BridgeEvent *event = &resend->events.events[i];

		if (row->table != BRIDGE_JOURNAL_ACCOUNT_EVENT ||
			is_true(result, number, strcmp(event->topic, BANK_TOPIC_BALANCES) == 0 ?
					"lacks_balance" : "lacks_status"))
			code = send_event(resend, event);
	}
	bridge_inflight_commit(&resend->producer->inflight, resend->lsn);
	return code;
}

/* A row of a result in binary form, as the stream would bring it. */
static void
make_tuple(const PGresult *result, int row, BridgeTuple *tuple)
{
	tuple->relation_id = 1;
	tuple->value_count = PQnfields(result);
	for (int i = 0; i < tuple->value_count; i++)
	{
		bool		null = PQgetisnull(result, row, i);

		tuple->values[i].data = null ? NULL : PQgetvalue(result, row, i);
		tuple->values[i].length = null ? 0 : (size_t) PQgetlength(result, row, i);
	}
}

static BridgeExit
learn(BridgeResend *resend, const PGresult *result, const char *table)
{
	BridgeRelation relation = {
		.relation_id = 1, .schema = BANK_LEDGER_SCHEMA, .name = table,
		.column_count = PQnfields(result)
	};

	if (relation.column_count > BRIDGE_PGOUTPUT_COLUMNS)
		return BRIDGE_EXIT_MISSING;
	for (int i = 0; i < relation.column_count; i++)
	{
		relation.columns[i].name = PQfname(result, i);
		relation.columns[i].type = PQftype(result, i);
	}
	bridge_journal_reset(&resend->journal);
	return bridge_journal_learn(&resend->journal, &relation) ? BRIDGE_EXIT_OK :
		not_understood(resend);
}

static BridgeExit
send_rows(BridgeResend *resend, const PGresult *result)
{
	BridgeTuple tuple;
	BridgeJournalRow row;
	BridgeExit	code = BRIDGE_EXIT_OK;

	for (int i = 0; code == BRIDGE_EXIT_OK && i < PQntuples(result); i++)
	{
		make_tuple(result, i, &tuple);
		if (!bridge_journal_read(&resend->journal, &tuple, &row))
			return not_understood(resend);
		code = wait_until(resend, bridge_producer_has_room);
		if (code == BRIDGE_EXIT_OK)
			code = send_row(resend, &row, result, i);
		resend->rows++;
		tell_progress(resend, false);
	}
	return code;
}

/* The next rows in binary form; NULL, logged, where they cannot be had. */
static PGresult *
fetch(BridgeResend *resend)
{
	PGresult   *result = PQexecParams(resend->conn, FETCH, 0, NULL, NULL, NULL,
									  NULL, 1);

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	bridge_log(BRIDGE_LOG_ERROR, "the journal could not be read", "error=%s",
			   PQerrorMessage(resend->conn));
	PQclear(result);
	return NULL;
}

/* Sends all rows of a query, which are rows of the table or look like it. */
static BridgeExit
send_query(BridgeResend *resend, const char *query, const char *table)
{
	char		declare[256];
	PGresult   *result;
	bool		more = true;
	BridgeExit	code;

	snprintf(declare, sizeof(declare), "DECLARE lacking NO SCROLL CURSOR FOR %s",
			 query);
	code = run(resend, declare);
	while (code == BRIDGE_EXIT_OK && more)
	{
		result = fetch(resend);
		if (result == NULL)
			return BRIDGE_EXIT_FAILED;
		more = PQntuples(result) > 0;
		code = learn(resend, result, table);
		if (code == BRIDGE_EXIT_OK)
			code = send_rows(resend, result);
		PQclear(result);
	}
	return code == BRIDGE_EXIT_OK ? run(resend, "CLOSE lacking") : code;
}

static BridgeExit
ask_number(BridgeResend *resend, const char *query, uint64_t *number)
{
	PGresult   *result = bridge_database_query(resend->conn, query, NULL, 0);

	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	*number = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return BRIDGE_EXIT_OK;
}

static BridgeExit
begin(BridgeResend *resend, const char *snapshot)
{
	char		set[128];
	BridgeExit	code = run(resend, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ");

	if (code != BRIDGE_EXIT_OK || snapshot == NULL)
		return code;
	snprintf(set, sizeof(set), "SET TRANSACTION SNAPSHOT '%s'", snapshot);
	return run(resend, set);
}

/*
 * Records stand one byte before where a record of the WAL may begin, so that
 * no commit is ever there: behind all commits of the snapshot, and before all
 * that come after it.
 */
static BridgeExit
choose_place(BridgeResend *resend, uint64_t slot_lsn)
{
	uint64_t	lsn = slot_lsn;
	BridgeExit	code = BRIDGE_EXIT_OK;

	if (slot_lsn == 0)
		code = ask_number(resend, "SELECT (pg_current_wal_insert_lsn() - '0/0')"
						  "::pg_catalog.int8", &lsn);
	if (lsn - 1 != resend->lsn)
		resend->index = 0;
	resend->lsn = lsn - 1;
	bridge_database_format_lsn(resend->lsn, resend->lsn_text);
	return code;
}

static BridgeExit
begin_progress(BridgeResend *resend)
{
	const char *query = resend->restate ?
	"SELECT (SELECT count(*) FROM pg_temp.lacking_transfer) +"
	" (SELECT count(*) FROM pg_temp.account_state) +"
	" (SELECT count(*) FROM pg_temp.lacking_seal)" :
	"SELECT (SELECT count(*) FROM pg_temp.lacking_transfer) +"
	" (SELECT count(*) FROM pg_temp.lacking_state) +"
	" (SELECT count(*) FROM pg_temp.lacking_seal)";
	uint64_t	expected = 0;
	BridgeExit	code = ask_number(resend, query, &expected);

	resend->expected = (int64_t) expected;
	resend->rows = 0;
	resend->began_ms = bridge_clock_ms();
	return code;
}

static BridgeExit
end(BridgeResend *resend)
{
	char		statements[sizeof(note_sent) + 16];
	BridgeExit	code = wait_until(resend, is_acknowledged);

	tell_progress(resend, true);
	if (code != BRIDGE_EXIT_OK)
		return code;
	snprintf(statements, sizeof(statements), note_sent, resend->epoch);
	resend->restate = false;
	return run(resend, statements);
}

BridgeExit
bridge_resend_pass(BridgeResend *resend, const char *snapshot,
				   uint64_t slot_lsn)
{
	BridgeExit	code = begin(resend, snapshot);

	if (code == BRIDGE_EXIT_OK)
		code = choose_place(resend, slot_lsn);
	if (code == BRIDGE_EXIT_OK && resend->restate)
		code = run(resend, forget_seals);
	if (code == BRIDGE_EXIT_OK)
		code = begin_progress(resend);
	if (code == BRIDGE_EXIT_OK)
		code = send_query(resend, transfers, BANK_TABLE_TRANSFER);
	if (code == BRIDGE_EXIT_OK)
		code = send_query(resend, resend->restate ? accounts : states,
						  BANK_TABLE_ACCOUNT_EVENT);
	if (code == BRIDGE_EXIT_OK)
		code = send_query(resend, seals, BANK_TABLE_SEAL);
	return code == BRIDGE_EXIT_OK ? end(resend) : code;
}
