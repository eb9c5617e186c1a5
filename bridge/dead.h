/*
 * Dead letters: what a role cannot understand goes to bank.dead as it was
 * received, with the reason in headers, and is acknowledged after.
 *
 * Beside the headers it came with, a letter has bank_dead_role,
 * bank_dead_source (a topic, or the slot), bank_dead_place (partition and
 * offset, or LSN and index) and bank_dead_reason; bank_dead_size and
 * bank_dead_key_size where value or key was too long and only its beginning
 * is kept, bank_dead_headers_size where the headers were, and are left out.
 */
#ifndef BRIDGE_DEAD_H
#define BRIDGE_DEAD_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "role.h"

/* The role that could not understand a record says so in this header. */
#define BRIDGE_DEAD_HEADER_ROLE "bank_dead_role"

/* A letter of publish has its epoch here, and bank_lsn and bank_index. */
#define BRIDGE_DEAD_HEADER_EPOCH "bank_dead_epoch"

typedef struct BridgeDeadLetter
{
	BridgeRole	role;
	const char *source;
	const char *place;
	const char *reason;
	const void *key;
	size_t		key_length;
	const void *value;
	size_t		value_length;
	const rd_kafka_headers_t *headers;	/* as received; NULL: none */
} BridgeDeadLetter;

/* How much of a value a letter keeps. */
extern size_t bridge_dead_value_length(size_t length);

/*
 * Hands a letter to a producer, whose delivery report gets the opaque: for
 * publish, which counts what is in flight.
 */
extern rd_kafka_resp_err_t bridge_dead_send(rd_kafka_t *producer,
											const BridgeDeadLetter *letter,
											void *opaque);

/*
 * What the roles that read topics write their letters with: a producer made
 * for the first one and kept.  All zero but config and role has none yet.
 */
typedef struct BridgeDeadWriter
{
	const BridgeConfig *config;
	BridgeRole	role;
	rd_kafka_t *client;			/* NULL: none yet */
	int			waiting;		/* letters not yet acknowledged */
	rd_kafka_resp_err_t error;	/* why one was refused */
} BridgeDeadWriter;

/*
 * Writes a record as a letter.  False, logged, where that cannot be done; and
 * it is not done before bridge_dead_wait says so.
 */
extern bool bridge_dead_write(BridgeDeadWriter *writer,
							  const rd_kafka_message_t *message,
							  const char *reason);

/*
 * Waits some seconds for the acknowledgements of all letters.  False, logged,
 * without them: then nothing at or after the first of them may be
 * acknowledged, and they are to be written again.
 */
extern bool bridge_dead_wait(BridgeDeadWriter *writer);

/* Drops what is not acknowledged. */
extern void bridge_dead_close(BridgeDeadWriter *writer);

#endif
