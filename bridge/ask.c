/*
 * Questions to Kafka.
 *
 * librdkafka drops an answer that comes after its caller has gone, so a try
 * lasts longer than a slow network takes; what a connection needs before is
 * done meanwhile and kept for the next try.  A call cannot be interrupted:
 * a try lasts less than a stop may.
 */
#include "ask.h"

#include <string.h>

#include "clock.h"
#include "role.h"

#define TRY_MS 6000
#define BETWEEN_MS 100

bool
bridge_ask_beat(const BridgePulse *pulse)
{
	return pulse == NULL || pulse->beat(pulse->context);
}

/* Milliseconds for the next try; 0: no more. */
static int
next_try(int64_t deadline, const BridgePulse *pulse)
{
	int64_t		left = deadline - bridge_clock_ms();

	if (left <= 0 || bridge_stop_requested() || !bridge_ask_beat(pulse))
		return 0;
	return left < TRY_MS ? (int) left : TRY_MS;
}

/* Whether Kafka has not answered yet; what it says otherwise is heard. */
static bool
is_unanswered(rd_kafka_t *client, rd_kafka_resp_err_t error)
{
	if (error != RD_KAFKA_RESP_ERR__TIMED_OUT &&
		error != RD_KAFKA_RESP_ERR__TRANSPORT)
		return false;
	rd_kafka_poll(client, 0);
	if (error == RD_KAFKA_RESP_ERR__TRANSPORT)
		bridge_stop_sleep(BETWEEN_MS);
	return true;
}

const rd_kafka_metadata_topic_t *
bridge_ask_find(const rd_kafka_metadata_t *metadata, const char *name)
{
	for (int i = 0; i < metadata->topic_cnt; i++)
		if (strcmp(metadata->topics[i].topic, name) == 0)
			return &metadata->topics[i];
	return NULL;
}

/* What was said of one topic. */
static rd_kafka_resp_err_t
find_count(const rd_kafka_metadata_t *metadata, const char *name, int *count)
{
	const rd_kafka_metadata_topic_t *topic = bridge_ask_find(metadata, name);

	*count = 0;
	if (topic == NULL)
		return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (topic->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		*count = topic->partition_cnt;
	return topic->err;
}

rd_kafka_resp_err_t
bridge_ask_count(rd_kafka_t *client, rd_kafka_topic_t *topic, int *count,
				 int timeout_ms)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, topic, &metadata,
												  timeout_ms);

	*count = 0;
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return error;
	error = find_count(metadata, rd_kafka_topic_name(topic), count);
	rd_kafka_metadata_destroy(metadata);
	return error;
}

rd_kafka_resp_err_t
bridge_ask_metadata(rd_kafka_t *client, const rd_kafka_metadata_t **metadata,
					const BridgePulse *pulse)
{
	int64_t		deadline = bridge_clock_ms() + BRIDGE_ASK_LIMIT_MS;
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	int			try_ms;

	while (is_unanswered(client, error) && (try_ms = next_try(deadline, pulse)) > 0)
		error = rd_kafka_metadata(client, 0, NULL, metadata, try_ms);
	return error;
}

rd_kafka_resp_err_t
bridge_ask_counts(rd_kafka_t *client, rd_kafka_topic_t *const *topics,
				  int *counts, int topic_count, int *wrong,
				  const BridgePulse *pulse)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t error = bridge_ask_metadata(client, &metadata, pulse);

	*wrong = 0;
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return error;
	for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < topic_count; i++)
	{
		*wrong = i;
		error = find_count(metadata, rd_kafka_topic_name(topics[i]), &counts[i]);
	}
	rd_kafka_metadata_destroy(metadata);
	return error;
}

/* In a list, a time that is none asks for an end. */
static void
set_offsets(rd_kafka_topic_partition_list_t *list, int64_t which)
{
	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = which;
}

static rd_kafka_resp_err_t
find_error(const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++)
		if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return list->elems[i].err;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t
bridge_ask_offsets(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
				   int64_t which, const BridgePulse *pulse)
{
	int64_t		deadline = bridge_clock_ms() + BRIDGE_ASK_LIMIT_MS;
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	int			try_ms;

	while (is_unanswered(client, error) && (try_ms = next_try(deadline, pulse)) > 0)
	{
		set_offsets(list, which);
		error = rd_kafka_offsets_for_times(client, list, try_ms);
	}
	return error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : find_error(list);
}
