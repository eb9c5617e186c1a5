/*
 * The host of a connection string, resolved before libpq would do it: libpq
 * waits for a silent name server without limit.
 */
#ifndef BRIDGE_HOSTS_H
#define BRIDGE_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "resolve.h"

/* For the keywords host and hostaddr; empty: as the connection string says. */
typedef struct BridgeHosts
{
	char		names[BANK_RESOLVE_LIST_SIZE];
	char		addresses[BANK_RESOLVE_LIST_SIZE];
} BridgeHosts;

/*
 * Waits until the deadline of bridge_clock_ms, or the stop.  NULL, or why
 * there are no addresses.  *question keeps what was not answered in time for
 * the next call; it begins as NULL.
 */
extern const char *bridge_hosts_find(const char *dsn, int64_t deadline,
									 BankResolve **question, BridgeHosts *hosts);

#endif
