/*
 * Redis for a backend: a help that may be missing.
 *
 * Promises:  a Redis that is down or slow makes no call fail, and costs each
 *            backend one timeout a second at most.  A cancel is answered at
 *            once.
 * Memory:    one connection, malloc'd, kept until the backend ends or the
 *            setting changes.
 * Raises:    57014.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "bank.h"
#include "cache.h"

/* How long a Redis that failed is left alone. */
#define PAUSE_MS 1000

static BankRedis *redis = NULL;
static char *redis_url = NULL;	/* settings that redis was made from */
static char *redis_password_file = NULL;
static int	redis_timeout;
static bool is_away = false;
static instr_time failed_at;

static void
note_failure(const char *reason)
{
	if (!is_away)
		ereport(LOG,
				(errmsg("balances are read without Redis: %s", reason)));
	is_away = true;
	INSTR_TIME_SET_CURRENT(failed_at);
}

static bool
is_paused(void)
{
	instr_time	passed;

	if (!is_away)
		return false;
	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, failed_at);
	return INSTR_TIME_GET_MILLISEC(passed) < PAUSE_MS;
}

static bool
setting_changed(void)
{
	return redis_url == NULL || strcmp(redis_url, bank_redis_url) != 0 ||
		strcmp(redis_password_file, bank_redis_password_file) != 0 ||
		redis_timeout != bank_redis_timeout;
}

static bool
is_interrupted(void)
{
	return QueryCancelPending || ProcDiePending;
}

static void
take_setting(void)
{
	char	   *url = MemoryContextStrdup(TopMemoryContext, bank_redis_url);
	char	   *file = MemoryContextStrdup(TopMemoryContext, bank_redis_password_file);
	const char *problem;

	bank_redis_destroy(redis);
	if (redis_url != NULL)
	{
		pfree(redis_url);
		pfree(redis_password_file);
	}
	redis_url = url;
	redis_password_file = file;
	redis_timeout = bank_redis_timeout;
	is_away = false;
	redis = bank_redis_create(url, redis_timeout, &problem);
	if (redis == NULL)
		note_failure(problem);
	else
	{
		bank_redis_set_password_file(redis, redis_password_file);
		bank_redis_interrupt(redis, is_interrupted);
	}
}

/* True where Redis may be asked. */
static bool
is_ready(void)
{
	if (bank_redis_url == NULL || *bank_redis_url == '\0')
		return false;
	if (setting_changed())
		take_setting();
	return redis != NULL && !is_paused();
}

BankCacheAnswer
bank_cache_get(const char *account_id, BankRedisBalance *balance)
{
	BankRedisAnswer answer;

	if (!is_ready())
		return BANK_CACHE_AWAY;
	answer = bank_redis_get(redis, account_id, balance);
	CHECK_FOR_INTERRUPTS();
	if (answer == BANK_REDIS_FAILED)
		note_failure(bank_redis_error(redis));
	else
		is_away = false;
	if (answer == BANK_REDIS_FAILED)
		return BANK_CACHE_AWAY;
	return answer == BANK_REDIS_FOUND ? BANK_CACHE_FOUND : BANK_CACHE_ABSENT;
}

void
bank_cache_repair(const BankRedisBalance *balance)
{
	bool		failed = is_ready() && !bank_redis_repair(redis, balance);

	CHECK_FOR_INTERRUPTS();
	if (failed)
		note_failure(bank_redis_error(redis));
}
