/*
 * librdkafka as every role uses it.
 */
#include "kafka.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <syslog.h>

#include "ask.h"
#include "clock.h"
#include "contract.h"
#include "log.h"
#include "role.h"
#include "trouble.h"

#define ERROR_SIZE 512
#define SCRAM_WORKS_SINCE 0x020601ff
#define TOPIC_COUNT 6
#define TOPIC_PREFIX "topic."
#define ANSWER_WAIT_MS 100

/* As in connections to PostgreSQL (database.c). */
#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3
#define UNANSWERED_MS 30000

typedef struct KafkaDefault
{
	const char *name;
	const char *value;
} KafkaDefault;

/*
 * What a kafka.* setting may change.  A reader whose short queue was full waits
 * by fetch.queue.backoff.ms, a second if nothing is said; libraries before 2.2
 * refuse it, and go by fetch.error.backoff.ms.
 */
static const KafkaDefault defaults[] = {
	{"fetch.queue.backoff.ms", "50"},
	{"client.id", "bank-bridge"},
	{"socket.keepalive.enable", "true"},
	{"socket.nagle.disable", "true"},
	{"reconnect.backoff.max.ms", "2000"},
};

/* A library built without lz4 refuses it, and sends uncompressed. */
static const KafkaDefault producer_defaults[] = {
	{"linger.ms", "5"},
	{"compression.codec", "lz4"},
	{"batch.size", "131072"},	/* gets through a line of 1 kB/s in a minute */
};

/* Promises of delivery, order and memory rest on these. */
static const char *const reserved[] = {
	"enable.idempotence", "enable.gapless.guarantee", "acks",
	"request.required.acks", "message.timeout.ms", "delivery.timeout.ms",
	"partitioner", "transactional.id", "transaction.timeout.ms", "retries",
	"message.send.max.retries", "max.in.flight",
	"max.in.flight.requests.per.connection", "group.id", "group.instance.id",
	"enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset",
	"isolation.level", "queue.buffering.max.messages",
	"queue.buffering.max.kbytes", "delivery.report.only.error",
	"enable.partition.eof", "consume.callback.max.messages",
	"allow.auto.create.topics"
};

/* The library takes a topic's property under this prefix too. */
bool
bridge_kafka_reserved(const char *name)
{
	if (strncmp(name, TOPIC_PREFIX, strlen(TOPIC_PREFIX)) == 0)
		name += strlen(TOPIC_PREFIX);
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(name, reserved[i]) == 0)
			return true;
	return false;
}

static void
write_log(const rd_kafka_t *client, int level, const char *facility,
		  const char *text)
{
	BridgeLogLevel ours = BRIDGE_LOG_DEBUG;

	(void) client;

	/* Each role has clients of both types, and one set of properties. */
	if (strcmp(facility, "CONFWARN") == 0)
		return;
	if (level <= LOG_ERR)
		ours = BRIDGE_LOG_ERROR;
	else if (level <= LOG_WARNING)
		ours = BRIDGE_LOG_WARNING;
	else if (level <= LOG_INFO)
		ours = BRIDGE_LOG_INFO;
	bridge_log(ours, "kafka client", "facility=%s text=%s", facility, text);
}

bool
bridge_kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		error[ERROR_SIZE];

	if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) ==
		RD_KAFKA_CONF_OK)
		return true;
	bridge_log(BRIDGE_LOG_ERROR, "kafka client refuses a property",
			   "property=%s error=%s", name, error);
	return false;
}

static void
set_defaults(rd_kafka_conf_t *conf, const KafkaDefault *list, size_t count)
{
	char		error[ERROR_SIZE];

	for (size_t i = 0; i < count; i++)
		rd_kafka_conf_set(conf, list[i].name, list[i].value, error,
						  sizeof(error));
}

/* Sets what the configuration says; frees conf where that is refused. */
static rd_kafka_conf_t *
set_configured(rd_kafka_conf_t *conf, const BridgeConfig *config)
{
	for (size_t i = 0; i < config->kafka_count; i++)
	{
		if (!bridge_kafka_set(conf, config->kafka[i].name,
							  config->kafka[i].value))
		{
			rd_kafka_conf_destroy(conf);
			return NULL;
		}
	}
	return conf;
}

