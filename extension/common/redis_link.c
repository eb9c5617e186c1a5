/*
 * Redis over a socket that never blocks.
 *
 * Promises:  an exchange ends within the timeout, whatever Redis or the name
 *            server does; an interrupt ends it within POLL_MS.
 * Memory:    one hiredis context, and an answer of ANSWER_MAX bytes; replies
 *            are the caller's.
 */
#include "redis_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* How often an interrupt is looked for. */
#define POLL_MS 50

/* More than any answer has: who sends more is no Redis, or not ours. */
#define ANSWER_MAX (1 << 20)
#define ELEMENTS_MAX 64

#if HIREDIS_MAJOR >= 1
typedef size_t ArrayLength;
#else
typedef int ArrayLength;
#endif

static redisReplyObjectFunctions bounded;
static void *(*make_array) (const redisReadTask *, ArrayLength);

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
bank_redis_link_begin(BankRedisLink *link)
{
	link->deadline_ms = now_ms() + link->timeout_ms;
}

void
bank_redis_link_close(BankRedisLink *link)
{
	if (link->context != NULL)
		redisFree(link->context);
	link->context = NULL;
}

void
bank_redis_link_free(BankRedisLink *link)
{
	bank_redis_link_close(link);
	bank_resolve_release(link->question);
	link->question = NULL;
}

/*
 * The connection goes: answers still under way would be taken for those of
 * the next command.
 */
bool
bank_redis_link_fail(BankRedisLink *link, const char *doing, const char *reason)
{
	snprintf(link->error, sizeof(link->error), "%s: %s", doing, reason);
	link->timed_out = false;
	link->refused = false;
	link->wrong_type = false;
	bank_redis_link_close(link);
	return false;
}

static bool
fail_in_time(BankRedisLink *link, const char *doing, const char *reason)
{
	bank_redis_link_fail(link, doing, reason);
	link->timed_out = true;
	return false;
}

static bool
fail_connection(BankRedisLink *link, const char *doing)
{
	if (link->context == NULL)
		return bank_redis_link_fail(link, doing, "out of memory");
	return bank_redis_link_fail(link, doing, link->context->errstr);
}

/* Milliseconds of the next wait; 0 where the exchange must end. */
static int
slice_ms(BankRedisLink *link, const char *doing)
{
	int64_t		left = link->deadline_ms - now_ms();

	if (link->is_interrupted != NULL && link->is_interrupted())
		fail_in_time(link, doing, "interrupted");
	else if (left <= 0)
		fail_in_time(link, doing, "no answer in time");
	else
		return left < POLL_MS ? (int) left : POLL_MS;
	return 0;
}

/* Waits until the socket is ready. */
static bool
wait_socket(BankRedisLink *link, short events, const char *doing)
{
	struct pollfd socket = {.fd = link->context->fd, .events = events};
	int			wait_ms;

	while ((wait_ms = slice_ms(link, doing)) > 0)
		if (poll(&socket, 1, wait_ms) > 0)
			return true;
	return false;
}

static bool
send_all(BankRedisLink *link, const char *doing)
{
	int			done = 0;

	while (!done)
	{
		if (redisBufferWrite(link->context, &done) != REDIS_OK)
			return fail_connection(link, doing);
		if (!done && !wait_socket(link, POLLOUT, doing))
			return false;
	}
	return true;
}

/* True with *answer NULL: it is not there yet. */
static bool
look_for_reply(BankRedisLink *link, const char *doing, void **answer)
{
	*answer = NULL;
	if (redisGetReplyFromReader(link->context, answer) != REDIS_OK)
		return fail_connection(link, doing);
	return true;
}

/* Reads what has come, *room bytes at most. */
static bool
read_some(BankRedisLink *link, const char *doing, size_t *room)
{
	size_t		before = link->context->reader->len;
	size_t		came;

	if (redisBufferRead(link->context) != REDIS_OK)
		return fail_connection(link, doing);
	came = link->context->reader->len - before;
	if (came > *room)
		return bank_redis_link_fail(link, doing, "answer too long");
	*room -= came;
	return true;
}

static bool
await_reply(BankRedisLink *link, const char *doing, void **answer)
{
	size_t		room = ANSWER_MAX;

	while (look_for_reply(link, doing, answer))
	{
		if (*answer != NULL)
			return true;
		if (!wait_socket(link, POLLIN, doing) || !read_some(link, doing, &room))
			return false;
	}
	return false;
}

redisReply *
bank_redis_link_reply(BankRedisLink *link, const char *doing)
{
	void	   *answer;
	redisReply *reply;

	if (!send_all(link, doing) || !await_reply(link, doing, &answer))
		return NULL;
	reply = answer;
	if (reply->type != REDIS_REPLY_ERROR)
		return reply;
	bank_redis_link_fail(link, doing, reply->str);
	link->refused = true;
	link->wrong_type = strncmp(reply->str, "WRONGTYPE", 9) == 0;
	freeReplyObject(reply);
	return NULL;
}

