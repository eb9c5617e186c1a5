/*
 * Dead letters.
 */
#include "dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "contract.h"
#include "kafka.h"
#include "log.h"

#define PLACE_SIZE 48

/* Of a longer value only the beginning is kept, and its size in a header. */
#define VALUE_MAX 500000

static void
add_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
	rd_kafka_header_add(headers, name, -1, value, -1);
}

static rd_kafka_headers_t *
make_headers(const BridgeDeadLetter *letter)
{
	rd_kafka_headers_t *headers = letter->headers == NULL ?
	rd_kafka_headers_new(5) : rd_kafka_headers_copy(letter->headers);
	char		size[24];

	add_header(headers, BRIDGE_DEAD_HEADER_ROLE, bridge_role_name(letter->role));
	add_header(headers, "bank_dead_source", letter->source);
	add_header(headers, "bank_dead_place", letter->place);
	add_header(headers, "bank_dead_reason", letter->reason);
	if (letter->value_length > VALUE_MAX)
	{
		snprintf(size, sizeof(size), "%zu", letter->value_length);
		add_header(headers, "bank_dead_size", size);
	}
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
			.key = letter->key, .key_length = letter->key_length,
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

bool
bridge_dead_write(const BridgeConfig *config, BridgeRole role,
				  const rd_kafka_message_t *message, const char *reason)
{
	char		place[PLACE_SIZE];
	BridgeDeadLetter letter = {
		.role = role, .source = rd_kafka_topic_name(message->rkt),
		.place = place, .reason = reason,
		.key = message->key, .key_length = message->key_len,
		.value = message->payload, .value_length = message->len
	};
	rd_kafka_headers_t *received;
	rd_kafka_headers_t *headers;
	BridgeKafkaRecord record;
	bool		written;

	snprintf(place, sizeof(place), "%" PRId32 ":%" PRId64, message->partition,
			 message->offset);
	if (rd_kafka_message_headers(message, &received) == RD_KAFKA_RESP_ERR_NO_ERROR)
		letter.headers = received;
	tell(&letter);
	headers = make_headers(&letter);
	record = make_record(&letter, headers);
	written = bridge_kafka_write(config, &record);
	rd_kafka_headers_destroy(headers);
	return written;
}
