/*
 * HTTP requests: one at a time or several at once, each with a bounded answer
 * and bounded time, and each sent once at most.
 *
 * A BankHttpPool has a fixed number of places, one for a request under way,
 * and keeps connections for the next requests.  One process, one thread.  The
 * process must ignore SIGPIPE.
 */
#ifndef BANK_HTTP_H
#define BANK_HTTP_H

#include <stdbool.h>
#include <stddef.h>

/* Longest pause an answer's Retry-After is taken for. */
#define BANK_HTTP_RETRY_AFTER_MAX 3600

/* Paths of PEM files; empty or NULL: none. */
typedef struct BankHttpTls
{
	const char *ca;				/* who may vouch for the server; none: the
								 * system's */
	const char *certificate;	/* of ours */
	const char *key;			/* of the certificate */
} BankHttpTls;

/* Everything it points to must last until the request is finished. */
typedef struct BankHttpRequest
{
	const char *method;			/* "GET", "POST" */
	const char *url;			/* http or https */
	const char *body;			/* NULL: none */
	const char *const *headers; /* "Name: value", up to NULL; NULL: none */
	int			connect_timeout_ms;
	int			timeout_ms;		/* of the whole request */
	size_t		answer_max;		/* longest body taken, in bytes */
	BankHttpTls tls;
} BankHttpRequest;

typedef struct BankHttpReply
{
	bool		failed;			/* no complete answer; error says why */
	int			status;			/* 0: not even a status */
	int			retry_after_s;	/* 0 to BANK_HTTP_RETRY_AFTER_MAX; 0: none
								 * given */
	const char *body;			/* ends with a NUL that size leaves out */
	size_t		size;
	const char *error;			/* one line; empty unless failed */
} BankHttpReply;

typedef struct BankHttpPool BankHttpPool;

/* Makes a pool; NULL when memory is out. */
extern BankHttpPool *bank_http_pool_create(int places);

/* Gives up what is under way and frees the pool; NULL is let pass. */
extern void bank_http_pool_destroy(BankHttpPool *pool);

/* How many requests can be started now. */
extern int	bank_http_pool_free_places(const BankHttpPool *pool);

/*
 * Starts a request; tag comes back with its reply.  What goes wrong is in the
 * reply, also when nothing could be sent.  False: no place is free.
 */
extern bool bank_http_pool_start(BankHttpPool *pool,
								 const BankHttpRequest *request, void *tag);

/*
 * Moves requests on until one is finished, or fd (unless -1) is readable, or
 * the time is over, or a signal came; at most that long.
 */
extern void bank_http_pool_wait(BankHttpPool *pool, int timeout_ms, int fd);

/*
 * Takes a finished request; NULL when none is.  The reply lasts until the next
 * call of any function on the pool.
 */
extern const BankHttpReply *bank_http_pool_take(BankHttpPool *pool, void **tag);

/* Gives up everything under way; nothing of it will be taken. */
extern void bank_http_pool_abort(BankHttpPool *pool);

#endif
