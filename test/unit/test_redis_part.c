/*
 * A batch of balances whose connection is closed in its midst, by a server
 * that is but a loop: what was put before may be lost with the server.
 */
#include "redis.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* More than is put before answers are read. */
#define BATCH 300
#define FIRST_PART 128

static char folder[] = "/tmp/bank-redis-XXXXXX";
static char path[64];

/* Commands begun in the bytes; of each other the server knows nothing. */
static int
count_commands(const char *bytes, ssize_t length, const char *name)
{
	int			count = 0;
	ssize_t		size = (ssize_t) strlen(name);

	for (ssize_t i = 0; i + size <= length; i++)
		if (memcmp(bytes + i, name, (size_t) size) == 0)
			count++;
	return count;
}

static void
say(int client, const char *answer)
{
	if (write(client, answer, strlen(answer)) < 0)
		_exit(1);
}

/* Answers so many puts, and closes. */
static void
serve(int client, int puts)
{
	static char bytes[1 << 20];
	ssize_t		length = 0;
	ssize_t		more;
	int			answered = 0;

	while (answered < puts &&
		   (more = read(client, bytes + length, sizeof(bytes) - (size_t) length)) > 0)
	{
		if (length == 0)
			say(client, "$40\r\n0123456789012345678901234567890123456789\r\n");
		length += more;
		for (int seen = count_commands(bytes, length, "EVALSHA\r\n");
			 answered < seen && answered < puts; answered++)
			say(client, ":1\r\n");
	}
	close(client);
}

static void
run_server(int listener, int first_puts)
{
	signal(SIGPIPE, SIG_IGN);
	serve(accept(listener, NULL, NULL), first_puts);
	serve(accept(listener, NULL, NULL), BATCH + 1);
	_exit(0);
}

static int
listen_here(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			listener = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	if (bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(listener, 2) != 0)
		exit(1);
	return listener;
}

/* Whether a batch is put by a server that closes after so many puts. */
static bool
put_batch(int puts)
{
	static BankRedisBalance balances[BATCH];
	char		url[96];
	const char *problem;
	int			listener = listen_here();
	pid_t		server = fork();
	BankRedis  *redis;
	bool		done;

	if (server == 0)
		run_server(listener, puts);
	close(listener);
	snprintf(url, sizeof(url), "unix://%s", path);
	redis = bank_redis_create(url, 10000, &problem);
	for (int i = 0; i < BATCH; i++)
		snprintf(balances[i].account_id, sizeof(balances[i].account_id),
				 "0192f0c1-2345-7abc-8def-%012d", i);
	done = bank_redis_connect(redis) && bank_redis_put(redis, balances, BATCH);
	bank_redis_destroy(redis);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return done;
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	fflush(stdout);
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	tap_ok(put_batch(BATCH), "a batch over one connection");
	tap_ok(put_batch(0), "one that was lost while idle is made again");
	tap_ok(!put_batch(FIRST_PART), "one that was lost in the midst is not");
	tap_ok(!put_batch(FIRST_PART + 1), "nor a little later");
	unlink(path);
	rmdir(folder);
	return tap_done();
}
