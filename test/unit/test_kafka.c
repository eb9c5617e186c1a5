/* What is set of librdkafka, and what a setting may not change of it. */
#include "kafka.h"

#include "tap.h"

/* The brokers' default lets whoever asks for a topic make it. */
static void
test_topics_are_not_made(rd_kafka_conf_t *conf, const char *name)
{
	char		value[8] = "";
	size_t		size = sizeof(value);

	rd_kafka_conf_get(conf, "allow.auto.create.topics", value, &size);
	tap_is_text(value, "false", name);
	rd_kafka_conf_destroy(conf);
}

int
main(void)
{
	BridgeConfig config = {0};

	test_topics_are_not_made(bridge_kafka_conf(&config), "a client makes no topic");
	test_topics_are_not_made(bridge_kafka_producer_conf(&config), "nor does a producer");
	tap_ok(bridge_kafka_reserved("acks"), "acks");
	tap_ok(bridge_kafka_reserved("topic.acks"), "and as a topic's");
	tap_ok(!bridge_kafka_reserved("linger.ms"), "not how long records gather");
	tap_ok(!bridge_kafka_reserved("topic.metadata.refresh.interval.ms"),
		   "nor what only begins so");
	return tap_done();
}
