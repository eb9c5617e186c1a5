/*
 * Opening a topic where the database says, over a slow network too, against
 * librdkafka's mock broker.
 */
#include "consumer.h"

#include "clock.h"
#include "kafka.h"
#include "metrics.h"
#include "mock.h"
#include "role.h"
#include "tap.h"

#define PARTITIONS 6
#define KEY "6f9619ff-8b86-4011-b42d-00c04fc964ff"

/* What once was too slow for the first answer. */
#define RTT_MS 1100
#define ROUNDS 10

static Mock mock;
static BridgeOffsets offsets;

static void
write_record(void)
{
	BridgeKafkaRecord record = {
		.topic = BANK_TOPIC_BALANCES, .partition = 0, .key = KEY,
		.key_length = strlen(KEY), .value = "{}", .value_length = 2
	};

	bridge_kafka_write(&mock.config, &record);
}

static BridgeConsumerState
open_and_close(const BridgePulse *pulse)
{
	BridgeConsumerSpec spec = {
		.config = &mock.config, .topic = BANK_TOPIC_BALANCES, .group = "test",
		.pulse = pulse
	};
	BridgeConsumer *consumer = NULL;
	BridgeConsumerState state = bridge_consumer_open(&spec, &offsets, &consumer);

	bridge_consumer_close(consumer);
	return state;
}

static void
test_offsets(void)
{
	offsets.count = 0;
	tap_is_int(open_and_close(NULL), BRIDGE_CONSUMER_READY, "a topic is opened");
	tap_is_int(offsets.count, PARTITIONS, "all partitions are known");
	tap_ok(offsets.next[0] == 0 && offsets.next[5] == 0, "from their first record on");
	offsets.next[0] = 1;
	tap_is_int(open_and_close(NULL), BRIDGE_CONSUMER_READY, "or from their end on");
	offsets.next[0] = 2;
	tap_is_int(open_and_close(NULL), BRIDGE_CONSUMER_FAILED, "and not behind it");
	offsets.next[0] = 0;
	offsets.count = PARTITIONS + 1;
	tap_is_int(open_and_close(NULL), BRIDGE_CONSUMER_FAILED, "a partition that is gone is missed");
}

static bool
want(void *context)
{
	int		   *left = context;

	return (*left)-- > 0;
}

static void
test_slow_network(void)
{
	int			left = 1000;
	BridgePulse pulse = {want, &left};
	int64_t		began = bridge_clock_ms();

	rd_kafka_mock_broker_set_rtt(mock.cluster, 1, RTT_MS);
	offsets.count = 0;
	tap_is_int(open_and_close(&pulse), BRIDGE_CONSUMER_READY, "a slow network is waited for");
	tap_ok(bridge_clock_ms() - began < ROUNDS * RTT_MS,
		   "for some answers, however many partitions there are");
	tap_ok(left < 1000, "what must go on goes on");
	left = 0;
	tap_is_int(open_and_close(&pulse), BRIDGE_CONSUMER_UNREACHABLE,
			   "nothing is opened once nobody wants it");
}

int
main(void)
{
	bridge_metrics_create();
	bridge_stop_catch(-1, 0);
	mock_start(&mock, PARTITIONS, "");
	write_record();
	test_offsets();
	test_slow_network();
	mock_stop(&mock);
	return tap_done();
}
