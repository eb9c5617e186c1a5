/*
 * Balances in Redis, as a backend asks for them.
 */
#ifndef BANK_CACHE_H
#define BANK_CACHE_H

#include "redis.h"

typedef enum BankCacheAnswer
{
	BANK_CACHE_FOUND,
	BANK_CACHE_ABSENT,			/* nothing usable: worth repairing */
	BANK_CACHE_AWAY				/* no Redis to ask now */
} BankCacheAnswer;

/* Reads a balance, which is set only where found; raises 57014 alone. */
extern BankCacheAnswer bank_cache_get(const char *account_id,
									  BankRedisBalance *balance);

/* Writes a balance unless Redis has a newer one; a failure is let pass. */
extern void bank_cache_repair(const BankRedisBalance *balance);

#endif
