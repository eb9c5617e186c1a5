/*
 * Balances in Redis, by hiredis.
 *
 * Promises:  a stale balance never replaces a newer one (invariant 10): the
 *            comparison runs inside Redis, by script.  What counts on puts
 *            before it, the next part of a batch and the note, goes over
 *            their connection: a new one may lead to a server without them.
 * Memory:    one malloc'd BankRedis with one connection; every reply is
 *            copied out and freed before a function returns.
 * Not here:  the connection and its limits (redis_link.c); when to try again
 *            after a failure, which is the caller's.
 */
#include "redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_link.h"

#define FIELD_COUNT 9
#define REPAIR_SECONDS "60"
#define NUMBER_SIZE 24
#define SHA_SIZE 41

/* Puts sent before their answers are read. */
#define PIPELINE_MAX 128

/* EVALSHA sha 1 key, then the fields and the seconds to last as ARGV */
#define PUT_ARGUMENTS (5 + FIELD_COUNT)

struct BankRedis
{
	BankRedisLink link;
	char		script[SHA_SIZE];	/* digest, empty until loaded */
};

/* One balance as Redis sees it: key and values in the order of field_names. */
typedef struct HashText
{
	char		key[sizeof(BANK_REDIS_PREFIX) + BANK_UUID_LENGTH];
	char		numbers[4][NUMBER_SIZE];
	const char *values[FIELD_COUNT];
} HashText;

static const char *const field_names[FIELD_COUNT] = {
	"account_id", "customer_id", "currency", "status", "updated_at",
	"balance", "held", "version", "epoch"
};

/*
 * ARGV is field_names' order: 6 to 9 are numbers.  A hash with a field that
 * is missing or no number is worth nothing, hence older; so is a key of
 * another type.  Versions stay below 2^53, so a double compares them exactly.
 * What cannot be written, since memory is out, must not stay as it was: the
 * readers' way around leads to the database.
 *
 * ARGV 10, the seconds to last, is 0 where the writer is told of every later
 * balance.  Who is not repairs only what is missing or older.
 */
static const char put_script[] =
	"local old = redis.pcall('HMGET', KEYS[1], 'account_id', 'customer_id',"
	" 'currency', 'status', 'updated_at', 'balance', 'held', 'version', 'epoch')\n"
	"local sound = not old.err\n"
	"for i = 1, 9 do\n"
	"  local v = sound and old[i]\n"
	"  sound = v and (i < 6 or string.match(v, '^%-?%d+$') and #v <= 17)\n"
	"end\n"
	"if sound then\n"
	"  local e, v = tonumber(old[9]), tonumber(old[8])\n"
	"  local epoch, version = tonumber(ARGV[9]), tonumber(ARGV[8])\n"
	"  if e > epoch or (e == epoch and v > version) then return 0 end\n"
	"  if e == epoch and v == version and ARGV[10] ~= '0' then return 0 end\n"
	"elseif old.err then\n"
	"  redis.call('DEL', KEYS[1])\n"
	"end\n"
	"local done = redis.pcall('HSET', KEYS[1], 'account_id', ARGV[1], 'customer_id', ARGV[2],"
	" 'currency', ARGV[3], 'status', ARGV[4], 'updated_at', ARGV[5],"
	" 'balance', ARGV[6], 'held', ARGV[7], 'version', ARGV[8], 'epoch', ARGV[9])\n"
	"if type(done) == 'table' and done.err then\n"
	"  redis.call('DEL', KEYS[1])\n"
	"  return done\n"
	"end\n"
	"if ARGV[10] == '0' then\n"
	"  redis.call('PERSIST', KEYS[1])\n"
	"else\n"
	"  redis.call('EXPIRE', KEYS[1], ARGV[10])\n"
	"end\n"
	"return 1\n";

static const char swap_script[] =
	"local old = redis.pcall('GET', KEYS[1])\n"
	"if ARGV[1] ~= '' and old ~= ARGV[1] then return 0 end\n"
	"redis.call('SET', KEYS[1], ARGV[2])\n"
	"return 1\n";

BankRedis *
bank_redis_create(const char *url, int timeout_ms, const char **problem)
{
	BankRedis  *redis = calloc(1, sizeof(BankRedis));

	*problem = "out of memory";
	if (redis == NULL)
		return NULL;
	*problem = bank_redis_url_parse(url, &redis->link.url);
	if (*problem != NULL)
	{
		free(redis);
		return NULL;
	}
	redis->link.timeout_ms = timeout_ms;
	return redis;
}

void
bank_redis_destroy(BankRedis *redis)
{
	if (redis == NULL)
		return;
	bank_redis_link_free(&redis->link);
	free(redis);
}

