/*
 * A session of publish with PostgreSQL: its three connections, and what must
 * be true before the stream is read.
 */
#ifndef BRIDGE_SESSION_H
#define BRIDGE_SESSION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalog.h"
#include "contract.h"
#include "position.h"
#include "producer.h"
#include "stream.h"
#include "wal.h"

/* How long a silent peer is waited for where the server does not limit it. */
#define BRIDGE_SENDER_TIMEOUT_MS 60000

typedef struct BridgeSession
{
	const BridgeConfig *config;
	BridgeProducer *producer;
	PGconn	   *sql;
	PGconn	   *sealing;		/* a step may take long, and others must not
								 * wait */
	bool		present;		/* sql says that we are at work */
	PGconn	   *presence;		/* the one before says so until then */
	BridgeWal	wal;
	BridgeWalIdentity identity;
	BridgeCatalog catalog;
	BridgePosition position;	/* what Kafka knows, or we last told it */
	BridgeStream stream;
	bool		placed;			/* the stream knows where it is */
	bool		measured;		/* the producer knows where partitions end */
	uint64_t	idle_lsn;		/* the server had nothing more up to here */
	uint64_t	confirmed_lsn;
	BridgeTailWait wait;		/* for what may be on its way at a start */
	BridgePulse pulse;			/* goes on while Kafka is asked */
	int64_t		alive_at;		/* when the server last heard of us meanwhile */
	int64_t		turned_at;		/* when the process last showed that it works */
	int64_t		active_since;	/* another one reads the slot; 0: none */
} BridgeSession;

extern void bridge_session_create(BridgeSession *session,
								  const BridgeConfig *config,
								  BridgeProducer *producer);

/*
 * Connects, checks, starts the stream.  OK; RETRY where something is not
 * there yet; else the exit code of what is wrong, logged.
 */
extern int	bridge_session_open(BridgeSession *session);

/* The position record that lsn needs before it is confirmed. */
extern void bridge_session_position(BridgeSession *session, uint64_t lsn,
									BridgePosition *position);

/*
 * Called again and again: true, logged, where the last call is as long ago as
 * the server waits.  A process that was stopped for so long has lost the slot,
 * and nothing that still is in the socket may be sent.
 */
extern bool bridge_session_stood_still(BridgeSession *session);

/* What was sent may still be on its way: the server is told so further on. */
extern void bridge_session_close(BridgeSession *session);

extern void bridge_session_free(BridgeSession *session);

#endif
