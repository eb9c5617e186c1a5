/*
 * The note of what Redis has.
 *
 * Promises:  a note that is there was written after all balances below its
 *            offsets, into the same Redis; it is replaced by comparison, so
 *            that a flush or an older state is seen by the next batch.
 * Memory:    two notes of one topic.
 */
#include "cached.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"

#define TOKEN_LENGTH 16

static void
write_note(char *note, const char *token, const BridgeOffsets *offsets)
{
	size_t		length = TOKEN_LENGTH;

	memmove(note, token, TOKEN_LENGTH);
	for (int i = 0; i < offsets->count; i++)
		length += (size_t) snprintf(note + length, BRIDGE_CACHED_SIZE - length,
									" %" PRId64, offsets->next[i]);
	note[length] = '\0';
}

static bool
is_token(const char *note)
{
	return strspn(note, "0123456789abcdef") == TOKEN_LENGTH;
}

/* False for a note that is not ours, or says more than was ever applied. */
static bool
read_note(const char *note, const BridgeOffsets *applied, BridgeOffsets *offsets)
{
	const char *rest = note + TOKEN_LENGTH;
	char	   *end;

	offsets->count = 0;
	if (!is_token(note))
		return false;
	while (*rest == ' ' && offsets->count < applied->count)
	{
		int64_t		next = strtoll(rest + 1, &end, 10);

		if (end == rest + 1 || next > applied->next[offsets->count])
			return false;
		offsets->next[offsets->count++] = next;
		rest = end;
	}
	return *rest == '\0';
}

static void
go_to_beginning(const BridgeOffsets *applied, BridgeOffsets *offsets)
{
	offsets->count = applied->count;
	for (int i = 0; i < offsets->count; i++)
		offsets->next[i] = -1;
}

static bool
begin_note(BridgeCached *cached, BankRedis *redis, const BridgeOffsets *offsets)
{
	uint64_t	number = 0;
	char		token[TOKEN_LENGTH + 1];

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return false;
	snprintf(token, sizeof(token), "%016" PRIx64, number);
	write_note(cached->note, token, offsets);
	bridge_log(BRIDGE_LOG_INFO, "redis has nothing of ours; it is filled", NULL);
	return bank_redis_swap_note(redis, NULL, cached->note) == BANK_REDIS_FOUND;
}

bool
bridge_cached_load(BridgeCached *cached, BankRedis *redis,
				   const BridgeOffsets *applied, BridgeOffsets *offsets)
{
	switch (bank_redis_get_note(redis, cached->note, sizeof(cached->note)))
	{
		case BANK_REDIS_FAILED:
			return false;
		case BANK_REDIS_FOUND:
			if (read_note(cached->note, applied, offsets))
				return true;
			break;
		case BANK_REDIS_ABSENT:
			break;
	}
	go_to_beginning(applied, offsets);
	return begin_note(cached, redis, offsets);
}

BridgeCachedState
bridge_cached_store(BridgeCached *cached, BankRedis *redis,
					const BridgeOffsets *offsets)
{
	static char note[BRIDGE_CACHED_SIZE];

	write_note(note, cached->note, offsets);
	switch (bank_redis_swap_note(redis, cached->note, note))
	{
		case BANK_REDIS_FOUND:
			memcpy(cached->note, note, sizeof(note));
			return BRIDGE_CACHED_KEPT;
		case BANK_REDIS_ABSENT:
			return BRIDGE_CACHED_LOST;
		case BANK_REDIS_FAILED:
			break;
	}
	return BRIDGE_CACHED_FAILED;
}
