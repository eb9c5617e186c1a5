/*
 * The role project: records of bank.balances to the search database, and then
 * to Redis.
 *
 * Two offsets a partition are stored: below "applied" everything is in the
 * search database, below "cached" in Redis too.  While Redis is away only the
 * first moves.  Once it answers again the role opens the topic where Redis
 * itself says that it was left (cached.c), and puts the same records again, or
 * what the database has by then: of an account whose newest record was written
 * before an older one, compaction keeps the older.
 *
 * A Redis that answers and does not write, as one without memory, is put
 * everything all the same, since a put removes what it cannot replace; only
 * what it says of itself stays behind, until it writes again.
 *
 * Promises:  invariant 10; nothing is acknowledged that was not stored.
 * Memory:    one batch of BATCH_MAX records.
 * Not here:  how the read model is written (readmodel.c), and read (the
 *            function bank.balance).
 */
#include "role.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cached.h"
#include "clock.h"
#include "consumer.h"
#include "contract.h"
#include "dead.h"
#include "log.h"
#include "metrics.h"
#include "readmodel.h"
#include "redis.h"
#include "trouble.h"

#define BATCH_MAX 500
#define GROUP "bank-bridge.project"
#define IDLE_WAIT_MS 250
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define FLUSH_PERIOD_MS 1000

static const char no_answer[] = "kafka does not answer";

/* A record, and whether the search database still lacks it. */
typedef struct Item
{
	BankRedisBalance balance;
	bool		lacking;
} Item;

typedef struct Batch
{
	Item		items[BATCH_MAX];
	int			count;
	Item	   *newest[BATCH_MAX];	/* one an account */
	int			newest_count;
	BridgeOffsets reached;		/* after the batch */
	bool		full;			/* more records may wait */
	int			letters;		/* buried, once bank.dead has them */
	int			whole_count;	/* items before the first letter */
	BridgeOffsets whole;		/* reached before it */
	bool		ends_early;		/* a record after it could not be buried */
} Batch;

typedef struct Project
{
	BridgeConsumerSpec spec;
	BridgeStore store;
	BridgeDeadWriter dead;
	BankRedis  *redis;
	BridgeCached note;
	BridgeConsumer *consumer;	/* NULL: not begun */
	BridgeOffsets applied;
	BridgeOffsets cached;
	bool		caching;		/* Redis has everything that was read */
	bool		cached_moved;	/* since it was stored */
	bool		holding;		/* Redis does not write: its note stays */
	int64_t		flush_ms;
	int64_t		note_ms;		/* when Redis is asked at the latest */
	int64_t		redis_retry_ms;
	int			redis_wait_ms;
	int			begin_wait_ms;
	Batch		batch;
} Project;

static int
longer(int wait_ms)
{
	return wait_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait_ms * 2;
}

static void
say_unhealthy(const char *reason)
{
	bridge_health_set(BRIDGE_ROLE_PROJECT, false, reason);
}

/* The role ends, and says why. */
static int
leave_kafka(void)
{
	say_unhealthy(bridge_trouble_or("the topic cannot be read"));
	return BRIDGE_EXIT_KAFKA;
}

/* Back to the state before bridge_consumer_open. */
static void
leave(Project *project)
{
	bridge_consumer_close(project->consumer);
	project->consumer = NULL;
}

static void
note_store_failure(Project *project)
{
	bridge_metrics_add(BRIDGE_METRIC_PROJECT_DATABASE_ERRORS, 1);
	bridge_log(BRIDGE_LOG_WARNING, "search database failed", "reason=%s",
			   project->store.error);
	say_unhealthy("the search database does not answer");
	leave(project);
}

static void
note_redis_failure(Project *project)
{
	bridge_metrics_add(BRIDGE_METRIC_PROJECT_REDIS_ERRORS, 1);
	if (project->caching || project->redis_wait_ms == RETRY_MIN_MS)
		bridge_log(BRIDGE_LOG_WARNING, "redis failed; balances go to the search"
				   " database alone", "reason=%s",
				   bank_redis_error(project->redis));
	project->caching = false;
	project->holding = false;
	project->redis_retry_ms = bridge_clock_ms() + project->redis_wait_ms;
	project->redis_wait_ms = longer(project->redis_wait_ms);
}