static void
set_option(int fd, int option, int value)
{
	setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

/* A broker whose packets are lost is given up after half a minute. */
static int
open_socket(int domain, int type, int protocol, void *opaque)
{
	int			fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	(void) opaque;
	if (fd < 0)
		return fd;
	set_option(fd, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_option(fd, TCP_KEEPCNT, KEEPALIVE_COUNT);
	set_option(fd, TCP_USER_TIMEOUT, UNANSWERED_MS);
	return fd;
}

/* Heard where the client is polled. */
static void
note_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
	(void) client;
	(void) opaque;
	if (!bridge_trouble_note((rd_kafka_resp_err_t) error, "bank.*"))
		bridge_log(BRIDGE_LOG_WARNING, "kafka reports an error",
				   "error=%s reason=%s", rd_kafka_err2name(error), reason);
}

/* A topic that a broker makes by itself is not as init makes it. */
static rd_kafka_conf_t *
new_conf(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	bridge_kafka_set(conf, "allow.auto.create.topics", "false");
	rd_kafka_conf_set_log_cb(conf, write_log);
	rd_kafka_conf_set_error_cb(conf, note_error);
	rd_kafka_conf_set_socket_cb(conf, open_socket);
	set_defaults(conf, defaults, sizeof(defaults) / sizeof(defaults[0]));
	return conf;
}

rd_kafka_conf_t *
bridge_kafka_conf(const BridgeConfig *config)
{
	return set_configured(new_conf(), config);
}

rd_kafka_conf_t *
bridge_kafka_producer_conf(const BridgeConfig *config)
{
	rd_kafka_conf_t *conf = new_conf();

	set_defaults(conf, producer_defaults,
				 sizeof(producer_defaults) / sizeof(producer_defaults[0]));
	return set_configured(conf, config);
}

/*
 * Before 2.6.1 the library sent its part of the nonce twice, which brokers
 * since 3.7.2 and 3.8.1 take for a wrong password.
 */
static void
warn_of_scram(const rd_kafka_conf_t *conf)
{
	static bool warned;
	char		mechanism[32] = "";
	size_t		size = sizeof(mechanism);

	if (warned || rd_kafka_version() >= SCRAM_WORKS_SINCE ||
		rd_kafka_conf_get(conf, "sasl.mechanisms", mechanism, &size) !=
		RD_KAFKA_CONF_OK || strncmp(mechanism, "SCRAM", 5) != 0)
		return;
	warned = true;
	bridge_log(BRIDGE_LOG_WARNING, "librdkafka before 2.6.1 cannot log in by SCRAM"
			   " where the broker is of 3.7.2, 3.8.1 or later",
			   "library=%s hint=%s", rd_kafka_version_str(),
			   "Use PLAIN over SSL, a client certificate, or a later library.");
}

rd_kafka_t *
bridge_kafka_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char		error[ERROR_SIZE];
	rd_kafka_t *client;

	warn_of_scram(conf);
	client = rd_kafka_new(type, conf, error, sizeof(error));

	if (client == NULL)
	{
		bridge_log(BRIDGE_LOG_ERROR, "could not make a kafka client",
				   "error=%s", error);
		rd_kafka_conf_destroy(conf);
	}
	return client;
}

rd_kafka_resp_err_t
bridge_kafka_send(rd_kafka_t *producer, const BridgeKafkaRecord *record,
				  void *opaque)
{
	rd_kafka_headers_t *headers = record->headers == NULL ? NULL :
	rd_kafka_headers_copy(record->headers);
	rd_kafka_resp_err_t error;

	error = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(record->topic),
							  RD_KAFKA_V_PARTITION(record->partition),
							  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
							  RD_KAFKA_V_KEY(record->key, record->key_length),
							  RD_KAFKA_V_VALUE((void *) record->value,
											   record->value_length),
							  RD_KAFKA_V_HEADERS(headers),
							  RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL)
		rd_kafka_headers_destroy(headers);
	return error;
}

static void
note_delivery(rd_kafka_t *client, const rd_kafka_message_t *message,
			  void *opaque)
{
	(void) client;
	(void) opaque;
	*(rd_kafka_resp_err_t *) message->_private = message->err;
}

