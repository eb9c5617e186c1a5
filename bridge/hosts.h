/*
 * The hosts of a connection string, resolved within a limit.
 */
#ifndef BRIDGE_HOSTS_H
#define BRIDGE_HOSTS_H

#include <stdint.h>

#include "host_list.h"

/*
 * Waits for all names, for half of the time to the deadline of
 * bridge_clock_ms where some are known, since connecting takes its time too.
 * NULL, or why there are none by the deadline, or the stop.  *list keeps what
 * was not answered in time for the next call.
 */
extern const char *bridge_hosts_find(const char *dsn, int64_t deadline,
									 BankHostList *list, BankHostTexts *texts);

#endif