/* Redis has failed: it is away, or does not write. */
static void
judge_redis(Project *project)
{
	if (!bank_redis_refused(project->redis))
	{
		note_redis_failure(project);
		return;
	}
	bridge_metrics_add(BRIDGE_METRIC_PROJECT_REDIS_ERRORS, 1);
	if (!project->holding)
		bridge_log(BRIDGE_LOG_WARNING, "redis does not write; what it has is"
				   " removed where it is old", "reason=%s",
				   bank_redis_error(project->redis));
	project->holding = true;
}

static bool
redis_answers(Project *project)
{
	if (bank_redis_connect(project->redis))
		return true;
	note_redis_failure(project);
	return false;
}

/* Asks Redis how far it was filled; false where it does not answer. */
static bool
ask_redis(Project *project)
{
	BridgeOffsets cached;

	if (!bridge_cached_load(&project->note, project->redis, &project->applied,
							&cached))
	{
		note_redis_failure(project);
		return false;
	}
	project->cached = cached;
	project->cached_moved = true;
	project->holding = false;
	return true;
}

/* Connects, and opens the topic where the database says. */
static int
begin(Project *project)
{
	BridgeOffsets from;
	BridgeConsumerState state;

	if (!bridge_store_connect(&project->store) ||
		!bridge_readmodel_load(&project->store, project->spec.topic,
							   &project->applied, &project->cached))
	{
		note_store_failure(project);
		return BRIDGE_EXIT_OK;
	}
	project->caching = ask_redis(project);
	from = project->caching ? project->cached : project->applied;
	state = bridge_consumer_open(&project->spec, &from, &project->consumer);
	if (state == BRIDGE_CONSUMER_FAILED)
		return leave_kafka();
	if (state != BRIDGE_CONSUMER_READY)
	{
		say_unhealthy(bridge_trouble_or(no_answer));
		return BRIDGE_EXIT_OK;
	}
	bridge_store_extend(&project->applied, from.count);
	bridge_store_extend(&project->cached, from.count);
	project->batch.reached = from;
	project->begin_wait_ms = RETRY_MIN_MS;
	bridge_log(BRIDGE_LOG_INFO, "reading", "topic=%s partitions=%d generation=%s"
			   " redis=%s", project->spec.topic, from.count,
			   project->store.generation, project->caching ? "up" : "down");
	return BRIDGE_EXIT_OK;
}

static bool
is_lacking(const Project *project, const rd_kafka_message_t *message)
{
	return message->offset >= project->applied.next[message->partition];
}

/* One that is read again for Redis was buried the first time. */
static bool
bury(Project *project, const rd_kafka_message_t *message,
	 const BridgeProblem *problem)
{
	Batch	   *batch = &project->batch;

	if (!is_lacking(project, message))
		return true;
	if (batch->letters == 0)
	{
		batch->whole = batch->reached;
		batch->whole_count = batch->count;
	}
	if (bridge_stop_requested() ||
		!bridge_dead_write(&project->dead, message, problem->text))
		return false;
	batch->letters++;
	return true;
}

/* Without its letters the batch ends before the first of them. */
static void
settle_letters(Project *project)
{
	Batch	   *batch = &project->batch;

	if (batch->letters == 0)
		return;
	if (bridge_dead_wait(&project->dead))
	{
		bridge_metrics_add(BRIDGE_METRIC_PROJECT_DEAD, batch->letters);
		return;
	}
	batch->reached = batch->whole;
	batch->count = batch->whole_count;
	batch->ends_early = true;
}

static bool
add_record(Project *project, const rd_kafka_message_t *message)
{
	Batch	   *batch = &project->batch;
	Item	   *item = &batch->items[batch->count];
	BridgeProblem problem;
	bool		understood =
	bridge_consumer_check_type(message, BANK_EVENT_BALANCE_UPDATED,
							   &problem) &&
	bridge_record_balance(message->payload, message->len, &item->balance,
						  &problem);

	if (!understood && !bury(project, message, &problem))
		return false;
	batch->reached.next[message->partition] = message->offset + 1;
	if (!understood)
		return true;
	item->lacking = is_lacking(project, message);
	batch->count++;
	return true;
}

