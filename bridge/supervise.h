/*
 * The supervisor of `bank-bridge run`.
 */
#ifndef BRIDGE_SUPERVISE_H
#define BRIDGE_SUPERVISE_H

#include "config.h"

/*
 * Runs the roles of a comma-separated list, each in a process of its own,
 * until told to stop or until one leaves with a code that ends all.  Returns
 * the exit code.
 */
extern int	bridge_supervise_run(const BridgeConfig *config, const char *roles);

#endif
