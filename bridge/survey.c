/*
 * Topics into tables, by COPY.
 */
#include "survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "contract.h"
#include "log.h"
#include "tail.h"
#include "text.h"

#define LINE_SIZE 256

static const char tables[] =
	"CREATE TEMPORARY TABLE kafka_transfer (transfer_id uuid, epoch integer,"
	" content text);"
	"CREATE TEMPORARY TABLE kafka_state (topic text, account_id uuid,"
	" epoch integer, version bigint, content text,"
	" reading bigint GENERATED ALWAYS AS IDENTITY);"
	"CREATE TEMPORARY TABLE kafka_seal (epoch integer, number integer, content text)";

typedef struct SurveyTopic
{
	const char *topic;
	const char *copy;
	/* Writes what names the record as fields; 0: it cannot be ours. */
	int			(*put_name) (const BridgeCursor *record, const char *topic,
							 char *line);
} SurveyTopic;

typedef struct Reading
{
	PGconn	   *conn;
	BridgeSurvey *survey;
	const SurveyTopic *topic;
} Reading;

static bool
failed(PGconn *conn, const char *what)
{
	bridge_log(BRIDGE_LOG_ERROR, what, "error=%s", PQerrorMessage(conn));
	return false;
}

static int
put_transfer(const BridgeCursor *record, const char *topic, char *line)
{
	(void) topic;
	return bank_text_is_uuid(record->id) ?
		snprintf(line, LINE_SIZE, "%s\t%" PRId32 "\t", record->id,
				 record->place.epoch) : 0;
}

static int
put_state(const BridgeCursor *record, const char *topic, char *line)
{
	if (!bank_text_is_uuid(record->account_id))
		return 0;
	return snprintf(line, LINE_SIZE, "%s\t%s\t%" PRId32 "\t%" PRId64 "\t", topic,
					record->account_id, record->place.epoch, record->version);
}

static int
put_seal(const BridgeCursor *record, const char *topic, char *line)
{
	int32_t		epoch;
	int32_t		number;

	(void) topic;
	if (sscanf(record->id, "seal:%" SCNd32 ":%" SCNd32, &epoch, &number) != 2)
		return 0;
	return snprintf(line, LINE_SIZE, "%" PRId32 "\t%" PRId32 "\t", epoch, number);
}

static const char copy_states[] =
	"COPY pg_temp.kafka_state (topic, account_id, epoch, version, content) FROM STDIN";

static const SurveyTopic topics[] = {
	{BANK_TOPIC_TRANSFERS, "COPY pg_temp.kafka_transfer FROM STDIN", put_transfer},
	{BANK_TOPIC_BALANCES, copy_states, put_state},
	{BANK_TOPIC_ACCOUNTS, copy_states, put_state},
	{BANK_TOPIC_SEALS, "COPY pg_temp.kafka_seal FROM STDIN", put_seal},
};

static bool
put(Reading *reading, const char *text, size_t length)
{
	return PQputCopyData(reading->conn, text, (int) length) == 1;
}

/* How much is taken by COPY as it is. */
static size_t
plain_length(const char *text, size_t length)
{
	size_t		plain = 0;

	while (plain < length && strchr("\\\n\r\t", text[plain]) == NULL)
		plain++;
	return plain;
}

/* The value, which is JSON and hence has no NUL, as a field of COPY. */
static bool
put_content(Reading *reading, const rd_kafka_message_t *message)
{
	const char *rest = message->payload;
	size_t		left = message->len;

	if (!reading->survey->with_content)
		return put(reading, "\\N", 2);
	while (left > 0)
	{
		size_t		plain = plain_length(rest, left);

		if (!put(reading, rest, plain))
			return false;
		rest += plain;
		left -= plain;
		if (left == 0)
			break;
		/* White space of JSON would end the field or the line. */
		if (!(*rest == '\\' ? put(reading, "\\\\", 2) : put(reading, " ", 1)))
			return false;
		rest++;
		left--;
	}
	return true;
}

/* One record as a line of COPY; one that cannot be ours is let pass. */
static bool
take_record(const BridgeCursor *record, void *context)
{
	Reading    *reading = context;
	BridgeSurvey *survey = reading->survey;
	char		line[LINE_SIZE];
	int			length = reading->topic->put_name(record, reading->topic->topic, line);

	if (length == 0)
		return true;
	if (record->place.epoch > survey->epoch)
		survey->epoch = record->place.epoch;
	survey->records++;
	if (put(reading, line, (size_t) length) &&
		put_content(reading, record->message) && put(reading, "\n", 1))
		return true;
	return failed(reading->conn, "could not keep what kafka has");
}

static bool
end_copy(PGconn *conn)
{
	PGresult   *result;
	bool		done = PQputCopyEnd(conn, NULL) == 1;

	while ((result = PQgetResult(conn)) != NULL)
	{
		done = done && PQresultStatus(result) == PGRES_COMMAND_OK;
		PQclear(result);
	}
	return done || failed(conn, "could not keep what kafka has");
}

static BridgeExit
read_topic(Reading *reading, BridgeTail *tail)
{
	PGresult   *result = PQexec(reading->conn, reading->topic->copy);
	bool		begun = PQresultStatus(result) == PGRES_COPY_IN;

	PQclear(result);
	if (!begun)
		return failed(reading->conn, "could not keep what kafka has"),
			BRIDGE_EXIT_FAILED;
	if (!bridge_tail_each(tail, reading->topic->topic, take_record, reading))
		return BRIDGE_EXIT_KAFKA;
	return end_copy(reading->conn) ? BRIDGE_EXIT_OK : BRIDGE_EXIT_FAILED;
}

static BridgeExit
read_topics(Reading *reading, BridgeTail *tail)
{
	BridgeExit	code = BRIDGE_EXIT_OK;

	for (size_t i = 0; code == BRIDGE_EXIT_OK &&
		 i < sizeof(topics) / sizeof(topics[0]); i++)
	{
		reading->topic = &topics[i];
		code = read_topic(reading, tail);
	}
	return code;
}

static bool
run(PGconn *conn, const char *statement)
{
	PGresult   *result = PQexec(conn, statement);
	bool		done = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);
	return done || failed(conn, "could not make temporary tables");
}

BridgeExit
bridge_survey_run(const BridgeConfig *config, PGconn *conn,
				  BridgeSurvey *survey)
{
	static const BridgePlace everything = {0, 0, 0};
	Reading		reading = {.conn = conn, .survey = survey};
	BridgeTailWait wait = {0};
	BridgeTail *tail;
	BridgeExit	code = BRIDGE_EXIT_OK;

	if (!run(conn, tables))
		return BRIDGE_EXIT_FAILED;
	if (!bridge_tail_open(config, &everything, survey->ends, NULL, &wait, &tail))
		return BRIDGE_EXIT_KAFKA;
	if (tail != NULL)
		code = read_topics(&reading, tail);
	bridge_tail_close(tail);
	if (code != BRIDGE_EXIT_OK)
		return code;
	bridge_log(BRIDGE_LOG_INFO, "kafka is read", "records=%" PRId64
			   " epoch=%" PRId32, survey->records, survey->epoch);
	return run(conn, "ANALYZE pg_temp.kafka_transfer, pg_temp.kafka_state, pg_temp.kafka_seal") ?
		BRIDGE_EXIT_OK : BRIDGE_EXIT_FAILED;
}
