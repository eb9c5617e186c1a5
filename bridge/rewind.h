/*
 * Consumers of a topic that was made anew: their stored offsets are of records
 * that are gone, and would let them pass over new ones.
 */
#ifndef BRIDGE_REWIND_H
#define BRIDGE_REWIND_H

#include <libpq-fe.h>

#include "config.h"
#include "ends.h"
#include "role.h"

/*
 * Lets project and report begin anew with a topic that ends before where one
 * of them stands, or before what was known of it, which by then may have grown
 * beyond where they stand.  Reading a record again changes nothing.  OK, or
 * FAILED, logged, where a database does not answer.
 */
extern BridgeExit bridge_rewind_run(const BridgeConfig *config, PGconn *ledger,
									const BridgeEnds *known,
									const BridgeEnds *ends);

#endif
