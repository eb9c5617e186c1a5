/*
 * The rows of bank_report.notification, as bank-bridge report writes them.
 *
 * Promises:  a row is committed before anything is sent, and only the process
 *            whose insert made it may send the first attempt (invariant 11);
 *            a result never overwrites a later attempt's; of an epoch that is
 *            over, only what the journal still has is stored.
 * Locks:     the generation's row, shared; the gate's; then rows of
 *            notification.
 * Memory:    the arrays of a batch are kept for the next.
 */
#include "notification.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "gate.h"
#include "text.h"

#define COLUMN_COUNT 8
#define STORE_PARAMETERS (4 + COLUMN_COUNT + 2)
#define RESULT_COLUMNS 5
#define FINISH_PARAMETERS (RESULT_COLUMNS + 4)
#define NUMBER_SIZE 24

const char	bridge_notification_claim[] =
	"INSERT INTO bank_report.consumer_generation AS g (generation) VALUES (1)"
	" ON CONFLICT (singleton) DO UPDATE SET generation = g.generation + 1"
	" RETURNING g.generation";

static const char load_sql[] =
	"SELECT o.partition, o.next_offset FROM bank_report.consumer_offset AS o"
	" WHERE o.topic = $1 ORDER BY o.partition";

/*
 * A record of an epoch that is over may be of a commit that was lost with it.
 * What the journal has of that time it has for long: no transaction that could
 * not be seen yet is taken for one that is gone.
 */
static const char store_sql[] =
	"WITH mine AS MATERIALIZED ("
	" SELECT g.generation FROM bank_report.consumer_generation AS g"
	" WHERE g.generation = $1::bigint FOR SHARE),"
	" gate AS MATERIALIZED ("
	" SELECT bank_report.admit($4::integer) AS admitted FROM mine),"
	" item AS MATERIALIZED ("
	" SELECT u.*, u.epoch < (SELECT max(e.number) FROM bank_ledger.epoch AS e)"
	" AND NOT EXISTS (SELECT FROM bank_ledger.transfer AS t"
	" WHERE t.transfer_id = u.transfer_id AND t.completed_at = u.completed_at)"
	" AS is_lost"
	" FROM unnest($5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::bigint[],"
	" $10::text[], $11::timestamptz[], $12::integer[]) WITH ORDINALITY AS u"
	" (transfer_id, customer_id, from_account, to_account, amount, currency,"
	" completed_at, epoch, place)),"
	" stored AS ("
	" INSERT INTO bank_report.notification AS n (transfer_id, customer_id,"
	" from_account, to_account, amount, currency, completed_at, state, attempts,"
	" first_attempt_at, next_attempt_at)"
	" SELECT u.transfer_id, u.customer_id, u.from_account, u.to_account,"
	" u.amount, u.currency, u.completed_at,"
	" CASE WHEN s.sent = 1 THEN 'sending' ELSE 'pending' END, s.sent,"
	" CASE WHEN s.sent = 1 THEN clock_timestamp() END,"
	" clock_timestamp() + s.sent * $3::bigint * interval '1 millisecond'"
	" FROM gate CROSS JOIN item AS u"
	" CROSS JOIN LATERAL (SELECT CASE WHEN u.place <= gate.admitted THEN 1"
	" ELSE 0 END AS sent) AS s"
	" WHERE u.is_lost IS NOT TRUE ORDER BY u.place"
	" ON CONFLICT (transfer_id) DO NOTHING"
	" RETURNING n.transfer_id, n.attempts),"
	" moved AS ("
	" INSERT INTO bank_report.consumer_offset AS o (topic, partition, next_offset)"
	" SELECT $2, u.* FROM unnest($13::integer[], $14::bigint[]) AS u"
	" WHERE EXISTS (SELECT FROM mine)"
	" ON CONFLICT (topic, partition) DO UPDATE"
	" SET next_offset = excluded.next_offset"
	" WHERE excluded.next_offset > o.next_offset)"
	" SELECT (SELECT count(*) FROM item AS l WHERE l.is_lost), s.attempts,"
	" min(i.place)"
	" FROM mine LEFT JOIN (stored AS s JOIN item AS i"
	" ON i.transfer_id = s.transfer_id AND i.is_lost IS NOT TRUE) ON true"
	" GROUP BY s.transfer_id, s.attempts";

