/*
 * The producer of publish.
 */
#include "producer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "contract.h"
#include "dead.h"
#include "kafka.h"
#include "log.h"
#include "metrics.h"
#include "trouble.h"

/* Records take about 2 kB each in librdkafka, headers included. */
#define RECORD_LIMIT 6000
#define RECORD_LIMIT_TEXT "12000"

/* Bytes of their values, which only dead letters come near. */
#define QUEUE_LIMIT (8 * 1024 * 1024)
#define TRANSACTION_LIMIT 8192
#define ERROR_SIZE 256
#define REFUSAL_WAIT_MS 1000

/* Stands where the number of a transaction stands for events. */
#define POSITION_OPAQUE UINTPTR_MAX

/* What names the record: its ce_id, or the LSN of its transaction. */
static void
note_failure(BridgeProducer *producer, const char *topic, const char *name,
			 rd_kafka_resp_err_t error)
{
	if (!producer->failed)
		bridge_log(BRIDGE_LOG_ERROR, "kafka refuses a record",
				   "topic=%s record=%s error=%s hint=%s", topic, name,
				   rd_kafka_err2str(error), bridge_trouble_hint(error));
	producer->failed = true;
}

/* Empty where the record has no such header. */
static void
read_header(const rd_kafka_message_t *message, const char *name, char *value,
			size_t size)
{
	rd_kafka_headers_t *headers;
	const void *found;
	size_t		length;

	value[0] = '\0';
	if (rd_kafka_message_headers(message, &headers) ==
		RD_KAFKA_RESP_ERR_NO_ERROR &&
		rd_kafka_header_get_last(headers, name, &found, &length) ==
		RD_KAFKA_RESP_ERR_NO_ERROR)
		snprintf(value, size, "%.*s", (int) length, (const char *) found);
}

