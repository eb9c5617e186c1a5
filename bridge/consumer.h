/*
 * Reads one topic from Kafka, from offsets that the caller keeps in its own
 * database.
 *
 * All partitions are assigned to this process at once: no group decides, and
 * nobody waits for one.  Group offsets are committed for lag tools alone.
 * To go on elsewhere, close and open again.
 */
#ifndef BRIDGE_CONSUMER_H
#define BRIDGE_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>
#include <librdkafka/rdkafka.h>

#include "ask.h"
#include "config.h"
#include "metrics.h"
#include "record.h"
#include "store.h"

typedef struct BridgeConsumerSpec
{
	const BridgeConfig *config;
	const char *topic;
	const char *group;
	const BridgePulse *pulse;	/* goes on while the topic is opened; or NULL */
} BridgeConsumerSpec;

typedef enum BridgeConsumerState
{
	BRIDGE_CONSUMER_READY,
	BRIDGE_CONSUMER_UNREACHABLE,	/* no broker answers: try later */
	BRIDGE_CONSUMER_REFUSED,	/* at the open, noted (trouble.h): try later */
	BRIDGE_CONSUMER_GROWN,		/* partitions were added: open again */
	BRIDGE_CONSUMER_FAILED		/* logged; the role must end */
} BridgeConsumerState;

typedef struct BridgeConsumer BridgeConsumer;

/*
 * Begins reading at *offsets; partitions beyond offsets->count begin at
 * their beginning, and are counted in.  *consumer is set where READY.
 * Failed: an offset is not in its partition, so records were lost.
 */
extern BridgeConsumerState bridge_consumer_open(const BridgeConsumerSpec *spec,
												BridgeOffsets *offsets,
												BridgeConsumer **consumer);

/* Stops reading; NULL is let pass. */
extern void bridge_consumer_close(BridgeConsumer *consumer);

/* Readable when records may wait: to poll() on before taking them. */
extern int	bridge_consumer_fd(const BridgeConsumer *consumer);

/*
 * Takes up to max records that arrive within a few milliseconds, and looks
 * after the brokers.  Each of *count messages is the caller's to destroy.
 */
extern BridgeConsumerState bridge_consumer_take(BridgeConsumer *consumer,
												rd_kafka_message_t **messages,
												int max, int *count);

/*
 * Checks that the record's envelope is a CloudEvent of this type.  False, and
 * *problem, where it is not.
 */
extern bool bridge_consumer_check_type(const rd_kafka_message_t *message,
									   const char *type,
									   BridgeProblem *problem);

/* Tells the group's offsets to lag tools, at most once a second. */
extern void bridge_consumer_commit(BridgeConsumer *consumer,
								   const BridgeOffsets *offsets);

/*
 * Sets the two metrics: the records in Kafka at or after *offsets, and the date
 * up to which nothing waits.  While no broker answers neither is known: the
 * caller lets them be, and the age grows.
 */
extern void bridge_consumer_tell_lag(BridgeConsumer *consumer,
									 const BridgeOffsets *offsets,
									 BridgeMetric records, BridgeMetric age);

#endif