/* No row is met before the gate was: it is locked first, as everywhere. */
static const char finish_sql[] =
	"WITH gate AS MATERIALIZED (SELECT bank_report.note_answers($6::integer,"
	" $7::integer, $8::integer, $9::integer))"
	"UPDATE bank_report.notification AS n SET state = u.state,"
	" next_attempt_at = CASE WHEN u.state = 'pending' THEN"
	" clock_timestamp() + u.delay_ms * interval '1 millisecond' END,"
	" delivered_at = CASE WHEN u.state = 'delivered' THEN clock_timestamp() END,"
	" last_status = nullif(u.status, 0), last_error = nullif(u.error, '')"
	" FROM gate CROSS JOIN unnest($1::uuid[], $2::text[], $3::bigint[],"
	" $4::integer[], $5::text[]) AS u (transfer_id, state, delay_ms, status, error)"
	" WHERE n.transfer_id = u.transfer_id AND n.attempts = 1"
	" AND n.state = 'sending'";

/* Both counts go by partial indexes: delivered rows are never looked at. */
static const char count_sql[] =
	"SELECT count(*) FILTER (WHERE n.state = 'pending'),"
	" count(*) FILTER (WHERE n.state = 'sending'),"
	" (SELECT count(*) FROM bank_report.notification AS d WHERE d.state = 'dead'),"
	" coalesce(round(1000 * extract(epoch FROM"
	" clock_timestamp() - min(n.completed_at))), -1),"
	" (SELECT array_position(ARRAY['closed', 'half open', 'open'], c.state) - 1"
	" FROM bank_report.circuit AS c)"
	" FROM bank_report.notification AS n WHERE n.state IN ('pending', 'sending')";

static BridgeArray columns[COLUMN_COUNT];
static BridgeArray partitions;
static BridgeArray offsets;

bool
bridge_notification_load(BridgeStore *store, const char *topic,
						 BridgeOffsets *loaded)
{
	const char *const values[] = {topic};
	const BridgeStatement load = {load_sql, values, 1};
	PGresult   *answer = bridge_store_query(store, &load);

	loaded->count = 0;
	if (answer == NULL)
		return false;
	for (int row = 0; row < PQntuples(answer); row++)
		bridge_store_read_offset(answer, row, 1, loaded);
	PQclear(answer);
	return true;
}

static void
add_item(const BridgeNotification *item)
{
	bridge_array_add(&columns[0], item->transfer.transfer_id);
	bridge_array_add(&columns[1], item->transfer.customer_id);
	bridge_array_add(&columns[2], item->transfer.from_account);
	bridge_array_add(&columns[3], item->transfer.to_account);
	bridge_array_add_int64(&columns[4], item->transfer.amount);
	bridge_array_add(&columns[5], item->transfer.currency);
	bridge_array_add(&columns[6], item->transfer.completed_at);
	bridge_array_add_int64(&columns[7], item->transfer.epoch);
}

static void
add_offsets(const BridgeOffsets *reached)
{
	bridge_array_reset(&partitions);
	bridge_array_reset(&offsets);
	for (int i = 0; i < reached->count; i++)
	{
		if (reached->next[i] < 0)
			continue;
		bridge_array_add_int64(&partitions, i);
		bridge_array_add_int64(&offsets, reached->next[i]);
	}
}

/* Places count from 1; of a record that is there twice it is the first. */
static void
mark_ours(BridgeNotificationBatch *batch, const char *place)
{
	int64_t		number;

	if (bank_text_to_int64(place, &number) && number >= 1 &&
		number <= batch->count)
		batch->items[number - 1].is_ours = true;
}

/* No row: fenced.  A row without attempts: nothing was new. */
static BridgeEffect
read_stored(BridgeNotificationBatch *batch, const PGresult *answer)
{
	int			rows = PQntuples(answer);

	if (rows == 0)
		return BRIDGE_EFFECT_FENCED;
	bank_text_to_int64(PQgetvalue(answer, 0, 0), &batch->lost);
	for (int row = 0; row < rows; row++)
	{
		if (PQgetisnull(answer, row, 1))
			continue;
		batch->stored++;
		if (strcmp(PQgetvalue(answer, row, 1), "1") == 0)
			mark_ours(batch, PQgetvalue(answer, row, 2));
	}
	return BRIDGE_EFFECT_STORED;
}