/* librdkafka sends nothing more after a refusal, and lets go of what waits. */
static bool
is_let_go(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR__FATAL ||
		error == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
		error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

/* Records of one batch are refused together, since one of them is too large. */
static void
note_refusal(BridgeProducer *producer, const rd_kafka_message_t *message)
{
	BridgeRefusal *refusal = &producer->refusal;

	if (is_let_go(message->err) || (refusal->error != RD_KAFKA_RESP_ERR_NO_ERROR &&
									message->len <= refusal->length))
		return;
	refusal->error = message->err;
	refusal->length = message->len;
	snprintf(refusal->topic, sizeof(refusal->topic), "%s",
			 rd_kafka_topic_name(message->rkt));
	read_header(message, "ce_id", refusal->id, sizeof(refusal->id));
}

/* An operator wants to know when sealing stops. */
static void
note_seal(const rd_kafka_message_t *message)
{
	char		date[BRIDGE_TIME_SIZE];
	struct tm	parts = {0};

	if (strcmp(rd_kafka_topic_name(message->rkt), BANK_TOPIC_SEALS) != 0)
		return;
	read_header(message, "ce_time", date, sizeof(date));
	if (strptime(date, "%Y-%m-%dT%H:%M:%S", &parts) != NULL)
		bridge_metrics_renew(BRIDGE_METRIC_PUBLISH_SEAL_AGE,
							 (int64_t) timegm(&parts) * 1000);
}

/*
 * Records of somebody else, as a publisher that was frozen: readers drop what
 * they have, but compaction keeps the last record, not the newest.
 */
static void
note_foreign(BridgeProducer *producer, const rd_kafka_message_t *message, int64_t count)
{
	bridge_metrics_add(BRIDGE_METRIC_PUBLISH_FOREIGN, count);
	if (!producer->met_foreign)
		bridge_log(BRIDGE_LOG_WARNING, "somebody else writes to the topics",
				   "topic=%s partition=%" PRId32 " offset=%" PRId64
				   " records=%" PRId64 " hint=%s",
				   rd_kafka_topic_name(message->rkt), message->partition,
				   message->offset, count,
				   "Stop bank-bridge and run bank-bridge rebuild.");
	producer->met_foreign = true;
}

/*
 * A partition grows.  False, logged, where a record was put before one that
 * was sent earlier: what was acknowledged is gone.
 */
static bool
note_end(BridgeProducer *producer, const rd_kafka_message_t *message)
{
	const char *name = rd_kafka_topic_name(message->rkt);
	int			topic = bridge_ends_find(name);
	uintptr_t	number = (uintptr_t) message->_private;
	int64_t		gap;

	if (topic < 0)
		return true;
	gap = bridge_ends_gap(&producer->ends, topic, message->partition, message->offset);
	if (gap > 0)
		note_foreign(producer, message, gap);
	if (bridge_ends_allow(&producer->ends, topic, message->partition, message->offset,
						  number))
		return bridge_ends_note(&producer->ends, topic, message->partition,
								message->offset, number);
	if (!producer->failed)
		bridge_log(BRIDGE_LOG_ERROR, "topic was made anew or has lost records",
				   "topic=%s partition=%" PRId32 " offset=%" PRId64
				   " known_end=%" PRId64 " hint=%s", name, message->partition,
				   message->offset,
				   bridge_ends_get(&producer->ends, topic, message->partition), "Run bank-bridge rebuild.");
	producer->failed = true;
	producer->code = BRIDGE_EXIT_LOST;
	return false;
}

/*
 * librdkafka takes a record for written when the brokers have acknowledged a
 * later one; but they acknowledge that also where they never got the first, as
 * long as they know nothing of the producer.  Then nobody says where it is.
 * What Kafka has is asked at the next start.
 */
static void
note_unplaced(BridgeProducer *producer, const rd_kafka_message_t *message)
{
	char		id[BRIDGE_EVENT_ID_SIZE];

	read_header(message, "ce_id", id, sizeof(id));
	if (!producer->failed)
		bridge_log(BRIDGE_LOG_ERROR, "kafka does not say where a record is",
				   "topic=%s partition=%" PRId32 " record=%s",
				   rd_kafka_topic_name(message->rkt), message->partition, id);
	producer->failed = true;
}

static void
count_queued(BridgeProducer *producer, int64_t bytes)
{
	producer->queued += bytes;
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_QUEUE_BYTES, producer->queued);
}

static void
note_delivery(rd_kafka_t *client, const rd_kafka_message_t *message,
			  void *opaque)
{
	BridgeProducer *producer = opaque;
	uintptr_t	number = (uintptr_t) message->_private;

	(void) client;
	if (number != POSITION_OPAQUE)
		count_queued(producer, -(int64_t) message->len);
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		bridge_metrics_add(BRIDGE_METRIC_PUBLISH_DELIVERY_ERRORS, 1);
		note_refusal(producer, message);
		return;
	}
	if (message->offset < 0)
	{
		note_unplaced(producer, message);
		return;
	}
	if (!note_end(producer, message))
		return;
	producer->progress_at = bridge_clock_ms();
	bridge_trouble_end();
	if (number == POSITION_OPAQUE)
	{
		producer->recorded_lsn = producer->recording_lsn;
		producer->recorded_offset = message->offset;
		producer->recording_lsn = 0;
		return;
	}
	bridge_inflight_acknowledge(&producer->inflight, number);
	bridge_metrics_add(BRIDGE_METRIC_PUBLISH_ACKNOWLEDGED, 1);
	note_seal(message);
}

static void
note_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
	char		text[ERROR_SIZE];

	if (error == RD_KAFKA_RESP_ERR__FATAL)
	{
		rd_kafka_resp_err_t cause = rd_kafka_fatal_error(client, text,
														 sizeof(text));

		bridge_log(BRIDGE_LOG_ERROR, "kafka producer has failed", "error=%s",
				   text);
		bridge_trouble_note(cause, "any");
		((BridgeProducer *) opaque)->is_fatal = true;
	}
	else if (!bridge_trouble_note((rd_kafka_resp_err_t) error, "any"))
		bridge_log(BRIDGE_LOG_WARNING, "kafka trouble", "error=%s reason=%s",
				   rd_kafka_err2name((rd_kafka_resp_err_t) error), reason);
}

