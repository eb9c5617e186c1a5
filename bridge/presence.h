/*
 * Who is at work between the ledger and Kafka: publishers, of which the slot
 * lets one read, or one rebuild.
 *
 * Locks: an advisory lock of the ledger's database, to the end of the session;
 * publishers share it, rebuild has it alone.
 */
#ifndef BRIDGE_PRESENCE_H
#define BRIDGE_PRESENCE_H

#include <libpq-fe.h>

typedef enum BridgePresence
{
	BRIDGE_PRESENCE_TAKEN,
	BRIDGE_PRESENCE_BUSY,
	BRIDGE_PRESENCE_UNKNOWN		/* the server did not say; logged */
} BridgePresence;

extern BridgePresence bridge_presence_share(PGconn *conn);

/* Waits some seconds; names in the log who is at work. */
extern BridgePresence bridge_presence_alone(PGconn *conn);

#endif
