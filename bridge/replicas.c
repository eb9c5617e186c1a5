/*
 * Replicas in sync, and the brokers' settings of them.
 */
#include "replicas.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "role.h"

#define SLICE_MS 200
#define ERROR_SIZE 256

/* Of a broker that does not tell it: what Kafka has where nobody set it. */
#define ASSUMED_LAG_MS 30000

#define LAG_SETTING "replica.lag.time.max.ms"
#define LEAST_SETTING "min.insync.replicas"

#define RESOURCES (BRIDGE_REPLICAS_TOPICS + 1)

/* In whatever order the replicas are listed. */
static uint64_t
digest_partition(const rd_kafka_metadata_partition_t *partition)
{
	uint64_t	sum = (uint64_t) partition->leader + 1;

	for (int i = 0; i < partition->isr_cnt; i++)
		sum += UINT64_C(0x9E3779B97F4A7C15) * (uint64_t) (partition->isrs[i] + 2);
	return sum;
}

/* A topic whose wish is not known is taken for one that wants more. */
static void
look_at_partition(BridgeReplicas *replicas, int topic,
				  const rd_kafka_metadata_partition_t *partition)
{
	int			least = replicas->least[topic];

	/* A topic that wants more than it has is content with all. */
	if (least > partition->replica_cnt)
		least = partition->replica_cnt;
	replicas->digest = replicas->digest * 31 + digest_partition(partition);
	if (partition->replica_cnt <= 1)
		return;
	replicas->exist = true;
	if (partition->isr_cnt < least)
		replicas->lack = true;
	if (partition->isr_cnt > 1 || least == 0)
		replicas->hide = true;
}