static rd_kafka_t *
create_writer(const BridgeConfig *config)
{
	rd_kafka_conf_t *conf = bridge_kafka_conf(config);

	if (conf == NULL)
		return NULL;
	bridge_kafka_set(conf, "acks", "all");
	bridge_kafka_set(conf, "partitioner", "murmur2_random");
	rd_kafka_conf_set_dr_msg_cb(conf, note_delivery);
	return bridge_kafka_client(RD_KAFKA_PRODUCER, conf);
}

bool
bridge_kafka_write(const BridgeConfig *config, const BridgeKafkaRecord *record)
{
	rd_kafka_t *client = create_writer(config);
	rd_kafka_resp_err_t delivered = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_resp_err_t error;

	if (client == NULL)
		return false;
	error = bridge_kafka_send(client, record, &delivered);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_flush(client, BRIDGE_ASK_LIMIT_MS);
	else
		delivered = error;
	rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_poll(client, 0);
	rd_kafka_destroy(client);
	if (delivered != RD_KAFKA_RESP_ERR_NO_ERROR)
		bridge_log(BRIDGE_LOG_ERROR, "could not write a record",
				   "topic=%s error=%s", record->topic,
				   rd_kafka_err2str(delivered));
	return delivered == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool
set_topic(rd_kafka_NewTopic_t *topic, const char *name, int64_t value)
{
	char		text[32];

	snprintf(text, sizeof(text), "%lld", (long long) value);
	return rd_kafka_NewTopic_set_config(topic, name, text) ==
		RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_NewTopic_t *
new_topic(const BridgeConfig *config, const char *name, int64_t partitions,
		  bool compacted)
{
	char		error[ERROR_SIZE];
	rd_kafka_NewTopic_t *topic =
	rd_kafka_NewTopic_new(name, (int) partitions,
						  (int) config->topics_replication_factor,
						  error, sizeof(error));

	if (topic == NULL)
	{
		bridge_log(BRIDGE_LOG_ERROR, "could not describe a topic",
				   "topic=%s error=%s", name, error);
		return NULL;
	}
	rd_kafka_NewTopic_set_config(topic, "cleanup.policy",
								 compacted ? "compact" : "delete");
	if (compacted)
		set_topic(topic, "min.compaction.lag.ms",
				  config->topics_compaction_lag_ms);
	if (config->topics_min_insync_replicas > 0)
		set_topic(topic, "min.insync.replicas",
				  config->topics_min_insync_replicas);
	return topic;
}

static bool
describe_topics(const BridgeConfig *config, rd_kafka_NewTopic_t **topics)
{
	int64_t		partitions = config->topics_partitions;

	topics[0] = new_topic(config, BANK_TOPIC_ACCOUNTS, partitions, true);
	topics[1] = new_topic(config, BANK_TOPIC_BALANCES, partitions, true);
	topics[2] = new_topic(config, BANK_TOPIC_TRANSFERS, partitions, false);
	topics[3] = new_topic(config, BANK_TOPIC_DEAD, partitions, false);
	topics[4] = new_topic(config, BANK_TOPIC_BRIDGE, 1, true);
	topics[5] = new_topic(config, BANK_TOPIC_SEALS, 1, false);
	for (int i = 0; i < TOPIC_COUNT; i++)
		if (topics[i] == NULL)
			return false;
	return set_topic(topics[2], "retention.ms",
					 config->topics_transfers_retention_ms) &&
		set_topic(topics[3], "retention.ms", -1) &&
		set_topic(topics[5], "retention.ms", -1);
}

/* Logs what became of each topic; one that exists is kept as it is. */
static bool
judge_topics(rd_kafka_event_t *event)
{
	const		rd_kafka_CreateTopics_result_t *result =
	rd_kafka_event_CreateTopics_result(event);
	const		rd_kafka_topic_result_t **topics;
	size_t		count = 0;
	bool		done = true;

	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		bridge_log(BRIDGE_LOG_ERROR, "could not make the topics", "error=%s",
				   rd_kafka_event_error_string(event));
		return false;
	}
	topics = rd_kafka_CreateTopics_result_topics(result, &count);
	for (size_t i = 0; i < count; i++)
	{
		rd_kafka_resp_err_t error = rd_kafka_topic_result_error(topics[i]);
		bool		kept = error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;

		if (error != RD_KAFKA_RESP_ERR_NO_ERROR && !kept)
			done = false;
		bridge_log(error == RD_KAFKA_RESP_ERR_NO_ERROR || kept ?
				   BRIDGE_LOG_INFO : BRIDGE_LOG_ERROR,
				   "topic", "topic=%s result=%s",
				   rd_kafka_topic_result_name(topics[i]),
				   kept ? "kept" : rd_kafka_err2name(error));
	}
	return done;
}

static bool
request_topics(rd_kafka_t *client, rd_kafka_NewTopic_t **topics, int timeout_ms)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_AdminOptions_t *options =
	rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_event_t *event;
	char		error[ERROR_SIZE];
	bool		done = false;

	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms,
											  error, sizeof(error));
	rd_kafka_CreateTopics(client, topics, TOPIC_COUNT, options, queue);
	event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
	if (event != NULL)
		done = judge_topics(event);
	else
		bridge_log(BRIDGE_LOG_ERROR, "kafka gave no answer", "timeout_ms=%d",
				   timeout_ms);
	rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return done;
}