BridgeEffect
bridge_notification_store(BridgeStore *store, BridgeNotificationBatch *batch)
{
	char		lease[NUMBER_SIZE];
	char		wanted[NUMBER_SIZE];
	const char *values[STORE_PARAMETERS] = {store->generation, batch->topic,
	lease, wanted};
	const BridgeStatement statement = {store_sql, values, STORE_PARAMETERS};
	BridgeEffect effect = BRIDGE_EFFECT_FAILED;
	PGresult   *answer;

	snprintf(lease, sizeof(lease), "%" PRId64, batch->lease_ms);
	snprintf(wanted, sizeof(wanted), "%d", batch->wanted);
	for (int i = 0; i < COLUMN_COUNT; i++)
		bridge_array_reset(&columns[i]);
	for (int i = 0; i < batch->count; i++)
	{
		batch->items[i].is_ours = false;
		add_item(&batch->items[i]);
	}
	add_offsets(batch->offsets);
	for (int i = 0; i < COLUMN_COUNT; i++)
		values[4 + i] = bridge_array_finish(&columns[i]);
	values[4 + COLUMN_COUNT] = bridge_array_finish(&partitions);
	values[5 + COLUMN_COUNT] = bridge_array_finish(&offsets);

	answer = bridge_store_query(store, &statement);
	if (answer != NULL)
		effect = read_stored(batch, answer);
	PQclear(answer);
	return effect;
}

static BankGateAnswers
count_answers(const BridgeResult *results, int count)
{
	BankGateAnswers answers = {0};

	for (int i = 0; i < count; i++)
		bank_gate_count(&answers, &results[i].outcome);
	return answers;
}

bool
bridge_notification_finish(BridgeStore *store, const BridgeResult *results,
						   int count)
{
	const BankGateAnswers answers = count_answers(results, count);
	const int	numbers[] = {answers.answered, answers.failed, answers.slowed,
	answers.pause_s};
	char		texts[FINISH_PARAMETERS - RESULT_COLUMNS][NUMBER_SIZE];
	const char *values[FINISH_PARAMETERS];
	const BridgeStatement statement = {finish_sql, values, FINISH_PARAMETERS};
	PGresult   *answer;

	for (int i = 0; i < FINISH_PARAMETERS - RESULT_COLUMNS; i++)
	{
		snprintf(texts[i], NUMBER_SIZE, "%d", numbers[i]);
		values[RESULT_COLUMNS + i] = texts[i];
	}
	for (int i = 0; i < RESULT_COLUMNS; i++)
		bridge_array_reset(&columns[i]);
	for (int i = 0; i < count; i++)
	{
		bridge_array_add(&columns[0], results[i].transfer_id);
		bridge_array_add(&columns[1], results[i].state);
		bridge_array_add_int64(&columns[2], results[i].delay_ms);
		bridge_array_add_int64(&columns[3], results[i].outcome.status);
		bridge_array_add_quoted(&columns[4], results[i].outcome.error);
	}
	for (int i = 0; i < RESULT_COLUMNS; i++)
		values[i] = bridge_array_finish(&columns[i]);
	answer = bridge_store_query(store, &statement);
	PQclear(answer);
	return answer != NULL;
}

bool
bridge_notification_count(BridgeStore *store, BridgeBacklog *backlog)
{
	const BridgeStatement statement = {.sql = count_sql};
	PGresult   *answer = bridge_store_query(store, &statement);
	int64_t		numbers[5] = {0};

	if (answer == NULL)
		return false;
	for (int i = 0; i < 5; i++)
		bank_text_to_int64(PQgetvalue(answer, 0, i), &numbers[i]);
	PQclear(answer);
	*backlog = (BridgeBacklog)
	{
		numbers[0], numbers[1], numbers[2], numbers[3],
			numbers[4] == 2 ? BRIDGE_CIRCUIT_OPEN :
			numbers[4] == 1 ? BRIDGE_CIRCUIT_HALF_OPEN : BRIDGE_CIRCUIT_CLOSED
	};
	return true;
}

void
bridge_notification_free(void)
{
	for (int i = 0; i < COLUMN_COUNT; i++)
		bridge_array_free(&columns[i]);
	bridge_array_free(&partitions);
	bridge_array_free(&offsets);
}
