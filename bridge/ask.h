/*
 * Questions to Kafka that are asked at a start: of many partitions at once,
 * and again until a slow network has brought the answer.
 */
#ifndef BRIDGE_ASK_H
#define BRIDGE_ASK_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

/* How long Kafka may take for an answer, as for a packet (kafka.c). */
#define BRIDGE_ASK_LIMIT_MS 30000

/*
 * What must go on while Kafka is asked, every few seconds.  beat is false
 * where the answer is no longer wanted.
 */
typedef struct BridgePulse
{
	bool		(*beat) (void *context);
	void	   *context;
} BridgePulse;

/* Beats, where pulse is not NULL; false where the answer is no longer wanted. */
extern bool bridge_ask_beat(const BridgePulse *pulse);

/*
 * What the brokers say of all topics the client has handles of; to be given
 * back by rd_kafka_metadata_destroy, where there is no error.
 */
extern rd_kafka_resp_err_t bridge_ask_metadata(rd_kafka_t *client,
											   const rd_kafka_metadata_t **metadata,
											   const BridgePulse *pulse);

/* What they say of one; NULL: nothing. */
extern const rd_kafka_metadata_topic_t *bridge_ask_find(const rd_kafka_metadata_t *metadata,
														const char *name);

/*
 * How many partitions topics have, of which the client has handles.  What
 * the brokers, or the client, say against one of them, whose number is *wrong.
 */
extern rd_kafka_resp_err_t bridge_ask_counts(rd_kafka_t *client,
											 rd_kafka_topic_t *const *topics,
											 int *counts, int topic_count,
											 int *wrong, const BridgePulse *pulse);

/* The same of one topic, asked once. */
extern rd_kafka_resp_err_t bridge_ask_count(rd_kafka_t *client,
											rd_kafka_topic_t *topic, int *count,
											int timeout_ms);

/*
 * Where all partitions of a list begin, or end: which is
 * RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END.  What the brokers, or the
 * client, say against one of them.
 */
extern rd_kafka_resp_err_t bridge_ask_offsets(rd_kafka_t *client,
											  rd_kafka_topic_partition_list_t *list,
											  int64_t which,
											  const BridgePulse *pulse);

#endif
