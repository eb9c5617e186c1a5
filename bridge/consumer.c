/*
 * Reads one topic from Kafka, by librdkafka without a group.
 *
 * Promises:  nothing is skipped: an offset that the broker no longer has, or
 *            does not give, ends the role (BRIDGE_CONSUMER_FAILED).
 * Memory:    fetched records wait in a queue bounded by queue_limits.
 */
#include "consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ask.h"
#include "clock.h"
#include "kafka.h"
#include "log.h"
#include "role.h"
#include "trouble.h"

#define BATCH_WAIT_MS 3
#define METADATA_TIMEOUT_MS 6000
#define CLOSE_TIMEOUT_MS 500
#define METADATA_PERIOD_MS 10000
#define METADATA_PERIOD_DOWN_MS 1000
#define COMMIT_PERIOD_MS 1000

struct BridgeConsumer
{
	BridgeConsumerSpec spec;
	rd_kafka_t *client;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	int			event_fd;
	int			partitions;
	bool		unreachable;
	bool		failed;			/* a partition cannot be read any more */
	int64_t		next_metadata_ms;
	int64_t		next_commit_ms;
	int64_t		newest_ms;		/* when the last record taken was written */
	int64_t		caught_up_ms;	/* when nothing waited last; 0: not yet */
	BridgeOffsets committed;
};

typedef struct Property
{
	const char *name;
	const char *value;
} Property;

/* What the role relies on, and limits that keep the process small. */
static const Property properties[] = {
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"auto.offset.reset", "error"},
	{"isolation.level", "read_committed"},
	{"enable.partition.eof", "false"},
	{"queued.min.messages", "10000"},
	{"queued.max.messages.kbytes", "1024"},
	{"message.max.bytes", "262144"},	/* the next may not be less */
	{"fetch.max.bytes", "262144"},
	{"max.partition.fetch.bytes", "262144"},
	{"socket.timeout.ms", "300000"},	/* for as much by a line of 1 kB/s */
	{"fetch.error.backoff.ms", "100"},
	{NULL, NULL}
};

static void
note_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
	BridgeConsumer *consumer = opaque;

	(void) client;
	if (bridge_trouble_note((rd_kafka_resp_err_t) error, consumer->spec.topic))
	{
		consumer->next_metadata_ms = 0;
		return;
	}
	bridge_log(BRIDGE_LOG_WARNING, "kafka reports an error", "error=%s reason=%s",
			   rd_kafka_err2name(error), reason);
	if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
	{
		consumer->unreachable = true;
		consumer->next_metadata_ms = 0;
	}
}

static bool
create_client(BridgeConsumer *consumer)
{
	rd_kafka_conf_t *conf = bridge_kafka_conf(consumer->spec.config);

	if (conf == NULL)
		return false;
	rd_kafka_conf_set_opaque(conf, consumer);
	rd_kafka_conf_set_error_cb(conf, note_error);
	if (!bridge_kafka_set(conf, "group.id", consumer->spec.group))
	{
		rd_kafka_conf_destroy(conf);
		return false;
	}
	for (const Property *p = properties; p->name != NULL; p++)
	{
		if (!bridge_kafka_set(conf, p->name, p->value))
		{
			rd_kafka_conf_destroy(conf);
			return false;
		}
	}
	consumer->client = bridge_kafka_client(RD_KAFKA_CONSUMER, conf);
	return consumer->client != NULL;
}

static bool
create_queue(BridgeConsumer *consumer)
{
	rd_kafka_poll_set_consumer(consumer->client);
	consumer->topic = rd_kafka_topic_new(consumer->client,
										 consumer->spec.topic, NULL);
	consumer->queue = rd_kafka_queue_get_consumer(consumer->client);
	consumer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (consumer->topic == NULL || consumer->queue == NULL ||
		consumer->event_fd < 0)
		return false;
	rd_kafka_queue_io_event_enable(consumer->queue, consumer->event_fd,
								   "\1\0\0\0\0\0\0\0", 8);
	return true;
}

/* What the answer says; what refuses it is noted. */
static BridgeConsumerState
judge_count(const BridgeConsumer *consumer, rd_kafka_resp_err_t error, int count)
{
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR && count > 0)
		return BRIDGE_CONSUMER_READY;
	return bridge_trouble_note(error, consumer->spec.topic) ?
		BRIDGE_CONSUMER_REFUSED : BRIDGE_CONSUMER_UNREACHABLE;
}