/* All partitions of some topics, as they have been counted. */
static rd_kafka_topic_partition_list_t *
list_partitions(rd_kafka_topic_t *const *topics, const int *counts)
{
	rd_kafka_topic_partition_list_t *list =
	rd_kafka_topic_partition_list_new(TOPIC_COUNT);

	for (int t = 0; t < TOPIC_COUNT; t++)
		for (int i = 0; i < counts[t]; i++)
			rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(topics[t]), i);
	return list;
}

/* Whether every partition has a leader that answers. */
static bool
topics_answer(rd_kafka_t *client, rd_kafka_topic_t *const *topics)
{
	int			counts[TOPIC_COUNT];
	int			wrong;
	rd_kafka_topic_partition_list_t *list;
	bool		answer;

	if (bridge_ask_counts(client, topics, counts, TOPIC_COUNT, &wrong, NULL) !=
		RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	list = list_partitions(topics, counts);
	answer = bridge_ask_offsets(client, list, RD_KAFKA_OFFSET_END, NULL) ==
		RD_KAFKA_RESP_ERR_NO_ERROR;
	rd_kafka_topic_partition_list_destroy(list);
	return answer;
}

/* What was made a moment ago may have no leader yet. */
static void
wait_for_topics(rd_kafka_t *client, int timeout_ms)
{
	static const char *const names[TOPIC_COUNT] = {
		BANK_TOPIC_ACCOUNTS, BANK_TOPIC_BALANCES, BANK_TOPIC_TRANSFERS,
		BANK_TOPIC_DEAD, BANK_TOPIC_BRIDGE, BANK_TOPIC_SEALS
	};
	rd_kafka_topic_t *topics[TOPIC_COUNT];
	int64_t		deadline = bridge_clock_ms() + timeout_ms;
	bool		ready;

	for (int i = 0; i < TOPIC_COUNT; i++)
		topics[i] = rd_kafka_topic_new(client, names[i], NULL);
	while (!(ready = topics_answer(client, topics)) && bridge_clock_ms() < deadline)
		bridge_stop_sleep(ANSWER_WAIT_MS);
	if (!ready)
		bridge_log(BRIDGE_LOG_WARNING, "a topic has no leader that answers", NULL);
	for (int i = 0; i < TOPIC_COUNT; i++)
		rd_kafka_topic_destroy(topics[i]);
}

bool
bridge_kafka_create_topics(const BridgeConfig *config, int timeout_ms)
{
	rd_kafka_NewTopic_t *topics[TOPIC_COUNT] = {NULL};
	rd_kafka_conf_t *conf = bridge_kafka_conf(config);
	rd_kafka_t *client =
	conf != NULL ? bridge_kafka_client(RD_KAFKA_PRODUCER, conf) : NULL;
	bool		done = false;

	if (client == NULL)
		return false;
	if (describe_topics(config, topics))
		done = request_topics(client, topics, timeout_ms);
	if (done)
		wait_for_topics(client, timeout_ms);
	for (int i = 0; i < TOPIC_COUNT; i++)
		if (topics[i] != NULL)
			rd_kafka_NewTopic_destroy(topics[i]);
	rd_kafka_destroy(client);
	return done;
}