static bool
set_promises(rd_kafka_conf_t *conf)
{
	return bridge_kafka_set(conf, "enable.idempotence", "true") &&
		bridge_kafka_set(conf, "enable.gapless.guarantee", "true") &&
		bridge_kafka_set(conf, "message.timeout.ms", "0") &&
		bridge_kafka_set(conf, "partitioner", "murmur2_random") &&
		bridge_kafka_set(conf, "queue.buffering.max.messages",
						 RECORD_LIMIT_TEXT) &&
		bridge_kafka_set(conf, "queue.buffering.max.kbytes", "65536");
}

static bool
create_client(BridgeProducer *producer, const BridgeConfig *config)
{
	rd_kafka_conf_t *conf = bridge_kafka_producer_conf(config);

	if (conf == NULL)
		return false;
	rd_kafka_conf_set_dr_msg_cb(conf, note_delivery);
	rd_kafka_conf_set_error_cb(conf, note_error);
	rd_kafka_conf_set_opaque(conf, producer);
	if (!set_promises(conf))
	{
		rd_kafka_conf_destroy(conf);
		return false;
	}
	producer->client = bridge_kafka_client(RD_KAFKA_PRODUCER, conf);
	return producer->client != NULL;
}

/* A topic first met by a record may keep it waiting for a second. */
static void
meet_topics(BridgeProducer *producer)
{
	rd_kafka_topic_t **next = producer->topics;

	for (int i = 0; i < BRIDGE_EVENT_TOPICS; i++)
		*next++ = rd_kafka_topic_new(producer->client, bridge_event_topics[i],
									 NULL);
	*next++ = rd_kafka_topic_new(producer->client, BANK_TOPIC_DEAD, NULL);
	*next = rd_kafka_topic_new(producer->client, BANK_TOPIC_BRIDGE, NULL);
}

bool
bridge_producer_create(BridgeProducer *producer, const BridgeConfig *config)
{
	*producer = (BridgeProducer)
	{
		.wakeup =
		{
			-1, -1
		}
	};
	producer->code = BRIDGE_EXIT_KAFKA;
	producer->recorded_offset = -1;
	producer->progress_at = bridge_clock_ms();
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_QUEUE_BYTES, 0);
	if (pipe2(producer->wakeup, O_CLOEXEC | O_NONBLOCK) != 0 ||
		!bridge_inflight_create(&producer->inflight, TRANSACTION_LIMIT) ||
		!create_client(producer, config))
		return false;
	meet_topics(producer);
	producer->queue = rd_kafka_queue_get_main(producer->client);
	rd_kafka_queue_io_event_enable(producer->queue, producer->wakeup[1], "", 1);
	return true;
}

void
bridge_producer_free(BridgeProducer *producer)
{
	if (producer->client != NULL)
	{
		rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(producer->queue);
		rd_kafka_purge(producer->client,
					   RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		producer->failed = true;	/* what is dropped now needs no line */
		rd_kafka_poll(producer->client, 0);
		for (int i = 0; i < BRIDGE_PRODUCER_TOPICS; i++)
			rd_kafka_topic_destroy(producer->topics[i]);
		rd_kafka_destroy(producer->client);
	}
	bridge_inflight_free(&producer->inflight);
	bridge_ends_free(&producer->ends);
	close(producer->wakeup[0]);
	close(producer->wakeup[1]);
}

int
bridge_producer_fd(const BridgeProducer *producer)
{
	return producer->wakeup[0];
}

static void
publish_gauges(const BridgeProducer *producer)
{
	const BridgeInflight *inflight = &producer->inflight;

	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_IN_FLIGHT,
					   (int64_t) inflight->records);
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_IN_FLIGHT_TRANSACTIONS,
					   (int64_t) (inflight->next - inflight->oldest));
}