/* Asks once how many partitions there are. */
static BridgeConsumerState
count_partitions(const BridgeConsumer *consumer, int timeout_ms, int *count)
{
	rd_kafka_resp_err_t error = bridge_ask_count(consumer->client, consumer->topic,
												 count, timeout_ms);

	return judge_count(consumer, error, *count);
}

/*
 * Goes on while the topic is opened: errors wait for a call, and what they
 * say tells more than that none answered.
 */
static bool
hear_errors(void *context)
{
	BridgeConsumer *consumer = context;
	rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->client, 0);

	if (message != NULL)
		rd_kafka_message_destroy(message);
	return !consumer->unreachable && bridge_ask_beat(consumer->spec.pulse);
}

/* Asks, as often as a slow network needs. */
static BridgeConsumerState
ask_count(BridgeConsumer *consumer, const BridgePulse *pulse)
{
	int			wrong;
	rd_kafka_resp_err_t error = bridge_ask_counts(consumer->client, &consumer->topic,
												  &consumer->partitions, 1, &wrong,
												  pulse);

	return judge_count(consumer, error, consumer->partitions);
}

/*
 * A stored offset must lie between the first record and the end.  Where none is
 * stored, that of the first record is, with the others: so it is noticed later
 * when records of this partition were deleted that nobody has read.
 */
static BridgeConsumerState
check_offset(const BridgeConsumer *consumer, int partition, int64_t first,
			 int64_t end, int64_t *next)
{
	if (*next < 0)
		*next = first;
	if (*next >= first && *next <= end)
		return BRIDGE_CONSUMER_READY;
	bridge_log(BRIDGE_LOG_ERROR, "stored offset is not in the partition: records"
			   " were deleted or the topic was made anew",
			   "topic=%s partition=%d offset=%" PRId64 " first=%" PRId64
			   " end=%" PRId64, consumer->spec.topic, partition, *next, first,
			   end);
	return BRIDGE_CONSUMER_FAILED;
}

/* All partitions of the topic, in their order. */
static rd_kafka_topic_partition_list_t *
list_partitions(const BridgeConsumer *consumer, int count)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);

	for (int i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, consumer->spec.topic, i);
	return list;
}

static BridgeConsumerState
check_offsets(const BridgeConsumer *consumer, BridgeOffsets *offsets,
			  const BridgePulse *pulse)
{
	rd_kafka_topic_partition_list_t *firsts = list_partitions(consumer, offsets->count);
	rd_kafka_topic_partition_list_t *ends = list_partitions(consumer, offsets->count);
	BridgeConsumerState state = BRIDGE_CONSUMER_READY;

	if (bridge_ask_offsets(consumer->client, firsts, RD_KAFKA_OFFSET_BEGINNING, pulse) ||
		bridge_ask_offsets(consumer->client, ends, RD_KAFKA_OFFSET_END, pulse))
		state = BRIDGE_CONSUMER_UNREACHABLE;
	for (int i = 0; state == BRIDGE_CONSUMER_READY && i < offsets->count; i++)
		state = check_offset(consumer, i, firsts->elems[i].offset,
							 ends->elems[i].offset, &offsets->next[i]);
	rd_kafka_topic_partition_list_destroy(firsts);
	rd_kafka_topic_partition_list_destroy(ends);
	return state;
}

static BridgeConsumerState
fit_offsets(BridgeConsumer *consumer, BridgeOffsets *offsets)
{
	int			count = consumer->partitions;

	if (count > BRIDGE_PARTITIONS_MAX || count < offsets->count)
	{
		bridge_log(BRIDGE_LOG_ERROR, "topic has an unexpected number of"
				   " partitions", "topic=%s partitions=%d stored=%d",
				   consumer->spec.topic, count, offsets->count);
		return BRIDGE_CONSUMER_FAILED;
	}
	while (offsets->count < count)
		offsets->next[offsets->count++] = -1;
	return BRIDGE_CONSUMER_READY;
}

static bool
assign(BridgeConsumer *consumer, const BridgeOffsets *offsets)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t error;

	list = rd_kafka_topic_partition_list_new(offsets->count);
	for (int i = 0; i < offsets->count; i++)
	{
		rd_kafka_topic_partition_t *place;

		place = rd_kafka_topic_partition_list_add(list, consumer->spec.topic, i);
		place->offset = offsets->next[i];
	}
	error = rd_kafka_assign(consumer->client, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	bridge_log(BRIDGE_LOG_ERROR, "cannot assign partitions", "topic=%s error=%s",
			   consumer->spec.topic, rd_kafka_err2name(error));
	return false;
}