static rd_kafka_resp_err_t
look_at_topics(BridgeReplicas *replicas, rd_kafka_topic_t *const *topics,
			   const rd_kafka_metadata_t *metadata, int *wrong)
{
	replicas->exist = replicas->hide = replicas->lack = false;
	replicas->digest = 0;
	for (int t = 0; t < BRIDGE_REPLICAS_TOPICS; t++)
	{
		const rd_kafka_metadata_topic_t *topic =
		bridge_ask_find(metadata, rd_kafka_topic_name(topics[t]));

		*wrong = t;
		if (topic == NULL)
			return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return topic->err;
		for (int p = 0; p < topic->partition_cnt; p++)
			look_at_partition(replicas, t, &topic->partitions[p]);
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What says that a broker will not tell, however often it is asked. */
static bool
is_refusal(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
		error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
		error == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION ||
		error == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
}

static int
find_topic(rd_kafka_topic_t *const *topics, const char *name)
{
	int			t = BRIDGE_REPLICAS_TOPICS - 1;

	while (t >= 0 && strcmp(rd_kafka_topic_name(topics[t]), name) != 0)
		t--;
	return t;
}

static int64_t
setting(const rd_kafka_ConfigResource_t *resource, const char *name)
{
	size_t		count;
	const rd_kafka_ConfigEntry_t **entries =
	rd_kafka_ConfigResource_configs(resource, &count);

	for (size_t i = 0; i < count; i++)
	{
		const char *value = rd_kafka_ConfigEntry_value(entries[i]);

		if (value != NULL && strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
			return strtoll(value, NULL, 10);
	}
	return 0;
}

/* Takes one answer; of several brokers' times the longest counts. */
static void
take_settings(BridgeReplicas *replicas, rd_kafka_topic_t *const *topics,
			  const rd_kafka_ConfigResource_t *resource)
{
	int64_t		lag_ms;
	int			t;

	if (rd_kafka_ConfigResource_type(resource) == RD_KAFKA_RESOURCE_BROKER)
	{
		lag_ms = setting(resource, LAG_SETTING);
		if (lag_ms > replicas->lag_ms)
			replicas->lag_ms = lag_ms;
		return;
	}
	t = find_topic(topics, rd_kafka_ConfigResource_name(resource));
	if (t >= 0)
		replicas->least[t] = (int) setting(resource, LEAST_SETTING);
}

static rd_kafka_resp_err_t
judge_answer(BridgeReplicas *replicas, rd_kafka_topic_t *const *topics,
			 rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t error = rd_kafka_event_error(event);
	const rd_kafka_ConfigResource_t **resources;
	size_t		count;

	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return error;
	resources = rd_kafka_DescribeConfigs_result_resources
		(rd_kafka_event_DescribeConfigs_result(event), &count);
	for (size_t i = 0; i < count; i++)
	{
		rd_kafka_resp_err_t wrong = rd_kafka_ConfigResource_error(resources[i]);

		if (wrong == RD_KAFKA_RESP_ERR_NO_ERROR)
			take_settings(replicas, topics, resources[i]);
		else if (error == RD_KAFKA_RESP_ERR_NO_ERROR || is_refusal(error))
			error = wrong;
	}
	return error;
}

/* The answer, or NULL where it does not come, or is no longer wanted. */
static rd_kafka_event_t *
await(rd_kafka_queue_t *queue, const BridgePulse *pulse)
{
	int64_t		deadline = bridge_clock_ms() + BRIDGE_ASK_LIMIT_MS;
	rd_kafka_event_t *event = NULL;

	while (event == NULL && bridge_clock_ms() < deadline &&
		   !bridge_stop_requested() && bridge_ask_beat(pulse))
		event = rd_kafka_queue_poll(queue, SLICE_MS);
	return event;
}

/* A broker is asked for its own settings, and so for the topics' beside them. */
static rd_kafka_resp_err_t
ask_broker(rd_kafka_t *client, rd_kafka_topic_t *const *topics, int32_t broker,
		   BridgeReplicas *replicas, const BridgePulse *pulse)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_AdminOptions_t *options =
	rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_ConfigResource_t *resources[RESOURCES];
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_event_t *event;
	char		text[ERROR_SIZE];

	snprintf(text, sizeof(text), "%" PRId32, broker);
	resources[0] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, text);
	for (int t = 0; t < BRIDGE_REPLICAS_TOPICS; t++)
		resources[t + 1] = rd_kafka_ConfigResource_new
			(RD_KAFKA_RESOURCE_TOPIC, rd_kafka_topic_name(topics[t]));
	rd_kafka_AdminOptions_set_request_timeout(options, BRIDGE_ASK_LIMIT_MS,
											  text, sizeof(text));
	rd_kafka_DescribeConfigs(client, resources, RESOURCES, options, queue);
	event = await(queue, pulse);
	if (event != NULL)
	{
		error = judge_answer(replicas, topics, event);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_ConfigResource_destroy_array(resources, RESOURCES);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return error;
}

static bool
leads(int32_t broker, const rd_kafka_metadata_t *metadata)
{
	for (int t = 0; t < metadata->topic_cnt; t++)
		for (int p = 0; p < metadata->topics[t].partition_cnt; p++)
			if (metadata->topics[t].partitions[p].leader == broker)
				return true;
	return false;
}

static void
assume(BridgeReplicas *replicas, rd_kafka_resp_err_t error)
{
	if (replicas->lag_ms < ASSUMED_LAG_MS)
		replicas->lag_ms = ASSUMED_LAG_MS;
	bridge_log(BRIDGE_LOG_WARNING, "kafka does not tell its settings",
			   "error=%s assumed_" LAG_SETTING "=%" PRId64 " hint=%s",
			   error != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(error) :
			   "there is no " LAG_SETTING, replicas->lag_ms,
			   "Let the bridge's user describe the configuration of the cluster"
			   " and of topics bank.*.");
}

/* Asks those that lead, since they decide who is in sync. */
static rd_kafka_resp_err_t
ask_settings(rd_kafka_t *client, rd_kafka_topic_t *const *topics,
			 const rd_kafka_metadata_t *metadata, BridgeReplicas *replicas,
			 const BridgePulse *pulse)
{
	rd_kafka_resp_err_t refused = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; i < metadata->broker_cnt; i++)
	{
		int32_t		broker = metadata->brokers[i].id;
		rd_kafka_resp_err_t error;

		if (!leads(broker, metadata))
			continue;
		error = ask_broker(client, topics, broker, replicas, pulse);
		if (is_refusal(error))
			refused = error;
		else if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
			return error;
	}
	if (refused != RD_KAFKA_RESP_ERR_NO_ERROR || replicas->lag_ms == 0)
		assume(replicas, refused);
	replicas->asked = true;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t
bridge_replicas_ask(rd_kafka_t *client, rd_kafka_topic_t *const *topics,
					BridgeReplicas *replicas, int *wrong,
					const BridgePulse *pulse)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t error = bridge_ask_metadata(client, &metadata, pulse);

	*wrong = 0;
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return error;
	error = look_at_topics(replicas, topics, metadata, wrong);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR && replicas->exist && !replicas->asked)
	{
		error = ask_settings(client, topics, metadata, replicas, pulse);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			error = look_at_topics(replicas, topics, metadata, wrong);
	}
	rd_kafka_metadata_destroy(metadata);
	return error;
}

/* A leader looks at its replicas in each half of that time. */
int64_t
bridge_replicas_hide_ms(const BridgeReplicas *replicas)
{
	return replicas->hide ? replicas->lag_ms * 3 / 2 : 0;
}
