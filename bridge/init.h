/*
 * The command `bank-bridge init`.
 */
#ifndef BRIDGE_INIT_H
#define BRIDGE_INIT_H

#include "config.h"

/*
 * Prepares both databases, the publication, the slot, the topics and the
 * first position record; what exists is kept.  Returns the exit code.
 */
extern int	bridge_init_run(const BridgeConfig *config);

#endif
