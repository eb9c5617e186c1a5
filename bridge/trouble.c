/*
 * Errors of Kafka that last until somebody does something.
 */
#include "trouble.h"

#include <stddef.h>

#include "log.h"

typedef struct Trouble
{
	const char *text;
	const char *hint;
} Trouble;

static const Trouble absent = {
	"kafka lacks a topic",
	"Run bank-bridge init, and rebuild where the topic had records."
};
static const Trouble login = {
	"kafka refuses the login",
	"Correct kafka.sasl.* or kafka.ssl.*, and start bank-bridge again."
};
static const Trouble rights = {
	"kafka refuses a right",
	"Let the bridge's user read, write and describe topics bank.*,"
	" and read groups bank-bridge.*."
};
static const Trouble size = {
	"kafka refuses a record for its size",
	"Raise the topic's max.message.bytes; where small records are refused"
	" together, lower kafka.batch.size."
};

/* NULL: there was none, or it is over. */
static const Trouble *current;

static const Trouble *
find(rd_kafka_resp_err_t error)
{
	switch ((int) error)
	{
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
			return &absent;
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		case RD_KAFKA_RESP_ERR__SSL:
			return &login;
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
			return &rights;
		case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
			return &size;
	}
	return NULL;
}

bool
bridge_trouble_note(rd_kafka_resp_err_t error, const char *topic)
{
	const Trouble *found = find(error);

	if (found != NULL && found != current)
		bridge_log(BRIDGE_LOG_ERROR, found->text, "topic=%s error=%s hint=%s",
				   topic, rd_kafka_err2str(error), found->hint);
	if (found != NULL)
		current = found;
	return found != NULL;
}

void
bridge_trouble_end(void)
{
	current = NULL;
}

const char *
bridge_trouble_or(const char *otherwise)
{
	return current != NULL ? current->text : otherwise;
}

const char *
bridge_trouble_hint(rd_kafka_resp_err_t error)
{
	const Trouble *found = find(error);

	return found != NULL ? found->hint : "";
}
