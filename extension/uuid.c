/*
 * Identifiers: time-ordered ids for rows whose caller gives none, the hash
 * that locks and routes a customer, and text for messages.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "bank.h"

/* As many as the library is asked for at once. */
#define RANDOM_IDS 64

/*
 * Sixteen random bytes, each used once.  The library's generator costs as much
 * for a page of them as for one id.
 */
static pg_uuid_t
take_random(void)
{
	static pg_uuid_t pool[RANDOM_IDS];
	static int	left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate a random identifier")));
		left = lengthof(pool);
	}
	return pool[--left];
}

/*
 * A UUIDv7 (RFC 9562): 48 bits of milliseconds and 12 of their fraction, so
 * that index inserts stay local; 46 random bits; and in the last two bytes a
 * hash of the customer, by which ids can later be routed to a shard.  Fails
 * with an error when the system has no randomness.
 */
pg_uuid_t
bank_uuid_generate(const pg_uuid_t *customer_id)
{
	pg_uuid_t	id = take_random();
	uint64		unix_us;
	uint64		unix_ms;
	uint32		fraction;
	uint16		route = (uint16) bank_uuid_hash(customer_id);

	unix_us = (uint64) (GetCurrentTimestamp() +
						(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);
	unix_ms = unix_us / 1000;
	fraction = (uint32) (unix_us % 1000) * 4096 / 1000;
	for (int i = 0; i < 6; i++)
		id.data[i] = (unsigned char) (unix_ms >> (40 - 8 * i));
	id.data[6] = 0x70 | (unsigned char) (fraction >> 8);
	id.data[7] = (unsigned char) fraction;
	id.data[8] = 0x80 | (id.data[8] & 0x3f);
	id.data[14] = (unsigned char) (route >> 8);
	id.data[15] = (unsigned char) route;
	return id;
}

/* The 64-bit hash that names a customer's lock. */
uint64
bank_uuid_hash(const pg_uuid_t *id)
{
	return hash_bytes_extended(id->data, UUID_LEN, 0);
}

/* The id as text, in the caller's memory context. */
const char *
bank_uuid_text(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

/* The order in which accounts are locked: that of the type's own operators. */
int
bank_uuid_compare(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a->data, b->data, UUID_LEN);
}