void
bank_redis_set_password_file(BankRedis *redis, const char *path)
{
	redis->link.password_file = path;
}

void
bank_redis_interrupt(BankRedis *redis, bool (*is_interrupted) (void))
{
	redis->link.is_interrupted = is_interrupted;
}

/* A new connection may be to a server that knows no script. */
static bool
connect_link(BankRedis *redis)
{
	if (redis->link.context == NULL)
		redis->script[0] = '\0';
	return bank_redis_link_connect(&redis->link);
}

bool
bank_redis_connect(BankRedis *redis)
{
	bank_redis_link_begin(&redis->link);
	return connect_link(redis);
}

/* A server that restarted has closed the connection we still hold. */
static bool
lost_while_idle(const BankRedis *redis, bool was_connected)
{
	return was_connected && redis->link.context == NULL &&
		!redis->link.timed_out;
}

static bool
read_numbers(const redisReply *reply, BankRedisBalance *balance)
{
	int64_t		epoch;

	if (!bank_text_to_int64(reply->element[5]->str, &balance->balance) ||
		!bank_text_to_int64(reply->element[6]->str, &balance->held) ||
		!bank_text_to_int64(reply->element[7]->str, &balance->version) ||
		!bank_text_to_int64(reply->element[8]->str, &epoch))
		return false;
	if (balance->version < 1 || epoch < 1 || epoch > INT32_MAX)
		return false;
	balance->epoch = (int32_t) epoch;
	return true;
}

/* True where every field is there and is what a put would have written. */
static bool
read_hash(const redisReply *reply, const char *account_id,
		  BankRedisBalance *balance)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELD_COUNT)
		return false;
	for (int i = 0; i < FIELD_COUNT; i++)
		if (reply->element[i]->type != REDIS_REPLY_STRING)
			return false;
	if (!bank_text_copy(balance->account_id, sizeof(balance->account_id),
						reply->element[0]->str) ||
		!bank_text_copy(balance->customer_id, sizeof(balance->customer_id),
						reply->element[1]->str) ||
		!bank_text_copy(balance->currency, sizeof(balance->currency),
						reply->element[2]->str) ||
		!bank_text_copy(balance->status, sizeof(balance->status),
						reply->element[3]->str) ||
		!bank_text_copy(balance->updated_at, sizeof(balance->updated_at),
						reply->element[4]->str))
		return false;
	if (strcmp(balance->account_id, account_id) != 0 ||
		strlen(balance->currency) != 3 || balance->status[0] == '\0' ||
		!bank_text_is_time(balance->updated_at))
		return false;
	if (balance->customer_id[0] != '\0' &&
		!bank_text_is_uuid(balance->customer_id))
		return false;
	return read_numbers(reply, balance);
}

static redisReply *
ask(BankRedis *redis, int argc, const char **argv)
{
	if (!connect_link(redis))
		return NULL;
	return bank_redis_link_command(&redis->link, argc, argv);
}

/* Asks once more where a kept connection was closed meanwhile. */
static redisReply *
ask_again(BankRedis *redis, int argc, const char **argv)
{
	bool		was_connected = redis->link.context != NULL;
	redisReply *reply;

	bank_redis_link_begin(&redis->link);
	reply = ask(redis, argc, argv);
	if (reply == NULL && lost_while_idle(redis, was_connected))
		reply = ask(redis, argc, argv);
	return reply;
}

BankRedisAnswer
bank_redis_get(BankRedis *redis, const char *account_id,
			   BankRedisBalance *balance)
{
	char		key[sizeof(BANK_REDIS_PREFIX) + BANK_UUID_LENGTH];
	const char *argv[2 + FIELD_COUNT] = {"HMGET", key};
	BankRedisBalance found = {0};
	BankRedisAnswer answer = BANK_REDIS_ABSENT;
	redisReply *reply;

	snprintf(key, sizeof(key), "%s%s", BANK_REDIS_PREFIX, account_id);
	memcpy(argv + 2, field_names, sizeof(field_names));
	reply = ask_again(redis, 2 + FIELD_COUNT, argv);
	if (reply == NULL)
		return redis->link.wrong_type ? BANK_REDIS_ABSENT : BANK_REDIS_FAILED;
	if (read_hash(reply, account_id, &found))
	{
		*balance = found;
		answer = BANK_REDIS_FOUND;
	}
	freeReplyObject(reply);
	return answer;
}

static void
write_hash(const BankRedisBalance *balance, HashText *text)
{
	const int64_t numbers[4] = {balance->balance, balance->held,
	balance->version, balance->epoch};

	snprintf(text->key, sizeof(text->key), "%s%s", BANK_REDIS_PREFIX,
			 balance->account_id);
	text->values[0] = balance->account_id;
	text->values[1] = balance->customer_id;
	text->values[2] = balance->currency;
	text->values[3] = balance->status;
	text->values[4] = balance->updated_at;
	for (int i = 0; i < 4; i++)
	{
		snprintf(text->numbers[i], NUMBER_SIZE, "%" PRId64, numbers[i]);
		text->values[5 + i] = text->numbers[i];
	}
}