/* librdkafka says that it sends no more before it says why. */
static void
wait_for_refusal(BridgeProducer *producer)
{
	int64_t		deadline = bridge_clock_ms() + REFUSAL_WAIT_MS;

	while (producer->refusal.error == RD_KAFKA_RESP_ERR_NO_ERROR &&
		   bridge_clock_ms() < deadline)
		rd_kafka_poll(producer->client, REFUSAL_WAIT_MS / 20);
}

/* Whether, by what was said, the process must be left. */
static void
judge(BridgeProducer *producer)
{
	if (producer->is_fatal && !producer->failed)
		wait_for_refusal(producer);
	if (producer->refusal.error != RD_KAFKA_RESP_ERR_NO_ERROR)
		note_failure(producer, producer->refusal.topic, producer->refusal.id,
					 producer->refusal.error);
	producer->failed = producer->failed || producer->is_fatal;
}

void
bridge_producer_serve(BridgeProducer *producer)
{
	char		bytes[64];

	while (read(producer->wakeup[0], bytes, sizeof(bytes)) > 0)
		continue;
	rd_kafka_poll(producer->client, 0);
	judge(producer);
	publish_gauges(producer);
}

bool
bridge_producer_has_room(const BridgeProducer *producer)
{
	return producer->inflight.records + BRIDGE_EVENT_MAX <= RECORD_LIMIT &&
		producer->queued < QUEUE_LIMIT && !bridge_inflight_full(&producer->inflight);
}

bool
bridge_producer_is_waiting(const BridgeProducer *producer)
{
	return producer->inflight.records > 0 || producer->recording_lsn != 0;
}

/* The time without progress begins when there is something to wait for. */
static void
begin_waiting(BridgeProducer *producer)
{
	if (!bridge_producer_is_waiting(producer))
		producer->progress_at = bridge_clock_ms();
}

static void
add_header(rd_kafka_headers_t *headers, const char *name, const char *value,
		   size_t length)
{
	rd_kafka_header_add(headers, name, -1, value, (ssize_t) length);
}

static rd_kafka_headers_t *
make_headers(const BridgeProducer *producer, const BridgeEvent *event,
			 const char *lsn, int64_t index)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
	char		text[24];
	int			length = snprintf(text, sizeof(text), "%" PRId64, index);

	add_header(headers, "ce_specversion", "1.0", 3);
	add_header(headers, "ce_id", event->id, event->id_length);
	add_header(headers, "ce_type", event->type, strlen(event->type));
	add_header(headers, "ce_source", producer->source, strlen(producer->source));
	add_header(headers, "ce_time", event->time, BRIDGE_TIME_SIZE - 1);
	add_header(headers, "content-type", "application/json",
			   strlen("application/json"));
	add_header(headers, "bank_lsn", lsn, strlen(lsn));
	add_header(headers, "bank_index", text, (size_t) length);
	return headers;
}

/* Judges what the client said to a record of the open transaction. */
static bool
judge_sent(BridgeProducer *producer, const char *topic, const char *id,
		   rd_kafka_resp_err_t error)
{
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		bridge_metrics_add(BRIDGE_METRIC_PUBLISH_RECORDS, 1);
		return true;
	}
	bridge_inflight_withdraw(&producer->inflight);
	if (error == RD_KAFKA_RESP_ERR__FATAL)
	{
		producer->is_fatal = true;
		judge(producer);
	}
	else
		note_failure(producer, topic, id, error);
	return false;
}

