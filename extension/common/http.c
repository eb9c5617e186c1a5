/*
 * HTTP requests by libcurl's multi interface.
 *
 * Promises:  a request is sent once at most: libcurl would send it again by
 *            itself where a kept connection ends without an answer.  Nothing
 *            is taken from the environment, no redirect is followed, TLS is
 *            verified, and only http and https are spoken.
 * Memory:    everything is malloc'd and belongs to the pool; an answer's
 *            buffer is kept for the place's next request.
 * Not here:  what an answer means.
 */
#include "http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "contract.h"

/* Bytes of headers taken before the answer is given up. */
#define HEADERS_MAX (64 * 1024)


typedef enum PlaceState
{
	PLACE_FREE,
	PLACE_BUSY,
	PLACE_FINISHED,
	PLACE_TAKEN					/* its reply is the caller's until he is back */
} PlaceState;

typedef struct Place
{
	PlaceState	state;
	void	   *tag;
	CURL	   *easy;			/* made at first use, then kept */
	struct curl_slist *headers;
	size_t		answer_max;
	size_t		headers_size;
	bool		too_long;
	bool		was_sent;
	char	   *body;
	size_t		size;
	size_t		room;
	char		error[CURL_ERROR_SIZE];
	BankHttpReply reply;
} Place;

struct BankHttpPool
{
	CURLM	   *multi;
	int			count;
	Place		places[];
};

/*
 * A thread that libcurl starts to resolve a name inherits the mask of signals,
 * and must be given none of the process's.
 */
static void
perform_without_signals(CURLM *multi)
{
	sigset_t	all;
	sigset_t	before;
	int			running;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	curl_multi_perform(multi, &running);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool
make_room(Place *place, size_t size)
{
	size_t		room = place->room == 0 ? 1024 : place->room;
	char	   *body;

	while (room < size)
		room *= 2;
	if (room == place->room)
		return true;
	body = realloc(place->body, room);
	if (body == NULL)
		return false;
	place->body = body;
	place->room = room;
	return true;
}

/* Taking less than what came makes libcurl fail the request. */
static size_t
take_body(char *data, size_t size, size_t count, void *context)
{
	Place	   *place = context;
	size_t		bytes = size * count;

	if (bytes > place->answer_max - place->size)
	{
		place->too_long = true;
		return 0;
	}
	if (!make_room(place, place->size + bytes + 1))
		return 0;
	memcpy(place->body + place->size, data, bytes);
	place->size += bytes;
	return bytes;
}

static size_t
count_header(char *data, size_t size, size_t count, void *context)
{
	Place	   *place = context;

	(void) data;
	place->headers_size += size * count;
	place->too_long = place->headers_size > HEADERS_MAX;
	return place->too_long ? 0 : size * count;
}

/* Called before each time the request would be sent: the second is refused. */
static int
allow_once(void *context, char *to, char *from, int to_port, int from_port)
{
	Place	   *place = context;

	(void) to;
	(void) from;
	(void) to_port;
	(void) from_port;
	if (place->was_sent)
		return CURL_PREREQFUNC_ABORT;
	place->was_sent = true;
	return CURL_PREREQFUNC_OK;
}

/* Options that are the same for every request. */
static void
set_habits(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else giving up waits for a name server that is silent. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "bank/" BANK_VERSION);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, count_header);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, allow_once);
}

static bool
set_file(CURL *easy, CURLoption option, const char *path)
{
	return path == NULL || *path == '\0' ||
		curl_easy_setopt(easy, option, path) == CURLE_OK;
}

static bool
set_tls(CURL *easy, const BankHttpTls *tls)
{
	return set_file(easy, CURLOPT_CAINFO, tls->ca) &&
		set_file(easy, CURLOPT_SSLCERT, tls->certificate) &&
		set_file(easy, CURLOPT_SSLKEY, tls->key);
}

static void
watch(Place *place)
{
	curl_easy_setopt(place->easy, CURLOPT_WRITEDATA, place);
	curl_easy_setopt(place->easy, CURLOPT_HEADERDATA, place);
	curl_easy_setopt(place->easy, CURLOPT_PREREQDATA, place);
	curl_easy_setopt(place->easy, CURLOPT_PRIVATE, place);
	curl_easy_setopt(place->easy, CURLOPT_ERRORBUFFER, place->error);
}

static bool
set_headers(Place *place, const char *const *headers)
{
	for (; headers != NULL && *headers != NULL; headers++)
	{
		struct curl_slist *longer = curl_slist_append(place->headers, *headers);

		if (longer == NULL)
			return false;
		place->headers = longer;
	}
	return curl_easy_setopt(place->easy, CURLOPT_HTTPHEADER, place->headers) == CURLE_OK;
}

static bool
set_request(Place *place, const BankHttpRequest *request)
{
	CURL	   *easy = place->easy;

	curl_easy_reset(easy);
	set_habits(easy);
	watch(place);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) request->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) request->timeout_ms);
	if (request->body != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) strlen(request->body));
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
	}
	return set_tls(easy, &request->tls) &&
		curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK &&
		set_headers(place, request->headers);
}

static const char *
reason_of_failure(const Place *place, CURLcode code)
{
	if (place->too_long)
		return "answer too long";
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return "connection closed without an answer";
	return place->error[0] != '\0' ? place->error : curl_easy_strerror(code);
}