static bool
load_script(BankRedis *redis)
{
	const char *argv[] = {"SCRIPT", "LOAD", put_script};
	redisReply *reply;

	if (redis->script[0] != '\0')
		return true;
	reply = bank_redis_link_command(&redis->link, 3, argv);
	if (reply == NULL)
		return false;
	if (reply->type != REDIS_REPLY_STRING ||
		!bank_text_copy(redis->script, sizeof(redis->script), reply->str))
	{
		freeReplyObject(reply);
		return bank_redis_link_fail(&redis->link, "SCRIPT LOAD",
									"unexpected answer");
	}
	freeReplyObject(reply);
	return true;
}

static bool
append_put(BankRedis *redis, const BankRedisBalance *balance, const char *seconds)
{
	HashText	text;
	const char *argv[PUT_ARGUMENTS] = {"EVALSHA", redis->script, "1", text.key};

	write_hash(balance, &text);
	memcpy(argv + 4, text.values, sizeof(text.values));
	argv[PUT_ARGUMENTS - 1] = seconds;
	return bank_redis_link_append(&redis->link, PUT_ARGUMENTS, argv);
}

static bool
put_pipeline(BankRedis *redis, const BankRedisBalance *balances, int count,
			 const char *seconds)
{
	if (!connect_link(redis) || !load_script(redis))
		return false;
	for (int i = 0; i < count; i++)
		if (!append_put(redis, &balances[i], seconds))
			return false;
	for (int i = 0; i < count; i++)
	{
		redisReply *reply = bank_redis_link_reply(&redis->link, "EVALSHA");

		if (reply == NULL)
			return false;
		freeReplyObject(reply);
	}
	return true;
}

/*
 * A second try meets a server that restarted, or whose scripts were flushed:
 * the new connection loads the script again.  Once a part of the batch was
 * put there is none.
 */
static bool
put(BankRedis *redis, const BankRedisBalance *balances, int count,
	const char *seconds)
{
	for (int done = 0; done < count; done += PIPELINE_MAX)
	{
		int			size = count - done;
		bool		was_connected = redis->link.context != NULL;

		if (size > PIPELINE_MAX)
			size = PIPELINE_MAX;
		bank_redis_link_begin(&redis->link);
		if (put_pipeline(redis, balances + done, size, seconds))
			continue;
		if (done > 0 || !lost_while_idle(redis, was_connected) ||
			!put_pipeline(redis, balances + done, size, seconds))
			return false;
	}
	return true;
}

bool
bank_redis_put(BankRedis *redis, const BankRedisBalance *balances, int count)
{
	return put(redis, balances, count, "0");
}

bool
bank_redis_repair(BankRedis *redis, const BankRedisBalance *balance)
{
	return put(redis, balance, 1, REPAIR_SECONDS);
}

BankRedisAnswer
bank_redis_get_note(BankRedis *redis, char *note, size_t size)
{
	const char *argv[] = {"GET", BANK_REDIS_NOTE};
	redisReply *reply = ask_again(redis, 2, argv);
	BankRedisAnswer answer = BANK_REDIS_ABSENT;

	if (reply == NULL)
		return redis->link.wrong_type ? BANK_REDIS_ABSENT : BANK_REDIS_FAILED;
	if (reply->type == REDIS_REPLY_STRING && bank_text_copy(note, size, reply->str))
		answer = BANK_REDIS_FOUND;
	freeReplyObject(reply);
	return answer;
}

BankRedisAnswer
bank_redis_swap_note(BankRedis *redis, const char *old, const char *note)
{
	const char *argv[] = {"EVAL", swap_script, "1", BANK_REDIS_NOTE,
	old != NULL ? old : "", note};
	redisReply *reply = NULL;
	BankRedisAnswer answer = BANK_REDIS_ABSENT;

	bank_redis_link_begin(&redis->link);
	if (old == NULL || redis->link.context != NULL)
		reply = ask(redis, 6, argv);
	else
		bank_redis_link_fail(&redis->link, "EVAL", "the connection is gone");
	if (reply == NULL)
		return BANK_REDIS_FAILED;
	if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 1)
		answer = BANK_REDIS_FOUND;
	freeReplyObject(reply);
	return answer;
}

bool
bank_redis_refused(const BankRedis *redis)
{
	return redis->link.refused;
}

const char *
bank_redis_error(const BankRedis *redis)
{
	return redis->link.error;
}