static int
compare_items(const void *left, const void *right)
{
	const BankRedisBalance *a = &(*(Item *const *) left)->balance;
	const BankRedisBalance *b = &(*(Item *const *) right)->balance;
	int			order = strcmp(a->account_id, b->account_id);

	if (order == 0)
		order = (a->epoch > b->epoch) - (a->epoch < b->epoch);
	if (order == 0)
		order = (a->version > b->version) - (a->version < b->version);
	return order;
}

/* Keeps the newest of each account, in the order of accounts. */
static void
find_newest(Batch *batch)
{
	int			kept = 0;

	for (int i = 0; i < batch->count; i++)
		batch->newest[i] = &batch->items[i];
	qsort(batch->newest, (size_t) batch->count, sizeof(Item *), compare_items);
	for (int i = 0; i < batch->count; i++)
	{
		if (kept > 0 && strcmp(batch->newest[kept - 1]->balance.account_id,
							   batch->newest[i]->balance.account_id) == 0)
			kept--;
		batch->newest[kept++] = batch->newest[i];
	}
	batch->newest_count = kept;
}

/* Takes what has arrived into the batch, up to what cannot be buried. */
static BridgeConsumerState
fill_batch(Project *project)
{
	rd_kafka_message_t *messages[BATCH_MAX];
	Batch	   *batch = &project->batch;
	int			count = 0;
	BridgeConsumerState state;

	batch->count = 0;
	batch->letters = 0;
	batch->ends_early = false;
	state = bridge_consumer_take(project->consumer, messages, BATCH_MAX, &count);
	for (int i = 0; i < count; i++)
	{
		if (state != BRIDGE_CONSUMER_FAILED && !batch->ends_early)
			batch->ends_early = !add_record(project, messages[i]);
		rd_kafka_message_destroy(messages[i]);
	}
	settle_letters(project);
	bridge_metrics_add(BRIDGE_METRIC_PROJECT_RECORDS, batch->count);
	batch->full = count == BATCH_MAX;
	find_newest(batch);
	return state;
}

static int
after_effect(Project *project, BridgeEffect effect)
{
	if (effect == BRIDGE_EFFECT_FENCED)
	{
		bridge_log(BRIDGE_LOG_ERROR, "another process has taken over",
				   "generation=%s", project->store.generation);
		return BRIDGE_EXIT_FENCED;
	}
	if (effect == BRIDGE_EFFECT_FAILED)
		note_store_failure(project);
	else
	{
		project->cached_moved = false;
		project->flush_ms = bridge_clock_ms() + FLUSH_PERIOD_MS;
	}
	return BRIDGE_EXIT_OK;
}

/* Stores what the database lacks together with both offsets. */
static int
apply_batch(Project *project)
{
	const BankRedisBalance *balances[BATCH_MAX];
	const Batch *batch = &project->batch;
	BridgeOffsets applied = project->applied;
	BridgeReadmodelBatch rows = {balances, 0, project->spec.topic, &applied,
	&project->cached};
	int64_t		changed = 0;
	int			code;

	bridge_store_advance(&applied, &batch->reached);
	for (int i = 0; i < batch->newest_count; i++)
		if (batch->newest[i]->lacking)
			balances[rows.count++] = &batch->newest[i]->balance;
	if (rows.count == 0 && !bridge_store_is_behind(&project->applied, &applied))
		return BRIDGE_EXIT_OK;
	code = after_effect(project, bridge_readmodel_store(&project->store, &rows,
														&changed));
	bridge_metrics_add(BRIDGE_METRIC_PROJECT_APPLIED, changed);
	if (code == BRIDGE_EXIT_OK && project->consumer != NULL)
		project->applied = applied;
	return code;
}

