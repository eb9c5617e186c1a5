/*
 * bank-bridge rebuild: sends again from the journal what Kafka lacks, and
 * makes the slot anew where the journal was read to.
 */
#ifndef BRIDGE_REBUILD_H
#define BRIDGE_REBUILD_H

#include <stdbool.h>

#include "config.h"

/* new_epoch: after versions were lost and may be used again. */
extern int	bridge_rebuild_run(const BridgeConfig *config, bool new_epoch);

#endif
