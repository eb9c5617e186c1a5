/*
 * What a new slot waits for: every transaction that runs, or is prepared.
 */
#ifndef BRIDGE_WAITING_H
#define BRIDGE_WAITING_H

#include <libpq-fe.h>

#include "log.h"

/* Logs how many there are and which is the oldest, with a hint. */
extern void bridge_waiting_tell(PGconn *conn, BridgeLogLevel level,
								const char *hint);

#endif
