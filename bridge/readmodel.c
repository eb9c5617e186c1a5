/*
 * The read model of balances in the search database.
 *
 * Promises:  a row never goes back in (epoch, version) (invariant 10); rows
 *            and offsets are one statement, hence one transaction, refused
 *            as a whole to a process of an older generation.
 * Locks:     the generation's row, shared; then rows of balance.
 * Memory:    the arrays of a batch are kept for the next.
 */
#include "readmodel.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "contract.h"
#include "text.h"

#define COLUMN_COUNT 9
#define PARAMETER_COUNT (2 + COLUMN_COUNT + 3)
#define RENEW_PARAMETER_COUNT 3

const char	bridge_readmodel_claim[] =
	"INSERT INTO bank_search.consumer_generation AS g (generation) VALUES (1)"
	" ON CONFLICT (singleton) DO UPDATE SET generation = g.generation + 1"
	" RETURNING g.generation";

static const char load_sql[] =
	"SELECT o.partition, o.applied, o.cached FROM bank_search.consumer_offset AS o"
	" WHERE o.topic = $1 ORDER BY o.partition";

static const char store_sql[] =
	"WITH mine AS MATERIALIZED ("
	" SELECT g.generation FROM bank_search.consumer_generation AS g"
	" WHERE g.generation = $1::bigint FOR SHARE),"
	" stored AS ("
	" INSERT INTO bank_search.balance AS b (account_id, customer_id, currency,"
	" balance, held, status, epoch, version, updated_at)"
	" SELECT u.* FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::bigint[],"
	" $7::bigint[], $8::text[], $9::integer[], $10::bigint[],"
	" $11::timestamptz[]) AS u WHERE EXISTS (SELECT FROM mine)"
	" ON CONFLICT (account_id) DO UPDATE SET customer_id = excluded.customer_id,"
	" currency = excluded.currency, balance = excluded.balance,"
	" held = excluded.held, status = excluded.status, epoch = excluded.epoch,"
	" version = excluded.version, updated_at = excluded.updated_at"
	" WHERE (excluded.epoch, excluded.version) > (b.epoch, b.version)"
	" RETURNING b.account_id),"
	" moved AS ("
	" INSERT INTO bank_search.consumer_offset AS o (topic, partition, applied,"
	" cached)"
	" SELECT $2, u.* FROM unnest($12::integer[], $13::bigint[], $14::bigint[])"
	" AS u WHERE EXISTS (SELECT FROM mine)"
	" ON CONFLICT (topic, partition) DO UPDATE SET"
	" applied = greatest(o.applied, excluded.applied),"
	" cached = excluded.cached"
	" WHERE excluded.applied > o.applied OR excluded.cached <> o.cached)"
	" SELECT (SELECT count(*) FROM mine), (SELECT count(*) FROM stored)";

/* In the order of take_row. */
static const char renew_sql[] =
	"SELECT b.account_id, b.customer_id, b.currency, b.status,"
	" " BANK_SQL_TIME("b.updated_at") ","
	" b.balance, b.held, b.version, b.epoch"
	" FROM unnest($1::uuid[], $2::integer[], $3::bigint[])"
	" AS u (account_id, epoch, version)"
	" JOIN bank_search.balance AS b ON b.account_id = u.account_id"
	" WHERE (b.epoch, b.version) > (u.epoch, u.version)";

static BridgeArray columns[COLUMN_COUNT];
static BridgeArray partitions;
static BridgeArray applied_offsets;
static BridgeArray cached_offsets;

static int64_t
field_int64(const PGresult *answer, int row, int column)
{
	int64_t		value = -1;

	(void) bank_text_to_int64(PQgetvalue(answer, row, column), &value);
	return value;
}

bool
bridge_readmodel_load(BridgeStore *store, const char *topic,
					  BridgeOffsets *applied, BridgeOffsets *cached)
{
	const char *const values[] = {topic};
	const BridgeStatement load = {load_sql, values, 1};
	PGresult   *answer = bridge_store_query(store, &load);

	applied->count = 0;
	cached->count = 0;
	if (answer == NULL)
		return false;
	for (int row = 0; row < PQntuples(answer); row++)
	{
		bridge_store_read_offset(answer, row, 1, applied);
		bridge_store_read_offset(answer, row, 2, cached);
	}
	PQclear(answer);
	return true;
}

static void
add_balance(const BankRedisBalance *balance)
{
	bridge_array_add(&columns[0], balance->account_id);
	bridge_array_add(&columns[1], balance->customer_id);
	bridge_array_add(&columns[2], balance->currency);
	bridge_array_add_int64(&columns[3], balance->balance);
	bridge_array_add_int64(&columns[4], balance->held);
	bridge_array_add(&columns[5], balance->status);
	bridge_array_add_int64(&columns[6], balance->epoch);
	bridge_array_add_int64(&columns[7], balance->version);
	bridge_array_add(&columns[8], balance->updated_at);
}

