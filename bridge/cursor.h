/*
 * Reads what one partition held at a given moment, record by record, and
 * knows of each where it stands in the stream of the ledger.
 *
 * Records that say no place, since something else wrote them, are passed
 * over.
 */
#ifndef BRIDGE_CURSOR_H
#define BRIDGE_CURSOR_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "ask.h"
#include "config.h"
#include "contract.h"
#include "event.h"
#include "place.h"

typedef enum BridgeCursorRead
{
	BRIDGE_CURSOR_RECORD,		/* cursor->place and the rest are its */
	BRIDGE_CURSOR_END,
	BRIDGE_CURSOR_UNKNOWN		/* Kafka did not say; logged */
} BridgeCursorRead;

typedef struct BridgeCursor
{
	rd_kafka_topic_t *topic;
	int32_t		partition;
	const BridgePulse *pulse;	/* goes on while a record is waited for */
	int64_t		first;			/* of the offsets there are */
	int64_t		end;			/* behind the last one */
	int64_t		next;			/* to be read */
	bool		reading;
	/* The record read last; its message is kept until the next one. */
	rd_kafka_message_t *message;
	int64_t		offset;
	BridgePlace place;
	char		id[BRIDGE_EVENT_ID_SIZE];	/* empty: none */
	char		account_id[BANK_UUID_SIZE]; /* empty: none */
	int64_t		version;		/* 0: none */
} BridgeCursor;

/* A client for cursors; NULL, logged, where librdkafka refuses. */
extern rd_kafka_t *bridge_cursor_client(const BridgeConfig *config);

/* The next record to be read is the one at, or first after, the offset. */
extern void bridge_cursor_seek(BridgeCursor *cursor, int64_t offset);

/* Begins to fetch, so that several are fetched together; false, logged. */
extern bool bridge_cursor_begin(BridgeCursor *cursor);

/* Reads one record; waits half a minute at most. */
extern BridgeCursorRead bridge_cursor_read(BridgeCursor *cursor);

/* Reads no more and gives back what was fetched. */
extern void bridge_cursor_stop(BridgeCursor *cursor);

#endif