bool
bridge_producer_send(BridgeProducer *producer, const BridgeEvent *event,
					 const char *lsn, int64_t index)
{
	rd_kafka_headers_t *headers = make_headers(producer, event, lsn, index);
	uintptr_t	number;
	rd_kafka_resp_err_t error;

	begin_waiting(producer);
	number = bridge_inflight_add(&producer->inflight);
	error = rd_kafka_producev(producer->client, RD_KAFKA_V_TOPIC(event->topic),
							  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
							  RD_KAFKA_V_KEY(event->key, strlen(event->key)),
							  RD_KAFKA_V_VALUE((void *) event->value,
											   event->value_length),
							  RD_KAFKA_V_HEADERS(headers),
							  RD_KAFKA_V_OPAQUE((void *) number),
							  RD_KAFKA_V_END);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_headers_destroy(headers);
	else
		count_queued(producer, (int64_t) event->value_length);
	return judge_sent(producer, event->topic, lsn, error);
}

/* Where a letter stands, for the comparison at the next start. */
static rd_kafka_headers_t *
make_letter_headers(const char *lsn, const BridgePlace *place)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
	char		index[24];
	char		epoch[24];

	snprintf(index, sizeof(index), "%" PRId64, place->index);
	snprintf(epoch, sizeof(epoch), "%" PRId32, place->epoch);
	add_header(headers, "bank_lsn", lsn, strlen(lsn));
	add_header(headers, "bank_index", index, strlen(index));
	add_header(headers, BRIDGE_DEAD_HEADER_EPOCH, epoch, strlen(epoch));
	return headers;
}

bool
bridge_producer_bury(BridgeProducer *producer, const BridgeValue *received,
					 const char *reason, const char *lsn,
					 const BridgePlace *place)
{
	rd_kafka_headers_t *headers = make_letter_headers(lsn, place);
	char		where[48];
	BridgeDeadLetter letter = {
		.role = BRIDGE_ROLE_PUBLISH, .source = BANK_SLOT, .place = where,
		.reason = reason, .key = lsn, .key_length = strlen(lsn),
		.value = received->data, .value_length = received->length,
		.headers = headers
	};
	uintptr_t	number;
	rd_kafka_resp_err_t error;

	snprintf(where, sizeof(where), "%s:%" PRId64, lsn, place->index);
	begin_waiting(producer);
	number = bridge_inflight_add(&producer->inflight);
	error = bridge_dead_send(producer->client, &letter, (void *) number);
	rd_kafka_headers_destroy(headers);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		bridge_metrics_add(BRIDGE_METRIC_PUBLISH_DEAD, 1);
		count_queued(producer, (int64_t) bridge_dead_value_length(received->length));
	}
	return judge_sent(producer, BANK_TOPIC_DEAD, lsn, error);
}

bool
bridge_producer_record(BridgeProducer *producer, const BridgePosition *position)
{
	char		record[BRIDGE_POSITION_SIZE];
	size_t		length = bridge_position_format(position, record);
	char	   *value = bridge_ends_append(&producer->ends, record, &length);
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;

	begin_waiting(producer);
	if (value != NULL)
		error = rd_kafka_producev(producer->client,
								  RD_KAFKA_V_TOPIC(BANK_TOPIC_BRIDGE),
								  RD_KAFKA_V_PARTITION(0),
								  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								  RD_KAFKA_V_KEY(BANK_SLOT, strlen(BANK_SLOT)),
								  RD_KAFKA_V_VALUE(value, length),
								  RD_KAFKA_V_OPAQUE((void *) POSITION_OPAQUE),
								  RD_KAFKA_V_END);
	free(value);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		note_failure(producer, BANK_TOPIC_BRIDGE, "", error);
		return false;
	}
	producer->recording_lsn = position->lsn;
	return true;
}

bool
bridge_producer_end(BridgeProducer *producer, const BridgePosition *position)
{
	BridgePosition last = *position;

	last.ended_at = producer->recorded_offset + 1;
	return bridge_producer_record(producer, &last);
}