static void
add_offsets(const BridgeReadmodelBatch *batch)
{
	bridge_array_reset(&partitions);
	bridge_array_reset(&applied_offsets);
	bridge_array_reset(&cached_offsets);
	for (int i = 0; i < batch->applied->count; i++)
	{
		if (batch->applied->next[i] < 0)
			continue;
		bridge_array_add_int64(&partitions, i);
		bridge_array_add_int64(&applied_offsets, batch->applied->next[i]);
		bridge_array_add_int64(&cached_offsets, batch->cached->next[i]);
	}
}

BridgeEffect
bridge_readmodel_store(BridgeStore *store, const BridgeReadmodelBatch *batch,
					   int64_t *changed)
{
	const char *values[PARAMETER_COUNT] = {store->generation, batch->topic};
	const BridgeStatement statement = {store_sql, values, PARAMETER_COUNT};
	PGresult   *answer;
	bool		mine;

	for (int i = 0; i < COLUMN_COUNT; i++)
		bridge_array_reset(&columns[i]);
	for (int i = 0; i < batch->count; i++)
		add_balance(batch->balances[i]);
	add_offsets(batch);
	for (int i = 0; i < COLUMN_COUNT; i++)
		values[2 + i] = bridge_array_finish(&columns[i]);
	values[2 + COLUMN_COUNT] = bridge_array_finish(&partitions);
	values[3 + COLUMN_COUNT] = bridge_array_finish(&applied_offsets);
	values[4 + COLUMN_COUNT] = bridge_array_finish(&cached_offsets);

	answer = bridge_store_query(store, &statement);
	if (answer == NULL)
		return BRIDGE_EFFECT_FAILED;
	mine = field_int64(answer, 0, 0) == 1;
	*changed += field_int64(answer, 0, 1);
	PQclear(answer);
	return mine ? BRIDGE_EFFECT_STORED : BRIDGE_EFFECT_FENCED;
}

static int
compare_accounts(const void *account_id, const void *balance)
{
	return strcmp(account_id, ((const BankRedisBalance *) balance)->account_id);
}

static void
take_row(const PGresult *answer, int row, BankRedisBalance *balances, int count)
{
	BankRedisBalance *balance = bsearch(PQgetvalue(answer, row, 0), balances,
										(size_t) count, sizeof(*balances),
										compare_accounts);

	if (balance == NULL)
		return;
	bank_text_copy(balance->customer_id, sizeof(balance->customer_id),
				   PQgetvalue(answer, row, 1));
	bank_text_copy(balance->currency, sizeof(balance->currency),
				   PQgetvalue(answer, row, 2));
	bank_text_copy(balance->status, sizeof(balance->status),
				   PQgetvalue(answer, row, 3));
	bank_text_copy(balance->updated_at, sizeof(balance->updated_at),
				   PQgetvalue(answer, row, 4));
	balance->balance = field_int64(answer, row, 5);
	balance->held = field_int64(answer, row, 6);
	balance->version = field_int64(answer, row, 7);
	balance->epoch = (int32_t) field_int64(answer, row, 8);
}

bool
bridge_readmodel_renew(BridgeStore *store, BankRedisBalance *balances, int count)
{
	const char *values[RENEW_PARAMETER_COUNT];
	const BridgeStatement statement = {renew_sql, values, RENEW_PARAMETER_COUNT};
	PGresult   *answer;

	for (int i = 0; i < RENEW_PARAMETER_COUNT; i++)
		bridge_array_reset(&columns[i]);
	for (int i = 0; i < count; i++)
	{
		bridge_array_add(&columns[0], balances[i].account_id);
		bridge_array_add_int64(&columns[1], balances[i].epoch);
		bridge_array_add_int64(&columns[2], balances[i].version);
	}
	for (int i = 0; i < RENEW_PARAMETER_COUNT; i++)
		values[i] = bridge_array_finish(&columns[i]);
	answer = bridge_store_query(store, &statement);
	if (answer == NULL)
		return false;
	for (int row = 0; row < PQntuples(answer); row++)
		take_row(answer, row, balances, count);
	PQclear(answer);
	return true;
}

void
bridge_readmodel_free(void)
{
	for (int i = 0; i < COLUMN_COUNT; i++)
		bridge_array_free(&columns[i]);
	bridge_array_free(&partitions);
	bridge_array_free(&applied_offsets);
	bridge_array_free(&cached_offsets);
}