bool
bank_redis_link_append(BankRedisLink *link, int argc, const char **argv)
{
	if (redisAppendCommandArgv(link->context, argc, argv, NULL) == REDIS_OK)
		return true;
	return fail_connection(link, argv[0]);
}

redisReply *
bank_redis_link_command(BankRedisLink *link, int argc, const char **argv)
{
	if (!bank_redis_link_append(link, argc, argv))
		return NULL;
	return bank_redis_link_reply(link, argv[0]);
}

static bool
command_succeeds(BankRedisLink *link, int argc, const char **argv)
{
	redisReply *reply = bank_redis_link_command(link, argc, argv);

	if (reply == NULL)
		return false;
	freeReplyObject(reply);
	return true;
}

/* The first line of the file, read for every connection. */
static bool
read_password(BankRedisLink *link, char *password, int size)
{
	FILE	   *file = fopen(link->password_file, "re");
	bool		was_read = file != NULL && fgets(password, size, file) != NULL;

	if (file != NULL)
		fclose(file);
	if (!was_read)
		return bank_redis_link_fail(link, "AUTH", "could not read the password's file");
	password[strcspn(password, "\n")] = '\0';
	return true;
}

static bool
log_in(BankRedisLink *link, const char *password)
{
	const char *named[] = {"AUTH", link->url.user, password};
	const char *unnamed[] = {"AUTH", password};

	if (link->url.user[0] != '\0')
		return command_succeeds(link, 3, named);
	return command_succeeds(link, 2, unnamed);
}

static bool
authenticate(BankRedisLink *link)
{
	char		password[sizeof(link->url.password)];

	if (link->url.password[0] != '\0')
		return log_in(link, link->url.password);
	if (link->password_file == NULL || *link->password_file == '\0')
		return true;
	return read_password(link, password, sizeof(password)) && log_in(link, password);
}

static bool
select_database(BankRedisLink *link)
{
	char		number[24];
	const char *argv[] = {"SELECT", number};

	if (link->url.database == 0)
		return true;
	snprintf(number, sizeof(number), "%d", link->url.database);
	return command_succeeds(link, 2, argv);
}

/* No array is made that only promises its elements. */
static void *
make_bounded_array(const redisReadTask * task, ArrayLength length)
{
	return length > ELEMENTS_MAX ? NULL : make_array(task, length);
}

static void
bound_arrays(redisReader * reader)
{
	make_array = reader->fn->createArray;
	bounded = *reader->fn;
	bounded.createArray = make_bounded_array;
	reader->fn = &bounded;
}

/* Waits until the connection that was begun is there. */
static bool
await_connection(BankRedisLink *link)
{
	int			error = 0;
	socklen_t	size = sizeof(error);

	if (link->context == NULL || link->context->err != 0)
		return fail_connection(link, "connect");
	bound_arrays(link->context->reader);
	if (!wait_socket(link, POLLOUT, "connect"))
		return false;
	if (getsockopt(link->context->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	return error == 0 ? true :
		bank_redis_link_fail(link, "connect", strerror(error));
}

static bool
connect_socket(BankRedisLink *link)
{
	link->context = redisConnectUnixNonBlock(link->url.host);
	return await_connection(link);
}

/* The addresses of the host; the question is kept while it is not answered. */
static bool
find_addresses(BankRedisLink *link, BankAddresses *addresses)
{
	BankResolveState state = BANK_RESOLVE_PENDING;
	int			wait_ms;

	if (link->question == NULL)
		link->question = bank_resolve_start(link->url.host);
	if (link->question == NULL)
		return bank_redis_link_fail(link, "resolve", "out of memory");
	while (state == BANK_RESOLVE_PENDING &&
		   (wait_ms = slice_ms(link, "resolve")) > 0)
		state = bank_resolve_wait(link->question, wait_ms, addresses);
	if (state == BANK_RESOLVE_PENDING)
		return false;
	if (state == BANK_RESOLVE_FAILED)
		bank_redis_link_fail(link, "resolve", bank_resolve_error(link->question));
	bank_resolve_release(link->question);
	link->question = NULL;
	return state == BANK_RESOLVE_DONE;
}

static bool
connect_network(BankRedisLink *link)
{
	BankAddresses addresses;

	if (!find_addresses(link, &addresses))
		return false;
	for (int i = 0; i < addresses.count; i++)
	{
		link->context = redisConnectNonBlock(addresses.text[i], link->url.port);
		if (await_connection(link))
			return true;
		if (link->timed_out)
			return false;
	}
	return false;
}

bool
bank_redis_link_connect(BankRedisLink *link)
{
	if (link->context != NULL)
		return true;
	if (!(link->url.is_socket ? connect_socket(link) : connect_network(link)))
		return false;
	return authenticate(link) && select_database(link);
}
