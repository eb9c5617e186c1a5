/*
 * Balances in Redis: one hash per account, read whole, and written only where
 * what is there is not newer.
 *
 * A BankRedis is a connection that makes itself again: every call connects
 * where needed, so a caller has nothing to do after a failure but to call
 * again when it pleases.  One process, one thread.  The process must ignore
 * SIGPIPE.
 */
#ifndef BANK_REDIS_H
#define BANK_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract.h"
#include "text.h"

/* The hash bank:balance:<account_id>; money in minor units. */
typedef struct BankRedisBalance
{
	char		account_id[BANK_UUID_SIZE];
	char		customer_id[BANK_UUID_SIZE];	/* empty: settlement */
	char		currency[4];
	char		status[16];
	char		updated_at[BANK_TIME_SIZE];
	int64_t		balance;
	int64_t		held;
	int64_t		version;
	int32_t		epoch;
} BankRedisBalance;

typedef enum BankRedisAnswer
{
	BANK_REDIS_FOUND,
	BANK_REDIS_ABSENT,			/* also where fields are missing or garbage */
	BANK_REDIS_FAILED			/* bank_redis_error says why */
} BankRedisAnswer;

typedef struct BankRedis BankRedis;

/*
 * Prepares a connection without making it: url as in redis_url.h, the timeout
 * of each call, connecting and all answers included.  NULL, and *problem a
 * fixed text, where the url is wrong or memory is out.
 */
extern BankRedis *bank_redis_create(const char *url, int timeout_ms,
									const char **problem);

/* Closes and frees; NULL is let pass. */
extern void bank_redis_destroy(BankRedis *redis);

/*
 * Names the file whose first line is the password, where the url has none.
 * The path must last as long as the connection.
 */
extern void bank_redis_set_password_file(BankRedis *redis, const char *path);

/* Lets each call fail soon after this function says so. */
extern void bank_redis_interrupt(BankRedis *redis, bool (*is_interrupted) (void));

/* Connects unless connected; false where that failed. */
extern bool bank_redis_connect(BankRedis *redis);

/* Reads one balance into *balance, which is set only where found. */
extern BankRedisAnswer bank_redis_get(BankRedis *redis, const char *account_id,
									  BankRedisBalance *balance);

/*
 * Writes each balance unless Redis holds a newer (epoch, version) of it; an
 * equal one is written again.  The timeout is that of every 128 of them.
 * True: Redis answered for every one.
 * False: any of them may or may not be written; all may be put again.
 */
extern bool bank_redis_put(BankRedis *redis, const BankRedisBalance *balances,
						   int count);

/*
 * Writes a balance that a reader has found elsewhere, unless Redis holds it
 * or a newer one.  It may be older than one that Redis has evicted since, so
 * it lasts a minute.  Answers as bank_redis_put does.
 */
extern bool bank_redis_repair(BankRedis *redis, const BankRedisBalance *balance);

/*
 * Reads the note of whoever fills this Redis, a text.  Absent also where
 * something else is in its place, or it does not fit.
 */
extern BankRedisAnswer bank_redis_get_note(BankRedis *redis, char *note,
										   size_t size);

/*
 * Writes the note where the old one is still there, over the connection that
 * is kept, and no new one; old NULL: in any case.  Found: it is written.
 * Absent: another one is there, or none.
 */
extern BankRedisAnswer bank_redis_swap_note(BankRedis *redis, const char *old,
											const char *note);

/* The last call failed since the server answered that it will not. */
extern bool bank_redis_refused(const BankRedis *redis);

/* Why the last call failed, one line without secrets; empty before that. */
extern const char *bank_redis_error(const BankRedis *redis);

#endif