/* Tells Redis how far it was filled, and sees whether it still knows. */
static void
note_cached(Project *project, const BridgeOffsets *offsets)
{
	project->note_ms = bridge_clock_ms() + FLUSH_PERIOD_MS;
	switch (bridge_cached_store(&project->note, project->redis, offsets))
	{
		case BRIDGE_CACHED_KEPT:
			project->cached = *offsets;
			project->cached_moved = true;
			project->redis_wait_ms = RETRY_MIN_MS;
			break;
		case BRIDGE_CACHED_LOST:
			bridge_log(BRIDGE_LOG_WARNING, "redis was flushed or is of another"
					   " time; it is filled again", NULL);
			project->caching = false;
			leave(project);
			break;
		case BRIDGE_CACHED_FAILED:
			judge_redis(project);
			break;
	}
}

/* Once Redis writes its note again, it is given what it missed. */
static void
look_for_memory(Project *project)
{
	project->note_ms = bridge_clock_ms() + FLUSH_PERIOD_MS;
	if (!redis_answers(project))
		return;
	if (bridge_cached_store(&project->note, project->redis, &project->cached) ==
		BRIDGE_CACHED_FAILED)
	{
		judge_redis(project);
		return;
	}
	bridge_log(BRIDGE_LOG_INFO, "redis writes again; reading what it missed",
			   NULL);
	leave(project);
}

/*
 * What is refused is put one by one, since a refusal ends a pipeline; false
 * where Redis is away.
 */
static bool
put(Project *project, const BankRedisBalance *balances, int count)
{
	if (bank_redis_put(project->redis, balances, count))
		return true;
	judge_redis(project);
	for (int i = 0; project->holding && i < count; i++)
		if (!bank_redis_put(project->redis, &balances[i], 1))
			judge_redis(project);
	return project->caching;
}

/* The newest of the batch; *again where the database had one of them before. */
static void
copy_newest(const Batch *batch, BankRedisBalance *balances, bool *again)
{
	*again = false;
	for (int i = 0; i < batch->newest_count; i++)
	{
		balances[i] = batch->newest[i]->balance;
		*again = *again || !batch->newest[i]->lacking;
	}
}

static void
cache_batch(Project *project)
{
	static BankRedisBalance balances[BATCH_MAX];
	const Batch *batch = &project->batch;
	BridgeOffsets cached = project->cached;
	bool		again;

	copy_newest(batch, balances, &again);
	if (again && !bridge_readmodel_renew(&project->store, balances,
										 batch->newest_count))
	{
		note_store_failure(project);
		return;
	}
	if (!put(project, balances, batch->newest_count) || project->holding)
		return;
	bridge_metrics_add(BRIDGE_METRIC_PROJECT_CACHED, batch->newest_count);
	bridge_store_advance(&cached, &batch->reached);
	note_cached(project, &cached);
}

/* A Redis that is asked nothing is looked after all the same. */
static void
look_after_redis(Project *project)
{
	if (!project->caching)
		return;
	if (project->batch.newest_count > 0)
		cache_batch(project);
	else if (!project->holding && bridge_clock_ms() >= project->note_ms)
		note_cached(project, &project->cached);
	if (project->holding && bridge_clock_ms() >= project->note_ms)
		look_for_memory(project);
}

/* Stores the cached offsets where no batch has taken them along. */
static int
flush_cached(Project *project)
{
	const BridgeReadmodelBatch offsets = {NULL, 0, project->spec.topic,
	&project->applied, &project->cached};
	int64_t		changed = 0;

	if (!project->cached_moved || project->consumer == NULL)
		return BRIDGE_EXIT_OK;
	return after_effect(project, bridge_readmodel_store(&project->store,
														&offsets, &changed));
}

/* Redis answers again: read anew what it has missed. */
static void
look_for_redis(Project *project)
{
	if (project->caching || project->consumer == NULL ||
		bridge_clock_ms() < project->redis_retry_ms || !redis_answers(project))
		return;
	bridge_log(BRIDGE_LOG_INFO, "redis answers again; reading what it missed",
			   NULL);
	leave(project);
}

