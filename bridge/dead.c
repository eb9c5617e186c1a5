/*
 * Dead letters.
 *
 * Memory: what waits for acknowledgements, QUEUE_KBYTES at most.
 */
#include "dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "clock.h"
#include "contract.h"
#include "kafka.h"
#include "log.h"

#define PLACE_SIZE 48
#define WAIT_MS BRIDGE_ASK_LIMIT_MS
#define STOP_WAIT_MS 1000
#define POLL_MS 100

/* Letters are copied into the queue; more of them wait their turn. */
#define QUEUE_KBYTES "4096"

/*
 * Of a longer value or key only the beginning is kept, and its size in a
 * header; longer headers are left out.  Together they fit in a record.
 */
#define VALUE_MAX 500000
#define KEY_MAX 100000
#define HEADERS_MAX 100000

static void
add_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
	rd_kafka_header_add(headers, name, -1, value, -1);
}

/* Says how long something was that is not kept whole. */
static void
add_size(rd_kafka_headers_t *headers, const char *name, size_t length, size_t max)
{
	char		size[24];

	if (length <= max)
		return;
	snprintf(size, sizeof(size), "%zu", length);
	add_header(headers, name, size);
}

static size_t
length_of_headers(const rd_kafka_headers_t *headers)
{
	size_t		length = 0;
	const char *name;
	const void *value;
	size_t		size;

	for (size_t i = 0; headers != NULL &&
		 rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
		 RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		length += strlen(name) + size;
	return length;
}

static rd_kafka_headers_t *
make_headers(const BridgeDeadLetter *letter)
{
	size_t		length = length_of_headers(letter->headers);
	rd_kafka_headers_t *headers =
	letter->headers == NULL || length > HEADERS_MAX ?
	rd_kafka_headers_new(7) : rd_kafka_headers_copy(letter->headers);

	add_header(headers, BRIDGE_DEAD_HEADER_ROLE, bridge_role_name(letter->role));
	add_header(headers, "bank_dead_source", letter->source);
	add_header(headers, "bank_dead_place", letter->place);
	add_header(headers, "bank_dead_reason", letter->reason);
	add_size(headers, "bank_dead_size", letter->value_length, VALUE_MAX);
	add_size(headers, "bank_dead_key_size", letter->key_length, KEY_MAX);
	add_size(headers, "bank_dead_headers_size", length, HEADERS_MAX);
	return headers;
}

size_t
bridge_dead_value_length(size_t length)
{
	return length > VALUE_MAX ? VALUE_MAX : length;
}

static BridgeKafkaRecord
make_record(const BridgeDeadLetter *letter, const rd_kafka_headers_t *headers)
{
	return (BridgeKafkaRecord)
	{
		.topic = BANK_TOPIC_DEAD, .partition = RD_KAFKA_PARTITION_UA,
			.key = letter->key,
			.key_length = letter->key_length > KEY_MAX ? KEY_MAX : letter->key_length,
			.value = letter->value,
			.value_length = bridge_dead_value_length(letter->value_length),
			.headers = headers
	};
}

static void
tell(const BridgeDeadLetter *letter)
{
	bridge_log(BRIDGE_LOG_ERROR, "not understood; goes to " BANK_TOPIC_DEAD,
			   "source=%s place=%s reason=%s", letter->source, letter->place,
			   letter->reason);
}

rd_kafka_resp_err_t
bridge_dead_send(rd_kafka_t *producer, const BridgeDeadLetter *letter,
				 void *opaque)
{
	rd_kafka_headers_t *headers = make_headers(letter);
	BridgeKafkaRecord record = make_record(letter, headers);
	rd_kafka_resp_err_t error = bridge_kafka_send(producer, &record, opaque);

	tell(letter);
	rd_kafka_headers_destroy(headers);
	return error;
}

static void
note_delivery(rd_kafka_t *client, const rd_kafka_message_t *message,
			  void *opaque)
{
	BridgeDeadWriter *writer = opaque;

	(void) client;
	writer->waiting--;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		writer->error = message->err;
	else if (message->offset < 0)
		writer->error = RD_KAFKA_RESP_ERR__INCONSISTENT;	/* producer.c: unplaced */
}

static bool
create_client(BridgeDeadWriter *writer)
{
	rd_kafka_conf_t *conf;

	if (writer->client != NULL)
		return true;
	conf = bridge_kafka_producer_conf(writer->config);
	if (conf == NULL)
		return false;
	rd_kafka_conf_set_dr_msg_cb(conf, note_delivery);
	rd_kafka_conf_set_opaque(conf, writer);
	if (!bridge_kafka_set(conf, "enable.idempotence", "true") ||
		!bridge_kafka_set(conf, "partitioner", "murmur2_random") ||
		!bridge_kafka_set(conf, "queue.buffering.max.kbytes", QUEUE_KBYTES))
	{
		rd_kafka_conf_destroy(conf);
		return false;
	}
	writer->client = bridge_kafka_client(RD_KAFKA_PRODUCER, conf);
	return writer->client != NULL;
}

/* How long letters are waited for; a role that must stop has little time. */
static bool
is_late(int64_t since)
{
	return bridge_clock_ms() - since >
		(bridge_stop_requested() ? STOP_WAIT_MS : WAIT_MS);
}

/* Sends a letter, once there is room for it in the producer's queue. */
static rd_kafka_resp_err_t
send_in_turn(BridgeDeadWriter *writer, const BridgeDeadLetter *letter)
{
	rd_kafka_headers_t *headers = make_headers(letter);
	BridgeKafkaRecord record = make_record(letter, headers);
	int64_t		since = bridge_clock_ms();
	rd_kafka_resp_err_t error;

	tell(letter);
	while ((error = bridge_kafka_send(writer->client, &record, NULL)) ==
		   RD_KAFKA_RESP_ERR__QUEUE_FULL && !is_late(since))
		rd_kafka_poll(writer->client, POLL_MS);
	rd_kafka_headers_destroy(headers);
	return error;
}

static bool
refuse(rd_kafka_resp_err_t error)
{
	bridge_log(BRIDGE_LOG_ERROR, "could not write a record",
			   "topic=" BANK_TOPIC_DEAD " error=%s", rd_kafka_err2str(error));
	return false;
}

bool
bridge_dead_write(BridgeDeadWriter *writer, const rd_kafka_message_t *message,
				  const char *reason)
{
	char		place[PLACE_SIZE];
	BridgeDeadLetter letter = {
		.role = writer->role, .source = rd_kafka_topic_name(message->rkt),
		.place = place, .reason = reason,
		.key = message->key, .key_length = message->key_len,
		.value = message->payload, .value_length = message->len
	};
	rd_kafka_headers_t *received;
	rd_kafka_resp_err_t error;

	if (!create_client(writer))
		return false;
	snprintf(place, sizeof(place), "%" PRId32 ":%" PRId64, message->partition,
			 message->offset);
	if (rd_kafka_message_headers(message, &received) == RD_KAFKA_RESP_ERR_NO_ERROR)
		letter.headers = received;
	error = send_in_turn(writer, &letter);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return refuse(error);
	writer->waiting++;
	return true;
}

bool
bridge_dead_wait(BridgeDeadWriter *writer)
{
	int64_t		since = bridge_clock_ms();

	while (writer->waiting > 0 && !is_late(since))
		rd_kafka_poll(writer->client, POLL_MS);
	if (writer->waiting > 0)
		writer->error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	if (writer->error == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	refuse(writer->error);
	bridge_dead_close(writer);
	return false;
}

void
bridge_dead_close(BridgeDeadWriter *writer)
{
	if (writer->client == NULL)
		return;
	rd_kafka_purge(writer->client,
				   RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_poll(writer->client, 0);
	rd_kafka_destroy(writer->client);
	writer->client = NULL;
	writer->waiting = 0;
	writer->error = RD_KAFKA_RESP_ERR_NO_ERROR;
}