static BridgeConsumerState
open_partitions(BridgeConsumer *consumer, BridgeOffsets *offsets)
{
	const BridgePulse pulse = {hear_errors, consumer};
	BridgeConsumerState state;

	if (!create_client(consumer) || !create_queue(consumer))
		return BRIDGE_CONSUMER_FAILED;
	state = ask_count(consumer, &pulse);
	if (state == BRIDGE_CONSUMER_READY)
		state = fit_offsets(consumer, offsets);
	if (state == BRIDGE_CONSUMER_READY)
		state = check_offsets(consumer, offsets, &pulse);
	if (state == BRIDGE_CONSUMER_READY && !assign(consumer, offsets))
		state = BRIDGE_CONSUMER_FAILED;
	return state;
}

BridgeConsumerState
bridge_consumer_open(const BridgeConsumerSpec *spec, BridgeOffsets *offsets,
					 BridgeConsumer **consumer)
{
	BridgeConsumer *opened = calloc(1, sizeof(BridgeConsumer));
	BridgeConsumerState state;

	if (opened == NULL)
		return BRIDGE_CONSUMER_UNREACHABLE;
	opened->spec = *spec;
	opened->event_fd = -1;
	state = open_partitions(opened, offsets);
	opened->next_metadata_ms = bridge_clock_ms() + METADATA_PERIOD_MS;
	if (state == BRIDGE_CONSUMER_READY)
	{
		bridge_trouble_end();
		*consumer = opened;
	}
	else
		bridge_consumer_close(opened);
	return state;
}

static bool
brokers_answer(const BridgeConsumer *consumer)
{
	int			count;

	return !consumer->unreachable && consumer->topic != NULL &&
		count_partitions(consumer, CLOSE_TIMEOUT_MS,
						 &count) == BRIDGE_CONSUMER_READY;
}

/*
 * A client waits for brokers that are silent longer than a stop may last, and
 * for ever for a topic it read that is gone; the process that ends gives back
 * what it holds.
 */
