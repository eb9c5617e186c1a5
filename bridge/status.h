/*
 * bank-bridge status: what a running bridge says of itself, for a person.
 */
#ifndef BRIDGE_STATUS_H
#define BRIDGE_STATUS_H

#include "config.h"

/*
 * Asks the bridge at http.address and http.port and prints its answer once,
 * or again and again on one screen until interrupted.  0 where every role
 * works, 1 where one does not or nobody answers.
 */
extern int	bridge_status_run(const BridgeConfig *config, bool watch);

#endif
