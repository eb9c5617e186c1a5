/*
 * The Kafka producer of publish: sends events, counts what is in flight, and
 * keeps the position record ahead of what is confirmed.
 *
 * Promises: never blocks and never drops; memory is bounded by the number of
 * records in flight.
 */
#ifndef BRIDGE_PRODUCER_H
#define BRIDGE_PRODUCER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "ends.h"
#include "event.h"
#include "inflight.h"
#include "place.h"
#include "position.h"
#include "role.h"

/* The topics of events, bank.dead and bank.bridge. */
#define BRIDGE_PRODUCER_TOPICS (BRIDGE_EVENT_TOPICS + 2)

/* The largest of the records refused together, which is the one to name. */
typedef struct BridgeRefusal
{
	rd_kafka_resp_err_t error;	/* 0: nothing was refused */
	size_t		length;
	char		topic[32];
	char		id[BRIDGE_EVENT_ID_SIZE];
} BridgeRefusal;

typedef struct BridgeProducer
{
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_t *topics[BRIDGE_PRODUCER_TOPICS];
	int			wakeup[2];		/* librdkafka writes to the second */
	BridgeInflight inflight;
	int64_t		queued;			/* bytes of values not acknowledged */
	char		source[80];		/* ce_source */
	uint64_t	recorded_lsn;	/* the acknowledged position record */
	uint64_t	recording_lsn;	/* the one on its way; 0: none */
	int64_t		recorded_offset;	/* where that stands; -1: none was written */
	int64_t		progress_at;	/* last acknowledgement, or begin of waiting */
	BridgeEnds	ends;			/* of what is acknowledged */
	bool		met_foreign;	/* records of somebody else, which is logged */
	BridgeRefusal refusal;
	BridgeExit	code;			/* to leave the process with where it failed */
	bool		is_fatal;		/* librdkafka sends no more */
	bool		failed;			/* logged; the process must be left */
} BridgeProducer;

/* False, logged, where librdkafka refuses. */
extern bool bridge_producer_create(BridgeProducer *producer,
								   const BridgeConfig *config);

/* Drops what was not sent. */
extern void bridge_producer_free(BridgeProducer *producer);

/* Readable when there is something to serve. */
extern int	bridge_producer_fd(const BridgeProducer *producer);

/* Takes the acknowledgements that have arrived. */
extern void bridge_producer_serve(BridgeProducer *producer);

/* The events of one more row fit. */
extern bool bridge_producer_has_room(const BridgeProducer *producer);

/* Something was sent and is not yet acknowledged. */
extern bool bridge_producer_is_waiting(const BridgeProducer *producer);

/*
 * Sends one event of the open transaction; the caller has seen that there is
 * room.  False, logged, where librdkafka refuses it for good.
 */
extern bool bridge_producer_send(BridgeProducer *producer,
								 const BridgeEvent *event,
								 const char *lsn, int64_t index);

/*
 * The same for what makes no event, as a dead letter: what was received, and
 * why it is none.
 */
extern bool bridge_producer_bury(BridgeProducer *producer,
								 const BridgeValue *received,
								 const char *reason, const char *lsn,
								 const BridgePlace *place);

/* Sends the position record; none may be on its way. */
extern bool bridge_producer_record(BridgeProducer *producer,
								   const BridgePosition *position);

/*
 * The same as the last word, behind the one that was written last; nothing may
 * be on its way, and nothing is sent behind it.
 */
extern bool bridge_producer_end(BridgeProducer *producer,
								const BridgePosition *position);

#endif
