/*
 * HTTP requests against a server of our own that answers by script: how often
 * a request is sent, what is taken of an answer, and what ends the wait.
 *
 * The path of a request chooses its answer; see answers.
 */
#include "http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#define ANSWER_MAX 100

typedef struct Answer
{
	const char *path;
	const char *text;			/* NULL: keep silent */
	bool		closes;
} Answer;

/* Of several that match, the first counts. */
static const Answer answers[] = {
	{"/drop", "", true},
	{"/silent", NULL, false},
	{"/wait", "HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", false},
	{"/forever", "HTTP/1.1 429 No\r\nRetry-After: 999999999\r\nContent-Length: 0\r\n\r\n", false},
	{"/past", "HTTP/1.1 429 No\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
	"Content-Length: 0\r\n\r\n", false},
	{"/elsewhere", "HTTP/1.1 302 No\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", false},
	{"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", true},
	{"/full", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
		"0123456789012345678901234567890123456789012345678901234567890123456789"
	"012345678901234567890123456789", false},
	{"/over", "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"
		"0123456789012345678901234567890123456789012345678901234567890123456789"
	"0123456789012345678901234567890", false},
	{"/garbage", "this is not HTTP\r\n\r\n", true},
	{"/", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
};

static int	port;
static atomic_int requests;
static atomic_int connections;
static char last_request[4096];
static bool stop_now;

static const Answer *
find_answer(const char *request)
{
	const char *path = strchr(request, ' ') + 1;

	for (const Answer *answer = answers;; answer++)
		if (strncmp(path, answer->path, strlen(answer->path)) == 0)
			return answer;
}

/* Reads to the end of a request's headers; the tests' bodies follow at once. */
static bool
read_request(int client, char *buffer, size_t size)
{
	size_t		used = 0;

	while (used < size - 1)
	{
		ssize_t		got = read(client, buffer + used, size - 1 - used);

		if (got <= 0)
			return false;
		used += got;
		buffer[used] = '\0';
		if (strstr(buffer, "\r\n\r\n") != NULL)
			return true;
	}
	return false;
}

static void *
serve_client(void *argument)
{
	int			client = (int) (intptr_t) argument;
	char		request[4096];

	while (read_request(client, request, sizeof(request)))
	{
		const Answer *answer = find_answer(request);

		memcpy(last_request, request, sizeof(request));
		atomic_fetch_add(&requests, 1);
		if (answer->text == NULL)
			continue;
		if (write(client, answer->text, strlen(answer->text)) < 0 || answer->closes)
			break;
	}
	close(client);
	return NULL;
}

static void *
serve(void *argument)
{
	int			listener = (int) (intptr_t) argument;
	int			client;

	while ((client = accept(listener, NULL, NULL)) >= 0)
	{
		pthread_t	thread;

		atomic_fetch_add(&connections, 1);
		if (pthread_create(&thread, NULL, serve_client, (void *) (intptr_t) client) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

static bool
start_server(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t	size = sizeof(address);
	int			listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t	thread;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *) &address, size) != 0 ||
		listen(listener, 64) != 0 ||
		getsockname(listener, (struct sockaddr *) &address, &size) != 0)
		return false;
	port = ntohs(address.sin_port);
	return pthread_create(&thread, NULL, serve, (void *) (intptr_t) listener) == 0;
}

static bool
never(void)
{
	return false;
}

static bool
when_told(void)
{
	return stop_now;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* A request whose timeout is ten times what an answer may take here. */
static BankHttpRequest
request_for(char *url, size_t size, const char *path)
{
	BankHttpRequest request = {
		.method = "GET", .url = url, .connect_timeout_ms = 10000,
		.timeout_ms = 10000, .answer_max = ANSWER_MAX
	};

	snprintf(url, size, "http://127.0.0.1:%d%s", port, path);
	return request;
}

/* One request from start to end; NULL when should_stop said so. */
static const BankHttpReply *
perform(BankHttpPool *pool, const BankHttpRequest *request,
		bool (*should_stop) (void))
{
	const BankHttpReply *reply;
	void	   *tag;

	bank_http_pool_abort(pool);
	bank_http_pool_start(pool, request, NULL);
	while ((reply = bank_http_pool_take(pool, &tag)) == NULL)
	{
		if (should_stop())
		{
			bank_http_pool_abort(pool);
			return NULL;
		}
		bank_http_pool_wait(pool, 50, -1);
	}
	return reply;
}

static const BankHttpReply *
get(BankHttpPool *pool, const char *path)
{
	char		url[128];
	BankHttpRequest request = request_for(url, sizeof(url), path);

	return perform(pool, &request, never);
}

static void
check_answers(BankHttpPool *pool)
{
	const BankHttpReply *reply = get(pool, "/ok");

	tap_ok(!reply->failed && reply->status == 200, "an answer is taken");
	tap_is_text(reply->body, "ok", "with its body");
	reply = get(pool, "/wait");
	tap_ok(!reply->failed && reply->status == 503, "a refusal is an answer");
	tap_is_int(reply->retry_after_s, 7, "its pause is read");
	tap_is_int(get(pool, "/forever")->retry_after_s, 3600, "a long pause is clamped");
	tap_is_int(get(pool, "/past")->retry_after_s, 0, "a pause that is over is none");
	reply = get(pool, "/elsewhere");
	tap_ok(!reply->failed && reply->status == 302, "a redirect is not followed");
	reply = get(pool, "/full");
	tap_is_int((int64_t) reply->size, ANSWER_MAX, "the longest answer is taken");
	reply = get(pool, "/over");
	tap_ok(reply->failed, "a longer one fails");
	tap_is_text(reply->error, "answer too long", "and says why");
	tap_is_int(reply->status, 200, "its status is known");
	tap_ok(get(pool, "/cut")->failed, "an answer that is cut fails");
	tap_ok(get(pool, "/garbage")->failed, "what is not HTTP fails");
}

static void
check_kept_connection(BankHttpPool *pool)
{
	int			before;

	get(pool, "/ok");
	before = atomic_load(&connections);
	get(pool, "/ok");
	tap_is_int(atomic_load(&connections), before, "a connection is kept");
}

static void
check_sent_once(BankHttpPool *pool)
{
	const BankHttpReply *reply;
	int			before;

	get(pool, "/ok");
	before = atomic_load(&requests);
	reply = get(pool, "/drop");
	tap_ok(reply->failed && reply->status == 0, "no answer on a kept connection fails");
	tap_is_text(reply->error, "connection closed without an answer", "and says so");
	tap_is_int(atomic_load(&requests), before + 1, "the request was sent once");
	tap_is_int(get(pool, "/ok")->status, 200, "the next request is answered");
}

static void
check_post(BankHttpPool *pool)
{
	const char *headers[] = {"X-One: 1", "X-Two: 2", NULL};
	char		url[128];
	BankHttpRequest request = request_for(url, sizeof(url), "/ok");

	request.method = "POST";
	request.body = "{}";
	request.headers = headers;
	tap_is_int(perform(pool, &request, never)->status, 200, "a POST is answered");
	tap_ok(strncmp(last_request, "POST /ok ", 9) == 0, "it is a POST");
	tap_ok(strstr(last_request, "X-One: 1\r\n") != NULL &&
		   strstr(last_request, "X-Two: 2\r\n") != NULL, "its headers are sent");
	tap_ok(strstr(last_request, "Content-Length: 2\r\n") != NULL, "its length too");
	get(pool, "/ok");
	tap_ok(strncmp(last_request, "GET /ok ", 8) == 0 &&
		   strstr(last_request, "X-One") == NULL, "nothing of it is left for the next");
}

static void
check_refusals(BankHttpPool *pool)
{
	static const char *const urls[] = {
		"", "file:///etc/hostname", "ftp://127.0.0.1/", "http://127.0.0.1:1/", "http://[",
	};
	BankHttpRequest request = {
		.method = "GET", .connect_timeout_ms = 10000, .timeout_ms = 10000,
		.answer_max = ANSWER_MAX
	};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
	{
		const BankHttpReply *reply;

		request.url = urls[i];
		reply = perform(pool, &request, never);
		tap_ok(reply->failed && reply->status == 0 && reply->size == 0 &&
			   reply->error[0] != '\0', urls[i]);
	}
}

static void
check_ends_of_waiting(BankHttpPool *pool)
{
	char		url[128];
	BankHttpRequest request = request_for(url, sizeof(url), "/silent");
	int64_t		start = now_ms();
	const BankHttpReply *reply;

	stop_now = true;
	tap_ok(perform(pool, &request, when_told) == NULL, "a stop gives no reply");
	tap_ok(now_ms() - start < 5000, "and comes soon");
	request.timeout_ms = 100;
	start = now_ms();
	reply = perform(pool, &request, never);
	tap_ok(reply->failed && reply->status == 0, "silence fails");
	tap_ok(now_ms() - start >= 90 && now_ms() - start < 5000, "when the time is over");
}

static int
take_all(BankHttpPool *pool, int wanted, bool *taken)
{
	int64_t		deadline = now_ms() + 10000;
	int			count = 0;

	while (count < wanted && now_ms() < deadline)
	{
		const BankHttpReply *reply;
		void	   *tag;

		bank_http_pool_wait(pool, 100, -1);
		while ((reply = bank_http_pool_take(pool, &tag)) != NULL)
		{
			taken[(intptr_t) tag] = !reply->failed && strcmp(reply->body, "ok") == 0;
			count++;
		}
	}
	return count;
}

static void
check_parallel(void)
{
	BankHttpPool *pool = bank_http_pool_create(4);
	char		url[128];
	BankHttpRequest request = request_for(url, sizeof(url), "/ok");
	bool		taken[4] = {false};

	for (intptr_t i = 0; i < 4; i++)
		tap_ok(bank_http_pool_start(pool, &request, (void *) i), "a place is free");
	tap_is_int(bank_http_pool_free_places(pool), 0, "then none is");
	tap_ok(!bank_http_pool_start(pool, &request, NULL), "and nothing more starts");
	tap_is_int(take_all(pool, 4, taken), 4, "all are taken");
	tap_ok(taken[0] && taken[1] && taken[2] && taken[3], "each with its tag");
	tap_is_int(bank_http_pool_free_places(pool), 4, "the places are free again");
	bank_http_pool_start(pool, &request, NULL);
	bank_http_pool_abort(pool);
	tap_is_int(bank_http_pool_free_places(pool), 4, "giving up frees them too");
	bank_http_pool_start(pool, &request, NULL);
	bank_http_pool_destroy(pool);
}

static void
check_descriptor(BankHttpPool *pool)
{
	int			pipe_ends[2];
	char		url[128];
	BankHttpRequest request = request_for(url, sizeof(url), "/silent");
	int64_t		start = now_ms();

	if (pipe(pipe_ends) != 0 || write(pipe_ends[1], "x", 1) != 1)
		abort();
	bank_http_pool_start(pool, &request, NULL);
	for (int i = 0; i < 5; i++)
		bank_http_pool_wait(pool, 5000, pipe_ends[0]);
	tap_ok(now_ms() - start < 5000, "a readable descriptor ends the wait");
	bank_http_pool_abort(pool);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

int
main(void)
{
	BankHttpPool *pool;

	signal(SIGPIPE, SIG_IGN);
	if (!start_server())
		return 1;
	pool = bank_http_pool_create(1);
	check_answers(pool);
	check_kept_connection(pool);
	check_sent_once(pool);
	check_post(pool);
	check_refusals(pool);
	check_ends_of_waiting(pool);
	check_descriptor(pool);
	check_parallel();
	bank_http_pool_destroy(pool);
	return tap_done();
}
