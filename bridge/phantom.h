/*
 * What Kafka, the search database and BACEN hold and the journal does not,
 * after commits were lost: listed in bank_report.phantom.
 */
#ifndef BRIDGE_PHANTOM_H
#define BRIDGE_PHANTOM_H

#include <libpq-fe.h>
#include <stdint.h>

#include "config.h"
#include "role.h"

/*
 * Lists them, found by the epoch that begins.  The session has what Kafka
 * holds, contents included, and the view of the journal.  OK or FAILED,
 * logged.
 */
extern BridgeExit bridge_phantom_list(const BridgeConfig *config, PGconn *conn,
									  int32_t epoch);

/*
 * Whether the ledger has all that Kafka has of its last epoch: OK, FAILED, or,
 * logged, LOST.  The session has the views of the passes (resend.h).
 */
extern BridgeExit bridge_phantom_check(PGconn *conn, int32_t epoch);

#endif
