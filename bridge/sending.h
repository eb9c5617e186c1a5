/*
 * First attempts under way to BACEN: at most bacen.parallel at once.
 */
#ifndef BRIDGE_SENDING_H
#define BRIDGE_SENDING_H

#include <stdbool.h>

#include "config.h"
#include "notification.h"
#include "record.h"

/* Nothing is free for more; bacen.parallel's range ends here. */
#define BRIDGE_SENDING_MAX 256

typedef struct BridgeSending BridgeSending;

/* NULL, logged, where memory is out or the HTTP library refuses. */
extern BridgeSending *bridge_sending_create(const BridgeConfig *config);

/* Ends what is under way, without results, and frees; NULL is let pass. */
extern void bridge_sending_destroy(BridgeSending *sending);

/* How many are under way, and how many more may begin. */
extern int	bridge_sending_count(const BridgeSending *sending);
extern int	bridge_sending_room(const BridgeSending *sending);

/* Begins the first attempt; false where it could not begin. */
extern bool bridge_sending_begin(BridgeSending *sending,
								 const BridgeTransfer *transfer);

/* Waits until something ends or comes, fd is readable, or time is over. */
extern void bridge_sending_wait(BridgeSending *sending, int fd, int timeout_ms);

/* Takes the next result; false where nothing has ended. */
extern bool bridge_sending_take(BridgeSending *sending, BridgeResult *result);

#endif
