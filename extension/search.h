/*
 * The read model of balances, in this database or another.
 */
#ifndef BANK_SEARCH_H
#define BANK_SEARCH_H

#include "redis.h"

/*
 * Reads a balance; false where there is none, and *balance is left alone.
 * Raises as remote.h says where bank.search_dsn names another database.
 */
extern bool bank_search_find(const char *account_id, BankRedisBalance *balance);

#endif
