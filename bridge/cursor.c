/*
 * One partition, record by record.
 *
 * Memory: librdkafka fetches ahead as much as the properties below allow.
 */
#include "cursor.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "database.h"
#include "dead.h"
#include "kafka.h"
#include "log.h"
#include "role.h"

#define SLICE_MS 200
#define NUMBER_SIZE 24

typedef struct Property
{
	const char *name;
	const char *value;
} Property;

/*
 * A partition begun while a fetch waits is fetched after it, so that none
 * waits long.
 */
static const Property properties[] = {
	{"enable.partition.eof", "true"},
	{"auto.offset.reset", "error"},
	{"fetch.wait.max.ms", "5"},
	{"fetch.error.backoff.ms", "50"},
	{"queued.min.messages", "200"},
	{"queued.max.messages.kbytes", "64"},
	{"max.partition.fetch.bytes", "65536"},
	{NULL, NULL}
};

rd_kafka_t *
bridge_cursor_client(const BridgeConfig *config)
{
	rd_kafka_conf_t *conf = bridge_kafka_conf(config);

	if (conf == NULL)
		return NULL;
	for (const Property *p = properties; p->name != NULL; p++)
		bridge_kafka_set(conf, p->name, p->value);
	return bridge_kafka_client(RD_KAFKA_CONSUMER, conf);
}

static bool
unknown(const BridgeCursor *cursor, const char *error)
{
	bridge_log(BRIDGE_LOG_WARNING, "partition could not be read",
			   "topic=%s partition=%" PRId32 " error=%s",
			   rd_kafka_topic_name(cursor->topic), cursor->partition, error);
	return false;
}

static void
drop_message(BridgeCursor *cursor)
{
	if (cursor->message != NULL)
		rd_kafka_message_destroy(cursor->message);
	cursor->message = NULL;
}

void
bridge_cursor_stop(BridgeCursor *cursor)
{
	drop_message(cursor);
	if (cursor->reading)
		rd_kafka_consume_stop(cursor->topic, cursor->partition);
	cursor->reading = false;
}

void
bridge_cursor_seek(BridgeCursor *cursor, int64_t offset)
{
	bridge_cursor_stop(cursor);
	cursor->next = offset;
}

/* Copies a header's text; false where it is absent or too long. */
static bool
copy_header(const rd_kafka_headers_t *headers, const char *name, char *target,
			size_t size)
{
	const void *value;
	size_t		length;

	target[0] = '\0';
	if (rd_kafka_header_get_last(headers, name, &value, &length) !=
		RD_KAFKA_RESP_ERR_NO_ERROR || length >= size)
		return false;
	memcpy(target, value, length);
	target[length] = '\0';
	return true;
}

/* Epoch, account and version are in the value of an event. */
static bool
take_value(BridgeCursor *cursor, const rd_kafka_message_t *message)
{
	json_t	   *json = json_loadb(message->payload, message->len, 0, NULL);
	json_t	   *version = json_object_get(json, "version");
	const char *account = json_string_value(json_object_get(json, "account_id"));
	json_t	   *epoch = json_object_get(json, "epoch");
	bool		valid = json_is_integer(epoch);

	cursor->place.epoch = (int32_t) json_integer_value(epoch);
	cursor->version = json_integer_value(version);
	cursor->account_id[0] = '\0';
	if (account != NULL && strlen(account) == BANK_UUID_LENGTH)
		memcpy(cursor->account_id, account, BANK_UUID_SIZE);
	json_decref(json);
	return valid;
}

/* A dead letter has its epoch in a header; those of other roles say none. */
static bool
take_letter(BridgeCursor *cursor, const rd_kafka_headers_t *headers)
{
	char		epoch[NUMBER_SIZE];
	char		role[NUMBER_SIZE];

	cursor->version = 0;
	if (!copy_header(headers, BRIDGE_DEAD_HEADER_ROLE, role, sizeof(role)) ||
		strcmp(role, bridge_role_name(BRIDGE_ROLE_PUBLISH)) != 0 ||
		!copy_header(headers, BRIDGE_DEAD_HEADER_EPOCH, epoch, sizeof(epoch)))
		return false;
	cursor->place.epoch = (int32_t) strtol(epoch, NULL, 10);
	return true;
}

/* False where the record says no place. */
static bool
take_record(BridgeCursor *cursor, const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	char		lsn[BRIDGE_LSN_SIZE];
	char		index[NUMBER_SIZE];

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		!copy_header(headers, "bank_lsn", lsn, sizeof(lsn)) ||
		!copy_header(headers, "bank_index", index, sizeof(index)) ||
		!bridge_database_parse_lsn(lsn, &cursor->place.lsn))
		return false;
	cursor->place.index = strtoll(index, NULL, 10);
	copy_header(headers, "ce_id", cursor->id, sizeof(cursor->id));
	cursor->offset = message->offset;
	if (strcmp(rd_kafka_topic_name(cursor->topic), BANK_TOPIC_DEAD) == 0)
		return take_letter(cursor, headers);
	return take_value(cursor, message);
}

bool
bridge_cursor_begin(BridgeCursor *cursor)
{
	if (cursor->reading)
		return true;
	if (rd_kafka_consume_start(cursor->topic, cursor->partition,
							   cursor->next) != 0)
		return unknown(cursor, rd_kafka_err2str(rd_kafka_last_error()));
	cursor->reading = true;
	return true;
}

/* Moves on; *taken where the message is a record with a place. */
static bool
take_message(BridgeCursor *cursor, bool *taken)
{
	const rd_kafka_message_t *message = cursor->message;
	rd_kafka_resp_err_t error = message->err;

	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		cursor->next = message->offset + 1;
		*taken = message->offset < cursor->end && take_record(cursor, message);
	}
	else if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		cursor->next = message->offset;
	return error == RD_KAFKA_RESP_ERR_NO_ERROR ||
		error == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
		unknown(cursor, rd_kafka_err2str(error));
}

BridgeCursorRead
bridge_cursor_read(BridgeCursor *cursor)
{
	int64_t		deadline = bridge_clock_ms() + BRIDGE_ASK_LIMIT_MS;
	bool		taken = false;

	while (cursor->next < cursor->end)
	{
		drop_message(cursor);
		if (!bridge_cursor_begin(cursor))
			return BRIDGE_CURSOR_UNKNOWN;
		cursor->message = rd_kafka_consume(cursor->topic, cursor->partition,
										   SLICE_MS);
		if (cursor->message == NULL &&
			(bridge_stop_requested() || bridge_clock_ms() > deadline ||
			 !bridge_ask_beat(cursor->pulse)))
		{
			unknown(cursor, "no answer in time");
			return BRIDGE_CURSOR_UNKNOWN;
		}
		if (cursor->message != NULL && !take_message(cursor, &taken))
			return BRIDGE_CURSOR_UNKNOWN;
		if (taken)
			return BRIDGE_CURSOR_RECORD;
	}
	bridge_cursor_stop(cursor);
	return BRIDGE_CURSOR_END;
}