void
bridge_consumer_close(BridgeConsumer *consumer)
{
	if (consumer == NULL)
		return;
	if (consumer->failed || (bridge_stop_requested() && !brokers_answer(consumer)))
		return;
	if (consumer->queue != NULL)
	{
		rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(consumer->queue);
	}
	if (consumer->topic != NULL)
		rd_kafka_topic_destroy(consumer->topic);
	if (consumer->client != NULL)
		rd_kafka_destroy_flags(consumer->client,
							   RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	if (consumer->event_fd >= 0)
		close(consumer->event_fd);
	free(consumer);
}

int
bridge_consumer_fd(const BridgeConsumer *consumer)
{
	return consumer->event_fd;
}

/* Asks for the partitions now and then, and oftener while no broker answers. */
static BridgeConsumerState
look_after(BridgeConsumer *consumer)
{
	BridgeConsumerState state;
	int			count = 0;

	if (bridge_clock_ms() < consumer->next_metadata_ms)
		return BRIDGE_CONSUMER_READY;
	state = count_partitions(consumer, METADATA_TIMEOUT_MS, &count);
	consumer->unreachable = state == BRIDGE_CONSUMER_UNREACHABLE;
	consumer->next_metadata_ms = bridge_clock_ms() +
		(consumer->unreachable ? METADATA_PERIOD_DOWN_MS : METADATA_PERIOD_MS);
	if (state == BRIDGE_CONSUMER_READY)
		bridge_trouble_end();
	if (state == BRIDGE_CONSUMER_REFUSED)
		return BRIDGE_CONSUMER_FAILED;
	return count > consumer->partitions ? BRIDGE_CONSUMER_GROWN :
		BRIDGE_CONSUMER_READY;
}

/* Whatever comes as an error in place of a record is final. */
static BridgeConsumerState
find_error(const BridgeConsumer *consumer, rd_kafka_message_t **messages,
		   int count)
{
	for (int i = 0; i < count; i++)
	{
		if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			continue;
		bridge_log(BRIDGE_LOG_ERROR, "partition cannot be read",
				   "topic=%s partition=%" PRId32 " offset=%" PRId64
				   " error=%s reason=%s hint=%s", consumer->spec.topic,
				   messages[i]->partition, messages[i]->offset,
				   rd_kafka_err2name(messages[i]->err),
				   rd_kafka_message_errstr(messages[i]),
				   bridge_trouble_hint(messages[i]->err));
		bridge_trouble_note(messages[i]->err, consumer->spec.topic);
		return BRIDGE_CONSUMER_FAILED;
	}
	return BRIDGE_CONSUMER_READY;
}

static void
note_time(BridgeConsumer *consumer, const rd_kafka_message_t *message)
{
	rd_kafka_timestamp_type_t type;
	int64_t		written_ms = rd_kafka_message_timestamp(message, &type);

	if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
		consumer->newest_ms = written_ms;
}

BridgeConsumerState
bridge_consumer_take(BridgeConsumer *consumer, rd_kafka_message_t **messages,
					 int max, int *count)
{
	uint64_t	events;
	BridgeConsumerState state;
	ssize_t		taken;

	if (read(consumer->event_fd, &events, sizeof(events)) < 0)
		events = 0;
	taken = rd_kafka_consume_batch_queue(consumer->queue, BATCH_WAIT_MS,
										 messages, (size_t) max);
	*count = taken < 0 ? 0 : (int) taken;
	if (*count > 0)
		note_time(consumer, messages[*count - 1]);
	state = find_error(consumer, messages, *count);
	if (state == BRIDGE_CONSUMER_READY)
		state = look_after(consumer);
	if (state == BRIDGE_CONSUMER_READY && consumer->unreachable && *count == 0)
		state = BRIDGE_CONSUMER_UNREACHABLE;
	consumer->failed = state == BRIDGE_CONSUMER_FAILED;
	return state;
}

/* True where the header is there and has this value. */
static bool
header_is(const rd_kafka_headers_t *headers, const char *name,
		  const char *expected)
{
	const void *value;
	size_t		size;

	return rd_kafka_header_get_last(headers, name, &value,
									&size) == RD_KAFKA_RESP_ERR_NO_ERROR &&
		size == strlen(expected) && memcmp(value, expected, size) == 0;
}

bool
bridge_consumer_check_type(const rd_kafka_message_t *message, const char *type,
						   BridgeProblem *problem)
{
	rd_kafka_headers_t *headers;
	const char *wrong = NULL;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		wrong = "no headers";
	else if (!header_is(headers, "ce_specversion", "1.0"))
		wrong = "header ce_specversion is not 1.0";
	else if (!header_is(headers, "ce_type", type))
		wrong = "header ce_type is not the type of this topic";
	if (wrong != NULL)
		snprintf(problem->text, sizeof(problem->text), "%s", wrong);
	return wrong == NULL;
}

/* The offsets that moved since they were last committed. */
static rd_kafka_topic_partition_list_t *
list_moved(BridgeConsumer *consumer, const BridgeOffsets *offsets)
{
	rd_kafka_topic_partition_list_t *list;
	BridgeOffsets *committed = &consumer->committed;

	list = rd_kafka_topic_partition_list_new(offsets->count);
	for (int i = 0; i < offsets->count; i++)
	{
		if (i < committed->count && committed->next[i] == offsets->next[i])
			continue;
		if (offsets->next[i] >= 0)
			rd_kafka_topic_partition_list_add(list, consumer->spec.topic,
											  i)->offset = offsets->next[i];
	}
	*committed = *offsets;
	return list;
}

void
bridge_consumer_commit(BridgeConsumer *consumer, const BridgeOffsets *offsets)
{
	rd_kafka_topic_partition_list_t *list;

	if (bridge_clock_ms() < consumer->next_commit_ms)
		return;
	consumer->next_commit_ms = bridge_clock_ms() + COMMIT_PERIOD_MS;
	list = list_moved(consumer, offsets);
	if (list->cnt > 0)
		rd_kafka_commit(consumer->client, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}

static int64_t
count_waiting(const BridgeConsumer *consumer, const BridgeOffsets *offsets)
{
	int64_t		lag = 0;

	for (int i = 0; i < offsets->count; i++)
	{
		int64_t		first;
		int64_t		end;
		int64_t		next = offsets->next[i];

		if (rd_kafka_get_watermark_offsets(consumer->client,
										   consumer->spec.topic, i, &first,
										   &end) != RD_KAFKA_RESP_ERR_NO_ERROR)
			continue;
		if (next < 0)
			next = first < 0 ? 0 : first;
		if (end > next)
			lag += end - next;
	}
	return lag;
}

/* The last record taken may be from before a long time in which none came. */
void
bridge_consumer_tell_lag(BridgeConsumer *consumer, const BridgeOffsets *offsets,
						 BridgeMetric records, BridgeMetric age)
{
	int64_t		lag = count_waiting(consumer, offsets);
	int64_t		reached = consumer->newest_ms;

	if (lag == 0)
		consumer->caught_up_ms = bridge_clock_date_ms();
	if (lag == 0 || consumer->caught_up_ms > reached)
		reached = consumer->caught_up_ms;
	bridge_metrics_set(records, lag);
	if (reached > 0)
		bridge_metrics_set(age, reached);
}
