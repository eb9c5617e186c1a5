/*
 * The replication connection: frames in, feedback out.  It knows positions,
 * not events.
 */
#ifndef BRIDGE_WAL_H
#define BRIDGE_WAL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct BridgeWal
{
	PGconn	   *conn;			/* NULL: not connected */
	uint64_t	received_lsn;
	bool		unsent;			/* feedback waits for the socket */
} BridgeWal;

typedef struct BridgeWalIdentity
{
	int64_t		system_identifier;
	int32_t		timeline;
} BridgeWalIdentity;

typedef enum BridgeWalStart
{
	BRIDGE_WAL_STARTED,
	BRIDGE_WAL_ACTIVE,			/* another one reads the slot */
	BRIDGE_WAL_REFUSED
} BridgeWalStart;

typedef enum BridgeWalRead
{
	BRIDGE_WAL_FRAME,
	BRIDGE_WAL_NOTHING,			/* nothing has arrived yet */
	BRIDGE_WAL_CLOSED,			/* the stream has ended; logged */
	BRIDGE_WAL_LOST				/* for want of a file of WAL; logged */
} BridgeWalRead;

/* A keepalive, or, where data is not NULL, one message of the plugin. */
typedef struct BridgeWalFrame
{
	char	   *buffer;			/* to be freed by bridge_wal_release */
	const char *data;
	size_t		length;
	uint64_t	lsn;			/* of the data, or the keepalive's end */
	bool		reply_requested;
} BridgeWalFrame;

/* False, logged, where the server cannot be reached or does not say. */
extern bool bridge_wal_connect(BridgeWal *wal, const char *dsn,
							   BridgeWalIdentity *identity);

/* Starts the stream where the slot stands. */
extern BridgeWalStart bridge_wal_start(BridgeWal *wal);

/* Reads what the socket has; the frames are taken with bridge_wal_read. */
extern bool bridge_wal_consume(BridgeWal *wal);
extern BridgeWalRead bridge_wal_read(BridgeWal *wal, BridgeWalFrame *frame);
extern void bridge_wal_release(BridgeWalFrame *frame);

/*
 * Confirms that everything up to lsn may be forgotten, and asks for an answer
 * where that is wanted.  False, logged, where the connection is gone.
 */
extern bool bridge_wal_confirm(BridgeWal *wal, uint64_t lsn, bool ask);

/* Sends what waits; false, logged, where the connection is gone. */
extern bool bridge_wal_flush(BridgeWal *wal);

/* Ends the stream politely, where it still runs. */
extern void bridge_wal_end(BridgeWal *wal);

extern void bridge_wal_close(BridgeWal *wal);

#endif
