/*
 * The stream of the slot into events: keeps the place in it, the epoch, and
 * what was sent already.
 *
 * A connection that is made again begins before what was sent; the stream
 * passes over it, so that a reconnect sends nothing twice.  What a process
 * before this one has sent is in the tail of Kafka's partitions.
 */
#ifndef BRIDGE_STREAM_H
#define BRIDGE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "database.h"
#include "event.h"
#include "journal.h"
#include "pgoutput.h"
#include "producer.h"
#include "role.h"
#include "tail.h"

/* Beside the exit codes: a new session may do better, or is to wait. */
#define BRIDGE_SESSION_RETRY (-1)
#define BRIDGE_SESSION_STALLED (-2)

typedef struct BridgeStream
{
	BridgeProducer *producer;
	BridgeTail *tail;			/* what Kafka may have; NULL: no more */
	bool		compared;		/* with all that was there at the start */
	BridgeJournal journal;
	BridgeValue received;		/* the message as it came ... */
	BridgePgoutput message;		/* ... and decoded */
	BridgeEvents events;
	int32_t		epoch;
	uint64_t	epoch_lsn;		/* where it began; 0: before the slot */
	bool		in_transaction;
	bool		repeated;		/* the transaction was sent before */
	uint64_t	commit_lsn;		/* of the transaction being read */
	char		lsn_text[BRIDGE_LSN_SIZE];
	int64_t		index;			/* of its next record */
	uint64_t	sent_lsn;		/* the last record sent, by transaction ... */
	int64_t		sent_index;		/* ... and index */
	uint64_t	done_lsn;		/* what commits before it was sent completely */
	bool		open;			/* an unfinished one is in flight */
} BridgeStream;

/*
 * Begins at the LSN before which all is known to be in Kafka: the slot may
 * bring it again, since its server was killed or will be.
 */
extern void bridge_stream_create(BridgeStream *stream, BridgeProducer *producer,
								 int32_t epoch, uint64_t epoch_lsn,
								 uint64_t done_lsn);

/* A connection begins: what was half read comes again. */
extern void bridge_stream_restart(BridgeStream *stream);

/* Where the stream goes on that begins at this LSN. */
extern BridgePlace bridge_stream_place(const BridgeStream *stream,
									   uint64_t lsn);

/*
 * Takes one message of the plugin.  OK; RETRY where Kafka does not say what
 * it has; FAILED where the stream is out of order, MISSING where a table of
 * the journal has changed, LOST where it does not follow what came before,
 * KAFKA where the producer refuses: logged with the LSN.  A message of no
 * event goes to bank.dead.
 */
extern int	bridge_stream_take(BridgeStream *stream, const char *data,
							   size_t length, uint64_t lsn);

#endif
