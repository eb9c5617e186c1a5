/*
 * The position record.
 */
#include "position.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "contract.h"
#include "database.h"
#include "kafka.h"
#include "log.h"
#include "role.h"
#include "trouble.h"

#define SLICE_MS 200
#define WHY_TIMEOUT_MS 5000

/* The last record is among these, with some that were written late. */
#define TAIL 8

int32_t
bridge_position_epoch_at(const BridgePosition *position, uint64_t lsn)
{
	return lsn < position->epoch_lsn ? position->epoch - 1 : position->epoch;
}

/* The system's identifier exceeds what JSON numbers hold for everybody. */
size_t
bridge_position_format(const BridgePosition *position, char *target)
{
	char		lsn[BRIDGE_LSN_SIZE];
	char		epoch_lsn[BRIDGE_LSN_SIZE];

	char		ended[40] = "";

	if (position->ended_at > 0)
		snprintf(ended, sizeof(ended), ",\"ended_at\":%" PRId64, position->ended_at);
	bridge_database_format_lsn(position->lsn, lsn);
	bridge_database_format_lsn(position->epoch_lsn, epoch_lsn);
	return (size_t) snprintf(target, BRIDGE_POSITION_SIZE,
							 "{\"slot\":\"" BANK_SLOT "\",\"lsn\":\"%s\","
							 "\"epoch\":%" PRId32 ",\"epoch_lsn\":\"%s\","
							 "\"system_identifier\":\"%" PRId64 "\","
							 "\"timeline\":%" PRId32 ",\"publication\":\"%s\"%s}",
							 lsn, position->epoch, epoch_lsn,
							 position->system_identifier, position->timeline,
							 position->publication.rows, ended);
}

static bool
read_fields(json_t *json, BridgePosition *position)
{
	const char *lsn;
	const char *epoch_lsn;
	const char *system;
	const char *publication = "";
	int			epoch;
	int			timeline;
	json_int_t	ended_at = 0;

	/* Older bridges did not note the publication. */
	if (json_unpack(json, "{s:s, s:i, s:s, s:s, s:i, s?s, s?I}", "lsn", &lsn,
					"epoch", &epoch, "epoch_lsn", &epoch_lsn,
					"system_identifier", &system, "timeline", &timeline,
					"publication", &publication, "ended_at", &ended_at) != 0 ||
		!bridge_publication_parse(publication, &position->publication))
		return false;
	position->ended_at = ended_at;
	position->epoch = epoch;
	position->timeline = timeline;
	position->system_identifier = strtoll(system, NULL, 10);
	return bridge_database_parse_lsn(lsn, &position->lsn) &&
		bridge_database_parse_lsn(epoch_lsn, &position->epoch_lsn);
}

bool
bridge_position_parse(const char *text, size_t length, BridgePosition *position)
{
	json_t	   *json = json_loadb(text, length, 0, NULL);
	bool		valid = json != NULL && read_fields(json, position);

	json_decref(json);
	return valid;
}

/*
 * Only places of one timeline and epoch can be compared.  What was read of an
 * epoch may lie ahead of what is confirmed.
 */
bool
bridge_position_is_late(const BridgePosition *record,
						const BridgePosition *before)
{
	int32_t		epoch = bridge_position_epoch_at(record, record->lsn);
	int32_t		epoch_before = bridge_position_epoch_at(before, before->lsn);

	if (epoch != epoch_before)
		return epoch < epoch_before;
	return record->system_identifier == before->system_identifier &&
		record->timeline == before->timeline && record->lsn < before->lsn;
}

const char *
bridge_position_refute(const BridgePosition *position,
					   const BridgePosition *ledger)
{
	if (position->system_identifier != ledger->system_identifier ||
		position->timeline != ledger->timeline)
		return "position record is of another system or timeline";
	if (position->lsn > ledger->lsn)
		return "WAL ends before what was published";
	return NULL;
}

void
bridge_position_tell_none(void)
{
	bridge_log(BRIDGE_LOG_ERROR, "kafka has no position record",
			   "topic=%s hint=%s", BANK_TOPIC_BRIDGE,
			   "Run bank-bridge init, then bank-bridge rebuild.");
}

/* Takes what one message says; the last one that is ours wins. */
static void
take_message(const rd_kafka_message_t *message, BridgePosition *position,
			 BridgeEnds *ends, BridgePositionFound *found)
{
	BridgePosition record;

	position->ended_at = 0;		/* it is not the last word */
	if (message->key == NULL || message->key_len != strlen(BANK_SLOT) ||
		memcmp(message->key, BANK_SLOT, message->key_len) != 0)
		return;
	if (message->payload == NULL ||
		!bridge_position_parse(message->payload, message->len, &record))
		bridge_log(BRIDGE_LOG_ERROR, "position record is not understood",
				   "topic=%s offset=%" PRId64, BANK_TOPIC_BRIDGE,
				   message->offset);
	else if (*found == BRIDGE_POSITION_NONE ||
			 !bridge_position_is_late(&record, position))
	{
		*position = record;
		if (record.ended_at != message->offset)
			position->ended_at = 0;
		*found = BRIDGE_POSITION_FOUND;
		if (ends != NULL)
			bridge_ends_parse(message->payload, message->len, ends);
	}
}

