/* The ends of partitions, and how the position record tells them. */
#include "ends.h"

#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "tap.h"

static void
test_raise(void)
{
	BridgeEnds	ends = {0};
	int			topic = bridge_ends_find(BANK_TOPIC_TRANSFERS);

	tap_is_int(bridge_ends_find(BANK_TOPIC_DEAD), -1, "dead letters are no events");
	tap_is_int(bridge_ends_get(&ends, topic, 3), 0, "nothing is known at first");
	bridge_ends_raise(&ends, topic, 3, 7);
	bridge_ends_raise(&ends, topic, 3, 5);
	tap_is_int(bridge_ends_get(&ends, topic, 3), 7, "an end never goes back");
	tap_is_int(bridge_ends_get(&ends, topic, 2), 0, "others are not known");
	bridge_ends_free(&ends);
}

static void
test_allow(void)
{
	BridgeEnds	ends = {0};

	tap_ok(bridge_ends_allow(&ends, 1, 2, 5, 40), "anywhere in a partition not known");
	bridge_ends_note(&ends, 1, 2, 5, 40);
	tap_is_int(bridge_ends_get(&ends, 1, 2), 6, "a record noted is before the end");
	tap_ok(bridge_ends_allow(&ends, 1, 2, 6, 41), "the next record, at the end");
	tap_ok(!bridge_ends_allow(&ends, 1, 2, 5, 41), "not in the place of one sent before");
	tap_ok(bridge_ends_allow(&ends, 1, 2, 4, 39), "one acknowledged late, sent before");
	tap_ok(bridge_ends_allow(&ends, 1, 2, 4, 40), "and one of the same transaction");
	bridge_ends_note(&ends, 1, 2, 4, 39);
	tap_is_int(bridge_ends_get(&ends, 1, 2), 6, "which is no step back");
	tap_ok(!bridge_ends_allow(&ends, 1, 2, 5, 41), "nor forgets what was sent");
	bridge_ends_raise(&ends, 1, 3, 9);
	tap_ok(!bridge_ends_allow(&ends, 1, 3, 8, 1), "not before an end found at the start");
	tap_is_int(bridge_ends_gap(&ends, 1, 3, 9), 0, "at the end is no gap");
	tap_is_int(bridge_ends_gap(&ends, 1, 3, 12), 3, "behind it is one");
	tap_is_int(bridge_ends_gap(&ends, 1, 3, 8), 0, "before it is none");
	tap_is_int(bridge_ends_gap(&ends, 1, 4, 12), 0, "nor in a partition not known");
	bridge_ends_free(&ends);
}

static void
test_check(void)
{
	BridgeEnds	known = {0};
	BridgeEnds	found = {0};

	bridge_ends_raise(&known, 1, 2, 10);
	tap_ok(!bridge_ends_check(&known, &found), "a topic that is empty now");
	bridge_ends_raise(&found, 1, 2, 9);
	tap_ok(!bridge_ends_check(&known, &found), "one that lost a record");
	bridge_ends_raise(&found, 1, 2, 10);
	tap_ok(bridge_ends_check(&known, &found), "one as it was");
	bridge_ends_raise(&found, 0, 0, 99);
	tap_ok(bridge_ends_check(&known, &found), "and one that grew");
	tap_ok(!bridge_ends_fall_short(&known, &found, 1), "none of its partitions falls short");
	bridge_ends_raise(&known, 1, 3, 1);
	tap_ok(bridge_ends_fall_short(&known, &found, 1), "one that is not there does");
	tap_ok(!bridge_ends_fall_short(&known, &found, 0), "and not that of another topic");
	bridge_ends_free(&known);
	bridge_ends_free(&found);
}

static void
test_text(void)
{
	BridgeEnds	ends = {0};
	BridgeEnds	back = {0};
	size_t		length;
	char	   *text;

	bridge_ends_raise(&ends, bridge_ends_find(BANK_TOPIC_BALANCES), 1, INT64_MAX);
	bridge_ends_raise(&back, 0, 5, 4);
	text = bridge_ends_append(&ends, "{\"lsn\":\"0/1\"}", &length);
	tap_ok(strstr(text, "{\"lsn\":\"0/1\",\"ends\":{") == text, "a further member");
	bridge_ends_parse(text, length, &back);
	tap_ok(bridge_ends_check(&ends, &back) && bridge_ends_check(&back, &ends),
		   "it is read again, in place of what was known");
	bridge_ends_parse("{\"lsn\":\"0/1\"}", 13, &back);
	tap_is_int(bridge_ends_get(&back, bridge_ends_find(BANK_TOPIC_BALANCES), 1), 0,
			   "a record without it knows nothing");
	free(text);
	bridge_ends_free(&ends);
	bridge_ends_free(&back);
}

int
main(void)
{
	test_raise();
	test_allow();
	test_check();
	test_text();
	return tap_done();
}
