/*
 * What all roles share of librdkafka: the configuration of a client, its log
 * lines, and the topics.
 */
#ifndef BRIDGE_KAFKA_H
#define BRIDGE_KAFKA_H

#include <stdbool.h>
#include <librdkafka/rdkafka.h>

#include "config.h"

/*
 * A client's configuration: our defaults, then the kafka.* settings.  Log
 * lines of librdkafka become ours, and its errors trouble (trouble.h).  The
 * caller adds what its role needs and gives it to rd_kafka_new.  NULL, logged,
 * where a property is refused.
 */
extern rd_kafka_conf_t *bridge_kafka_conf(const BridgeConfig *config);

/* The same for a producer, with the defaults of sending. */
extern rd_kafka_conf_t *bridge_kafka_producer_conf(const BridgeConfig *config);

/* Sets one property; false, logged, where librdkafka refuses it. */
extern bool bridge_kafka_set(rd_kafka_conf_t *conf, const char *name,
							 const char *value);

/*
 * Makes a client out of conf, which is consumed in any case.  NULL, logged,
 * where librdkafka refuses.
 */
extern rd_kafka_t *bridge_kafka_client(rd_kafka_type_t type,
									   rd_kafka_conf_t *conf);

/* The properties roles rely on, which the configuration may not set. */
extern bool bridge_kafka_reserved(const char *name);

/* One record; headers may be NULL. */
typedef struct BridgeKafkaRecord
{
	const char *topic;
	int32_t		partition;		/* RD_KAFKA_PARTITION_UA: by its key */
	const void *key;
	size_t		key_length;
	const void *value;
	size_t		value_length;
	const rd_kafka_headers_t *headers;
} BridgeKafkaRecord;

/* Hands a record to a producer, whose delivery report gets the opaque. */
extern rd_kafka_resp_err_t bridge_kafka_send(rd_kafka_t *producer,
											 const BridgeKafkaRecord *record,
											 void *opaque);

/*
 * Writes one record by a producer of its own, and waits half a minute for the
 * acknowledgement; false, logged, without it.
 */
extern bool bridge_kafka_write(const BridgeConfig *config,
							   const BridgeKafkaRecord *record);

/*
 * Makes the topics that do not exist and keeps those that do, and waits until
 * all have leaders; each takes at most timeout_ms.  False, logged, where a
 * topic could not be made.
 */
extern bool bridge_kafka_create_topics(const BridgeConfig *config,
									   int timeout_ms);

#endif