/* Reads from the first offset up to, and without, the end. */
static BridgePositionFound
read_tail(rd_kafka_topic_t *topic, int64_t end, BridgePosition *position,
		  BridgeEnds *ends, const BridgePulse *pulse)
{
	BridgePositionFound found = BRIDGE_POSITION_NONE;
	int64_t		deadline = bridge_clock_ms() + BRIDGE_ASK_LIMIT_MS;
	bool		complete = false;

	while (!complete && bridge_clock_ms() < deadline &&
		   !bridge_stop_requested() && bridge_ask_beat(pulse))
	{
		rd_kafka_message_t *message = rd_kafka_consume(topic, 0, SLICE_MS);

		if (message == NULL)
			continue;
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			take_message(message, position, ends, &found);
		complete = message->offset + 1 >= end &&
			(message->err == RD_KAFKA_RESP_ERR_NO_ERROR ||
			 message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF);
		rd_kafka_message_destroy(message);
	}
	return complete ? found : BRIDGE_POSITION_UNKNOWN;
}

/* The client calls a topic unknown that it may not read. */
static void
ask_why(rd_kafka_t *client, rd_kafka_topic_t *topic)
{
	int			count;

	bridge_trouble_note(bridge_ask_count(client, topic, &count, WHY_TIMEOUT_MS),
						BANK_TOPIC_BRIDGE);
}

/* Asks for an offset of the topic's one partition. */
static rd_kafka_resp_err_t
ask_offset(rd_kafka_t *client, int64_t which, int64_t *offset, const BridgePulse *pulse)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *place =
	rd_kafka_topic_partition_list_add(list, BANK_TOPIC_BRIDGE, 0);
	rd_kafka_resp_err_t error = bridge_ask_offsets(client, list, which, pulse);

	*offset = place->offset;
	rd_kafka_topic_partition_list_destroy(list);
	return error;
}

rd_kafka_resp_err_t
bridge_position_end(rd_kafka_t *client, int64_t *end, const BridgePulse *pulse)
{
	return ask_offset(client, RD_KAFKA_OFFSET_END, end, pulse);
}

static rd_kafka_resp_err_t
ask_ends(rd_kafka_t *client, int64_t *low, int64_t *high, const BridgePulse *pulse)
{
	rd_kafka_resp_err_t error = bridge_position_end(client, high, pulse);

	return error != RD_KAFKA_RESP_ERR_NO_ERROR ? error :
		ask_offset(client, RD_KAFKA_OFFSET_BEGINNING, low, pulse);
}

static BridgePositionFound
read_topic(rd_kafka_t *client, BridgePosition *position, BridgeEnds *ends,
		   const BridgePulse *pulse)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, BANK_TOPIC_BRIDGE, NULL);
	BridgePositionFound found = BRIDGE_POSITION_UNKNOWN;
	int64_t		low;
	int64_t		high;
	rd_kafka_resp_err_t error = ask_ends(client, &low, &high, pulse);

	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		bridge_log(BRIDGE_LOG_WARNING, "could not read the position record",
				   "topic=%s error=%s", BANK_TOPIC_BRIDGE,
				   rd_kafka_err2str(error));
		ask_why(client, topic);
	}
	else if (high == low)
		found = BRIDGE_POSITION_NONE;
	else if (rd_kafka_consume_start(topic, 0, high - TAIL > low ?
									high - TAIL : low) == 0)
	{
		found = read_tail(topic, high, position, ends, pulse);
		rd_kafka_consume_stop(topic, 0);
	}
	rd_kafka_topic_destroy(topic);
	return found;
}

BridgePositionFound
bridge_position_read(const BridgeConfig *config, BridgePosition *position,
					 BridgeEnds *ends, const BridgePulse *pulse)
{
	rd_kafka_conf_t *conf = bridge_kafka_conf(config);
	rd_kafka_t *client;
	BridgePositionFound found;

	if (conf == NULL)
		return BRIDGE_POSITION_UNKNOWN;
	bridge_kafka_set(conf, "enable.partition.eof", "true");
	bridge_kafka_set(conf, "auto.offset.reset", "error");
	client = bridge_kafka_client(RD_KAFKA_CONSUMER, conf);
	if (client == NULL)
		return BRIDGE_POSITION_UNKNOWN;
	found = read_topic(client, position, ends, pulse);
	rd_kafka_destroy(client);
	return found;
}

bool
bridge_position_write(const BridgeConfig *config, const BridgePosition *position,
					  const BridgeEnds *ends)
{
	char		text[BRIDGE_POSITION_SIZE];
	BridgeKafkaRecord record = {
		.topic = BANK_TOPIC_BRIDGE, .partition = 0, .key = BANK_SLOT,
		.key_length = strlen(BANK_SLOT),
		.value_length = bridge_position_format(position, text)
	};
	char	   *value = bridge_ends_append(ends, text, &record.value_length);
	bool		written;

	record.value = value;
	written = value != NULL && bridge_kafka_write(config, &record);
	free(value);
	return written;
}
