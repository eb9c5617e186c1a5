/* The properties of librdkafka that a setting may not change. */
#include "kafka.h"

#include "tap.h"

int
main(void)
{
	tap_ok(bridge_kafka_reserved("acks"), "acks");
	tap_ok(bridge_kafka_reserved("topic.acks"), "and as a topic's");
	tap_ok(!bridge_kafka_reserved("linger.ms"), "not how long records gather");
	tap_ok(!bridge_kafka_reserved("topic.metadata.refresh.interval.ms"),
		   "nor what only begins so");
	return tap_done();
}