static void
say_state(Project *project, BridgeConsumerState state)
{
	if (project->consumer == NULL)
		return;
	if (state != BRIDGE_CONSUMER_UNREACHABLE)
		bridge_consumer_tell_lag(project->consumer, &project->applied,
								 BRIDGE_METRIC_PROJECT_LAG_RECORDS,
								 BRIDGE_METRIC_PROJECT_LAG_SECONDS);
	bridge_consumer_commit(project->consumer, &project->applied);
	if (state == BRIDGE_CONSUMER_UNREACHABLE)
		say_unhealthy(bridge_trouble_or(no_answer));
	else if (!project->caching)
		say_unhealthy("redis does not answer; the search database is current");
	else if (project->holding)
		say_unhealthy("redis does not write; the search database is current");
	else
		bridge_health_set(BRIDGE_ROLE_PROJECT, true, "");
}

static void
wait_for_records(const Project *project)
{
	struct pollfd fds[2] = {
		{.fd = bridge_consumer_fd(project->consumer), .events = POLLIN},
		{.fd = bridge_stop_fd(), .events = POLLIN}
	};

	if (!project->batch.full)
		poll(fds, 2, IDLE_WAIT_MS);
}

/* One batch, from Kafka to Redis. */
static int
step(Project *project)
{
	BridgeConsumerState state;
	int			code;

	wait_for_records(project);
	state = fill_batch(project);
	if (state == BRIDGE_CONSUMER_FAILED)
		return leave_kafka();
	code = apply_batch(project);
	if (code != BRIDGE_EXIT_OK || project->consumer == NULL)
		return code;
	look_after_redis(project);
	if (project->batch.ends_early)
	{
		say_unhealthy("a record is not understood, and bank.dead takes none");
		leave(project);
	}
	if (project->batch.count == 0 || bridge_clock_ms() >= project->flush_ms)
		code = flush_cached(project);
	say_state(project, state);
	if (state == BRIDGE_CONSUMER_GROWN)
		leave(project);
	look_for_redis(project);
	return code;
}

/* Begins again and again, each time after a longer wait, until it works. */
static int
run(Project *project)
{
	int			code = BRIDGE_EXIT_OK;

	while (code == BRIDGE_EXIT_OK && !bridge_stop_requested())
	{
		if (project->consumer == NULL)
			code = begin(project);
		else
			code = step(project);
		if (code == BRIDGE_EXIT_OK && project->consumer == NULL)
		{
			bridge_stop_sleep(project->begin_wait_ms);
			project->begin_wait_ms = longer(project->begin_wait_ms);
		}
	}
	if (code == BRIDGE_EXIT_OK)
		code = flush_cached(project);
	return code;
}

int
bridge_project_run(const BridgeConfig *config)
{
	static Project project;
	const char *problem;
	int			code;

	if (!bridge_config_require(config, "project.dsn") ||
		!bridge_config_require(config, "redis.url"))
		return BRIDGE_EXIT_CONFIG;
	project.spec.config = config;
	project.spec.topic = BANK_TOPIC_BALANCES;
	project.spec.group = GROUP;
	project.dead.config = config;
	project.dead.role = BRIDGE_ROLE_PROJECT;
	project.store.spec.dsn = config->project_dsn;
	project.store.spec.application = "bank-bridge project";
	project.store.spec.claim = bridge_readmodel_claim;
	project.begin_wait_ms = RETRY_MIN_MS;
	project.redis_wait_ms = RETRY_MIN_MS;
	project.redis = bank_redis_create(config->redis_url,
									  (int) config->redis_timeout_ms, &problem);
	if (project.redis == NULL)
	{
		bridge_log(BRIDGE_LOG_ERROR, "redis.url cannot be used", "reason=%s",
				   problem);
		return BRIDGE_EXIT_CONFIG;
	}
	say_unhealthy("starting");
	code = run(&project);
	leave(&project);
	bridge_dead_close(&project.dead);
	bridge_store_close(&project.store);
	bank_redis_destroy(project.redis);
	bridge_readmodel_free();
	return code;
}