static int
clamped_retry_after(CURL *easy)
{
	curl_off_t	seconds = 0;

	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds < 0)
		return 0;
	return seconds > BANK_HTTP_RETRY_AFTER_MAX ? BANK_HTTP_RETRY_AFTER_MAX : (int) seconds;
}

/* Sets the reply, and leaves the place to be taken. */
static void
finish(Place *place, CURLcode code)
{
	BankHttpReply *reply = &place->reply;
	long		status = 0;

	memset(reply, 0, sizeof(*reply));
	reply->failed = code != CURLE_OK;
	reply->error = reply->failed ? reason_of_failure(place, code) : "";
	reply->body = "";
	if (place->body != NULL)
	{
		place->body[place->size] = '\0';
		reply->body = place->body;
	}
	reply->size = place->size;
	if (place->easy != NULL)
	{
		curl_easy_getinfo(place->easy, CURLINFO_RESPONSE_CODE, &status);
		reply->retry_after_s = clamped_retry_after(place->easy);
	}
	reply->status = (int) status;
	place->state = PLACE_FINISHED;
}

/* Takes the place's request off the connections; the reply stays. */
static void
detach(BankHttpPool *pool, Place *place)
{
	curl_multi_remove_handle(pool->multi, place->easy);
	curl_slist_free_all(place->headers);
	place->headers = NULL;
}

static void
release_taken(BankHttpPool *pool)
{
	for (int i = 0; i < pool->count; i++)
		if (pool->places[i].state == PLACE_TAKEN)
			pool->places[i].state = PLACE_FREE;
}

static Place *
find_place(BankHttpPool *pool, PlaceState state)
{
	for (int i = 0; i < pool->count; i++)
		if (pool->places[i].state == state)
			return &pool->places[i];
	return NULL;
}

static bool
initialize_library(void)
{
	static bool done = false;

	if (!done)
		done = curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK;
	return done;
}

BankHttpPool *
bank_http_pool_create(int places)
{
	BankHttpPool *pool;

	if (!initialize_library())
		return NULL;
	pool = calloc(1, sizeof(BankHttpPool) + places * sizeof(Place));
	if (pool == NULL)
		return NULL;
	pool->count = places;
	pool->multi = curl_multi_init();
	if (pool->multi == NULL)
	{
		free(pool);
		return NULL;
	}
	curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long) places);
	return pool;
}

void
bank_http_pool_destroy(BankHttpPool *pool)
{
	if (pool == NULL)
		return;
	bank_http_pool_abort(pool);
	for (int i = 0; i < pool->count; i++)
	{
		curl_easy_cleanup(pool->places[i].easy);
		free(pool->places[i].body);
	}
	curl_multi_cleanup(pool->multi);
	free(pool);
}

int
bank_http_pool_free_places(const BankHttpPool *pool)
{
	int			count = 0;

	for (int i = 0; i < pool->count; i++)
		if (pool->places[i].state == PLACE_FREE ||
			pool->places[i].state == PLACE_TAKEN)
			count++;
	return count;
}

static void
clear(Place *place, const BankHttpRequest *request, void *tag)
{
	place->tag = tag;
	place->answer_max = request->answer_max;
	place->headers_size = 0;
	place->too_long = false;
	place->was_sent = false;
	place->size = 0;
	place->error[0] = '\0';
}

bool
bank_http_pool_start(BankHttpPool *pool, const BankHttpRequest *request,
					 void *tag)
{
	Place	   *place;

	release_taken(pool);
	place = find_place(pool, PLACE_FREE);
	if (place == NULL)
		return false;
	clear(place, request, tag);
	if (place->easy == NULL)
		place->easy = curl_easy_init();
	if (place->easy != NULL && set_request(place, request) &&
		curl_multi_add_handle(pool->multi, place->easy) == CURLM_OK)
	{
		place->state = PLACE_BUSY;
		return true;
	}
	curl_slist_free_all(place->headers);
	place->headers = NULL;
	finish(place, CURLE_OUT_OF_MEMORY);
	return true;
}

static void
collect_finished(BankHttpPool *pool)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(pool->multi, &left)) != NULL)
	{
		CURLcode	code = message->data.result;
		char	   *place;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &place);
		finish((Place *) place, code);
		detach(pool, (Place *) place);
	}
}

void
bank_http_pool_wait(BankHttpPool *pool, int timeout_ms, int fd)
{
	struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};

	release_taken(pool);
	perform_without_signals(pool->multi);
	collect_finished(pool);
	if (find_place(pool, PLACE_FINISHED) != NULL)
		return;
	curl_multi_poll(pool->multi, &extra, fd >= 0 ? 1 : 0, timeout_ms, NULL);
	perform_without_signals(pool->multi);
	collect_finished(pool);
}

const BankHttpReply *
bank_http_pool_take(BankHttpPool *pool, void **tag)
{
	Place	   *place;

	release_taken(pool);
	place = find_place(pool, PLACE_FINISHED);
	if (place == NULL)
		return NULL;
	place->state = PLACE_TAKEN;
	*tag = place->tag;
	return &place->reply;
}

void
bank_http_pool_abort(BankHttpPool *pool)
{
	for (int i = 0; i < pool->count; i++)
	{
		if (pool->places[i].state == PLACE_BUSY)
			detach(pool, &pool->places[i]);
		pool->places[i].state = PLACE_FREE;
	}
}
