/* Which errors of Kafka last, and how long they are remembered. */
#include "trouble.h"

#include <string.h>

#include "tap.h"

int
main(void)
{
	tap_ok(bridge_trouble_or(NULL) == NULL, "there is none at first");
	tap_ok(!bridge_trouble_note(RD_KAFKA_RESP_ERR__TRANSPORT, "t") &&
		   bridge_trouble_or(NULL) == NULL, "a broker that is away is none");
	tap_ok(bridge_trouble_note(RD_KAFKA_RESP_ERR__AUTHENTICATION, "t"), "a login is");
	tap_ok(!bridge_trouble_note(RD_KAFKA_RESP_ERR__TIMED_OUT, "t"),
		   "what follows from it");
	tap_is_text(bridge_trouble_or("away"), "kafka refuses the login",
				"does not hide it");
	bridge_trouble_note(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "t");
	tap_is_text(bridge_trouble_or("away"), "kafka lacks a topic",
				"another one takes its place");
	bridge_trouble_end();
	tap_is_text(bridge_trouble_or("away"), "away", "and then it is over");
	tap_ok(strstr(bridge_trouble_hint(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE),
				  "max.message.bytes") != NULL, "what helps is told");
	tap_is_text(bridge_trouble_hint(RD_KAFKA_RESP_ERR__TRANSPORT), "",
				"where something does");
	return tap_done();
}
