/*
 * One connection to Redis, by hiredis without blocking.
 *
 * An exchange is everything between two calls of bank_redis_link_begin: name
 * resolution, connecting, authentication, commands and their replies, all of
 * it within one timeout.  One process, one thread.
 */
#ifndef BANK_REDIS_LINK_H
#define BANK_REDIS_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "redis_url.h"
#include "resolve.h"

/* All zero but url and timeout_ms is a link never connected. */
typedef struct BankRedisLink
{
	BankRedisUrl url;
	const char *password_file;	/* read where the url has none; NULL: none */
	int			timeout_ms;
	bool		(*is_interrupted) (void);	/* NULL: nothing interrupts */
	redisContext *context;		/* NULL: not connected */
	BankResolve *question;		/* kept where it was not answered in time */
	int64_t		deadline_ms;
	char		error[256];
	bool		timed_out;		/* what the error was */
	bool		refused;		/* by the server, in words of its own */
	bool		wrong_type;
} BankRedisLink;

/* Begins an exchange. */
extern void bank_redis_link_begin(BankRedisLink *link);

/* Connects and authenticates unless connected; false where that failed. */
extern bool bank_redis_link_connect(BankRedisLink *link);

/* Adds a command to what is sent next. */
extern bool bank_redis_link_append(BankRedisLink *link, int argc,
								   const char **argv);

/*
 * Sends, and waits for the next reply, which the caller frees.  NULL after a
 * failure, an error reply among them: the connection is then closed.
 */
extern redisReply *bank_redis_link_reply(BankRedisLink *link, const char *doing);

/* One command and its reply. */
extern redisReply *bank_redis_link_command(BankRedisLink *link, int argc,
										   const char **argv);

/* Keeps the reason and closes; returns false. */
extern bool bank_redis_link_fail(BankRedisLink *link, const char *doing,
								 const char *reason);

extern void bank_redis_link_close(BankRedisLink *link);

/* Closes and lets a name server's answer be nobody's. */
extern void bank_redis_link_free(BankRedisLink *link);

#endif
