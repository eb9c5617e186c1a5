/*
 * Balances in a real Redis, started here on a socket of its own: what is
 * newer stays, what is garbage is replaced, and a server that went away and
 * came back is found again.  Skipped where no redis-server is installed.
 */
#include "redis.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "tap.h"

#define ACCOUNT "0192f0c1-2345-7abc-8def-0123456789ab"
#define KEY BANK_REDIS_PREFIX ACCOUNT
#define BATCH 300

static char folder[] = "/tmp/bank-redis-XXXXXX";
static char path[64];
static char url[96];
static pid_t server;

static void
run_server(void)
{
	if (freopen("/dev/null", "w", stdout) == NULL)
		_exit(127);
	execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path,
		   "--save", "", "--appendonly", "no", "--dir", folder,
		   "--requirepass", "secret", (char *) NULL);
	_exit(127);
}

/* False where the server ended or did not answer within 30 s. */
static bool
start_server(void)
{
	const struct timespec pause = {0, 10000000};

	fflush(stdout);
	server = fork();
	if (server == 0)
		run_server();
	for (int i = 0; i < 3000 && waitpid(server, NULL, WNOHANG) == 0; i++)
	{
		redisContext *probe = redisConnectUnix(path);
		bool		answers = probe != NULL && probe->err == 0;

		if (probe != NULL)
			redisFree(probe);
		if (answers)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static void
stop_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(path);
}

/* Runs one command as an outsider would; its answer where that is a number. */
static long long
tamper(const char *command)
{
	redisContext *context = redisConnectUnix(path);
	redisReply *reply;
	long long	number;

	freeReplyObject(redisCommand(context, "AUTH secret"));
	reply = redisCommand(context, command);
	number = reply != NULL ? reply->integer : 0;
	freeReplyObject(reply);
	redisFree(context);
	return number;
}

static BankRedisBalance
balance_of(int32_t epoch, int64_t version)
{
	BankRedisBalance balance = {
		.account_id = ACCOUNT, .customer_id = "", .currency = "BRL",
		.status = "active", .updated_at = "2026-01-31T12:00:00.000001Z",
		.balance = -9007199254740991, .held = 0
	};

	balance.epoch = epoch;
	balance.version = version;
	return balance;
}

static void
put(BankRedis *redis, int32_t epoch, int64_t version)
{
	BankRedisBalance balance = balance_of(epoch, version);

	if (!bank_redis_put(redis, &balance, 1))
		tap_is_text(bank_redis_error(redis), "", "put");
}

static void
expect(BankRedis *redis, int32_t epoch, int64_t version, const char *name)
{
	BankRedisBalance found = {0};
	BankRedisAnswer answer = bank_redis_get(redis, ACCOUNT, &found);

	tap_ok(answer == BANK_REDIS_FOUND && found.epoch == epoch &&
		   found.version == version, name);
}

static void
repair(BankRedis *redis, int32_t epoch, int64_t version)
{
	BankRedisBalance balance = balance_of(epoch, version);

	if (!bank_redis_repair(redis, &balance))
		tap_is_text(bank_redis_error(redis), "", "repair");
}

static long long
seconds_left(void)
{
	return tamper("TTL " KEY);
}

/* A repair may come late, and be older than what was evicted meanwhile. */
static void
test_repair(BankRedis *redis)
{
	tamper("DEL " KEY);
	repair(redis, 1, 5);
	expect(redis, 1, 5, "what is missing is repaired");
	tap_ok(seconds_left() > 0 && seconds_left() <= 60, "for a minute");
	put(redis, 1, 5);
	tap_is_int(seconds_left(), -1, "the same, put, lasts");
	repair(redis, 1, 5);
	tap_is_int(seconds_left(), -1, "what is there is not repaired");
	repair(redis, 1, 4);
	expect(redis, 1, 5, "nor what is newer");
	repair(redis, 1, 6);
	tap_ok(seconds_left() > 0, "what is older is repaired, for a minute");
	put(redis, 1, 7);
	tap_is_int(seconds_left(), -1, "a newer one, put, lasts");
	tamper("DEL " KEY);
}

static void
test_order(BankRedis *redis)
{
	BankRedisBalance found;

	tap_is_int(bank_redis_get(redis, ACCOUNT, &found), BANK_REDIS_ABSENT,
			   "absent before the first put");
	put(redis, 1, 5);
	expect(redis, 1, 5, "put");
	bank_redis_get(redis, ACCOUNT, &found);
	tap_is_int(found.balance, -9007199254740991, "least balance");
	tap_is_text(found.customer_id, "", "no customer");
	tap_is_text(found.updated_at, "2026-01-31T12:00:00.000001Z", "time");
	put(redis, 1, 4);
	expect(redis, 1, 5, "an older version changes nothing");
	put(redis, 1, 10);
	expect(redis, 1, 10, "versions are compared as numbers");
	put(redis, 2, 1);
	expect(redis, 2, 1, "a newer epoch counts more than a version");
	put(redis, 1, 11);
	expect(redis, 2, 1, "an older epoch changes nothing");
	put(redis, 2, INT64_C(9007199254740990));
	put(redis, 2, INT64_C(9007199254740991));
	expect(redis, 2, INT64_C(9007199254740991), "largest versions differ");
	put(redis, 2, INT64_C(9007199254740990));
	expect(redis, 2, INT64_C(9007199254740991), "the smaller of them changes nothing");
}

static void
test_note(BankRedis *redis)
{
	char		note[64] = "";
	char		small[4];

	tap_is_int(bank_redis_get_note(redis, note, sizeof(note)), BANK_REDIS_ABSENT,
			   "no note at first");
	tap_is_int(bank_redis_swap_note(redis, "x", "first"), BANK_REDIS_ABSENT,
			   "none to replace");
	tap_is_int(bank_redis_swap_note(redis, NULL, "first"), BANK_REDIS_FOUND, "a note");
	tap_is_int(bank_redis_swap_note(redis, "firs", "second"), BANK_REDIS_ABSENT,
			   "another one is not replaced");
	tap_is_int(bank_redis_swap_note(redis, "first", "second"), BANK_REDIS_FOUND,
			   "the same one is");
	bank_redis_get_note(redis, note, sizeof(note));
	tap_is_text(note, "second", "and is read");
	tap_is_int(bank_redis_get_note(redis, small, sizeof(small)), BANK_REDIS_ABSENT,
			   "one that does not fit is none");
	tamper("DEL " BANK_REDIS_NOTE);
	tamper("RPUSH " BANK_REDIS_NOTE " x");
	tap_is_int(bank_redis_get_note(redis, note, sizeof(note)), BANK_REDIS_ABSENT,
			   "a list is none");
	bank_redis_connect(redis);
	tap_is_int(bank_redis_swap_note(redis, "second", "third"), BANK_REDIS_ABSENT,
			   "and is not taken for one");
	tap_is_int(bank_redis_swap_note(redis, NULL, "third"), BANK_REDIS_FOUND, "but replaced");
}

/* A server that took another's place has the last note, and not what came after. */
static void
test_note_of_another_server(BankRedis *redis)
{
	char		note[64] = "";

	bank_redis_swap_note(redis, NULL, "before");
	put(redis, 1, 1);
	tamper("DEL " KEY);
	tamper("CLIENT KILL TYPE normal");
	tap_is_int(bank_redis_swap_note(redis, "before", "after"), BANK_REDIS_FAILED,
			   "a note goes over the connection of what it counts on");
	tap_is_int(bank_redis_swap_note(redis, "before", "after"), BANK_REDIS_FAILED,
			   "and makes none itself");
	bank_redis_get_note(redis, note, sizeof(note));
	tap_is_text(note, "before", "it is as it was");
}

static void
test_garbage(BankRedis *redis, const char *damage)
{
	BankRedisBalance found;

	tamper(damage);
	tap_is_int(bank_redis_get(redis, ACCOUNT, &found), BANK_REDIS_ABSENT, damage);
	put(redis, 1, 1);
	expect(redis, 1, 1, "is replaced");
}

static void
test_equal(BankRedis *redis)
{
	BankRedisBalance found = {0};

	put(redis, 3, 3);
	tamper("HSET " KEY " balance 1");
	put(redis, 3, 3);
	bank_redis_get(redis, ACCOUNT, &found);
	tap_is_int(found.balance, -9007199254740991, "an equal version repairs");
}

static void
test_batch(BankRedis *redis)
{
	static BankRedisBalance balances[BATCH];
	BankRedisBalance found;
	int			right = 0;

	for (int i = 0; i < BATCH; i++)
	{
		balances[i] = balance_of(1, i + 1);
		snprintf(balances[i].account_id, sizeof(balances[i].account_id),
				 "0192f0c1-2345-7abc-8def-%012d", i);
	}
	tap_ok(bank_redis_put(redis, balances, BATCH), "a batch");
	for (int i = 0; i < BATCH; i++)
		if (bank_redis_get(redis, balances[i].account_id, &found) ==
			BANK_REDIS_FOUND && found.version == i + 1)
			right++;
	tap_is_int(right, BATCH, "every balance of the batch");
}

static void
test_server_gone(BankRedis *redis)
{
	BankRedisBalance found;

	tamper("SCRIPT FLUSH");
	put(redis, 4, 1);
	expect(redis, 4, 1, "scripts flushed");

	stop_server();
	tap_is_int(bank_redis_get(redis, ACCOUNT, &found), BANK_REDIS_FAILED,
			   "no server");
	tap_ok(bank_redis_error(redis)[0] != '\0', "the failure is named");
	tap_ok(start_server(), "server again");
	put(redis, 1, 1);
	expect(redis, 1, 1, "found again");

	stop_server();
	tap_ok(start_server(), "server again");
	tap_is_int(bank_redis_get(redis, ACCOUNT, &found), BANK_REDIS_ABSENT,
			   "a connection lost while idle is no failure");
	stop_server();
	tap_ok(start_server(), "server again");
	put(redis, 1, 2);
	expect(redis, 1, 2, "nor is it for a put");
}

static void
test_silent_server(BankRedis *redis)
{
	BankRedisBalance found;

	kill(server, SIGSTOP);
	tap_is_int(bank_redis_get(redis, ACCOUNT, &found), BANK_REDIS_FAILED,
			   "a silent server is a failure");
	tap_is_text(bank_redis_error(redis), "HMGET: no answer in time",
				"and named so");
	kill(server, SIGCONT);
	expect(redis, 1, 2, "it answers again");
}

static void
test_password(void)
{
	char		wrong[sizeof(url) + 16];
	const char *problem;
	BankRedis  *redis;

	snprintf(wrong, sizeof(wrong), "unix://:other@%s", path);
	redis = bank_redis_create(wrong, 3000, &problem);
	tap_ok(!bank_redis_connect(redis), "a wrong password is refused");
	tap_ok(strstr(bank_redis_error(redis), "other") == NULL, "and not shown");
	bank_redis_destroy(redis);
	tap_ok(bank_redis_create("nowhere", 3000, &problem) == NULL,
		   "a wrong url is refused");
}

static void
test_all(BankRedis *redis)
{
	test_order(redis);
	test_repair(redis);
	test_note(redis);
	test_note_of_another_server(redis);
	test_garbage(redis, "HDEL " KEY " held");
	test_garbage(redis, "HSET " KEY " version 9x");
	test_garbage(redis, "HSET " KEY " epoch -1");
	test_garbage(redis, "HSET " KEY " balance 1.5");
	test_garbage(redis, "SET " KEY " text");
	test_garbage(redis, "DEL " KEY);
	test_equal(redis);
	test_batch(redis);
	test_server_gone(redis);
	test_silent_server(redis);
	test_password();
}

int
main(void)
{
	const char *problem;
	BankRedis  *redis;

	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(url, sizeof(url), "unix://default:secret@%s", path);
	redis = bank_redis_create(url, 3000, &problem);
	if (redis != NULL && start_server())
		test_all(redis);
	else
		printf("1..0 # SKIP redis-server does not run here\n");
	bank_redis_destroy(redis);
	stop_server();
	rmdir(folder);
	return tap_count > 0 ? tap_done() : 0;
}
