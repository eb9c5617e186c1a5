/*
 * What the producer takes for written, against librdkafka's mock broker, which
 * as a broker that knows nothing of a producer accepts any sequence.
 */
#include "producer.h"

#include <poll.h>

#include "clock.h"
#include "contract.h"
#include "kafka.h"
#include "metrics.h"
#include "mock.h"
#include "tap.h"

#define KEY "6f9619ff-8b86-4011-b42d-00c04fc964ff"
#define PRODUCE_REQUEST 0
#define RTT_MS 300
#define DEADLINE_MS 30000

static Mock mock;
static BridgeProducer producer;

static void
serve_for(int milliseconds, bool until_end)
{
	int64_t		deadline = bridge_clock_ms() + milliseconds;
	struct pollfd fd = {.fd = bridge_producer_fd(&producer), .events = POLLIN};

	while (bridge_clock_ms() < deadline && !producer.failed &&
		   !(until_end && !bridge_producer_is_waiting(&producer)))
	{
		poll(&fd, 1, 10);
		bridge_producer_serve(&producer);
	}
}

static void
send_event(const char *id)
{
	BridgeEvent event = {
		.topic = BANK_TOPIC_TRANSFERS, .type = "t", .key = KEY,
		.time = "2026-01-01T00:00:00.000000Z", .value = "{}", .value_length = 2,
		.id_length = strlen(id)
	};

	snprintf(event.id, sizeof(event.id), "%s", id);
	bridge_inflight_begin(&producer.inflight);
	bridge_producer_send(&producer, &event, "0/64", 0);
	bridge_inflight_commit(&producer.inflight, 101);
}

static void
test_placed(void)
{
	bridge_producer_create(&producer, &mock.config);
	send_event("a");
	send_event("b");
	serve_for(DEADLINE_MS, true);
	tap_ok(!producer.failed, "records are written");
	tap_is_int((int64_t) producer.inflight.safe_lsn, 101, "and safe");
	bridge_producer_free(&producer);
}

/* What another one writes in between is noticed. */
static void
test_foreign(void)
{
	BridgeKafkaRecord record = {
		.topic = BANK_TOPIC_TRANSFERS, .partition = 0, .key = KEY,
		.key_length = strlen(KEY), .value = "{}", .value_length = 2
	};

	bridge_producer_create(&producer, &mock.config);
	send_event("first");
	serve_for(DEADLINE_MS, true);
	tap_is_int(bridge_metrics_get(BRIDGE_METRIC_PUBLISH_FOREIGN), 0,
			   "what was there at the start is nobody's");
	bridge_kafka_write(&mock.config, &record);
	send_event("second");
	serve_for(DEADLINE_MS, true);
	tap_is_int(bridge_metrics_get(BRIDGE_METRIC_PUBLISH_FOREIGN), 1,
			   "a record of somebody else is counted");
	tap_ok(!producer.failed, "and ends nothing");
	bridge_producer_free(&producer);
}

/* The first request is refused for now, the second comes before it is repeated. */
static void
test_unplaced(void)
{
	bridge_producer_create(&producer, &mock.config);
	send_event("before");
	serve_for(DEADLINE_MS, true);
	bridge_producer_free(&producer);
	bridge_producer_create(&producer, &mock.config);
	rd_kafka_mock_broker_set_rtt(mock.cluster, 1, RTT_MS);
	serve_for(6 * RTT_MS, false);
	rd_kafka_mock_push_request_errors(mock.cluster, PRODUCE_REQUEST, 1,
									  RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
	send_event("overtaken");
	serve_for(RTT_MS / 3, false);
	send_event("later");
	serve_for(DEADLINE_MS, true);
	tap_ok(producer.failed, "a record whose place nobody says ends the role");
	tap_is_int(producer.code, BRIDGE_EXIT_KAFKA, "with the code for Kafka");
	tap_is_int((int64_t) producer.inflight.safe_lsn, 0, "and nothing is confirmed");
	bridge_producer_free(&producer);
}

int
main(void)
{
	bridge_metrics_create();
	mock_start(&mock, 1, "linger.ms = 0");
	test_placed();
	test_foreign();
	test_unplaced();
	mock_stop(&mock);
	return tap_done();
}
