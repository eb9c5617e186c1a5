/* The position record, the epoch it tells, and which one is a last word. */
#include "position.h"

#include <string.h>

#include "metrics.h"
#include "mock.h"
#include "role.h"
#include "tap.h"

static Mock mock;

static BridgePosition
sample(void)
{
	static const BridgePublication publication = {"16401 731 16402 4294967295"};

	return (BridgePosition)
	{
		.lsn = UINT64_C(0x1F000000A0), .epoch = 3,
			.epoch_lsn = UINT64_C(0x1F00000001),
			.system_identifier = INT64_MIN, .timeline = 2,
			.publication = publication
	};
}

static void
test_round_trip(void)
{
	BridgePosition position = sample();
	BridgePosition back = {0};
	char		text[BRIDGE_POSITION_SIZE];
	size_t		length = bridge_position_format(&position, text);

	tap_is_text(text, "{\"slot\":\"bank_bridge\",\"lsn\":\"1F/A0\",\"epoch\":3,"
				"\"epoch_lsn\":\"1F/1\","
				"\"system_identifier\":\"-9223372036854775808\","
				"\"timeline\":2,\"publication\":\"16401 731 16402 4294967295\"}",
				"text of a record");
	tap_ok(bridge_position_parse(text, length, &back), "it is read again");
	tap_ok(back.lsn == position.lsn && back.epoch == position.epoch &&
		   back.epoch_lsn == position.epoch_lsn &&
		   back.system_identifier == position.system_identifier &&
		   back.timeline == position.timeline, "and says the same");
	tap_is_text(back.publication.rows, position.publication.rows, "of the publication too");
	tap_ok(!bridge_position_parse(text, length - 1, &back), "a cut record");
	tap_ok(!bridge_position_parse("{}", 2, &back), "an empty one");
}

/* As an older bridge writes it, and with something more. */
#define OLD "{\"lsn\":\"1F/A0\",\"epoch\":3,\"epoch_lsn\":\"1F/1\"," \
	"\"system_identifier\":\"1\",\"timeline\":2"

static void
test_record_without_publication(void)
{
	static const char old[] = OLD "}";
	static const char odd[] = OLD ",\"publication\":\"1 \\\"2\"}";
	BridgePosition back = sample();

	tap_ok(bridge_position_parse(old, strlen(old), &back), "an older bridge's record");
	tap_is_text(back.publication.rows, "", "says nothing of the publication");
	tap_ok(!bridge_position_parse(odd, strlen(odd), &back), "one that is none");
}

static void
test_last_word(void)
{
	BridgePosition position = sample();
	BridgePosition back = {0};
	char		text[BRIDGE_POSITION_SIZE];
	size_t		length = bridge_position_format(&position, text);

	bridge_position_parse(text, length, &back);
	tap_ok(back.ended_at == 0, "a record is no last word");
	position.ended_at = INT64_MAX;
	length = bridge_position_format(&position, text);
	tap_ok(bridge_position_parse(text, length, &back) && back.ended_at == INT64_MAX,
		   "unless it says so");
}

/* Writes a record, and gives what is read of the last word then. */
static int64_t
last_word_after(uint64_t lsn, int64_t ended_at)
{
	BridgeEnds	none = {0};
	BridgePosition position = sample();
	BridgePosition found = {0};

	position.lsn = lsn;
	position.ended_at = ended_at;
	if (!bridge_position_write(&mock.config, &position, &none) ||
		bridge_position_read(&mock.config, &found, NULL, NULL) != BRIDGE_POSITION_FOUND)
		return -1;
	return found.ended_at;
}

static void
test_last_word_in_kafka(void)
{
	uint64_t	lsn = sample().lsn;

	tap_is_int(last_word_after(lsn, 0), 0, "nobody has ended");
	tap_is_int(last_word_after(lsn, 1), 1, "a last word behind its writer's record");
	tap_is_int(last_word_after(lsn, 0), 0, "is over once somebody begins");
	tap_is_int(last_word_after(lsn, 2), 0, "and none where somebody began before it");
	tap_is_int(last_word_after(lsn, 4), 4, "another one");
	tap_is_int(last_word_after(lsn - 1, 0), 0, "a record written late ends it too");
	tap_is_int(last_word_after(lsn - 1, 6), 0, "and is no last word itself");
}

static void
test_epoch(void)
{
	BridgePosition position = sample();

	tap_is_int(bridge_position_epoch_at(&position, position.lsn), 3,
			   "the last epoch");
	tap_is_int(bridge_position_epoch_at(&position, position.epoch_lsn), 3,
			   "from where it begins");
	tap_is_int(bridge_position_epoch_at(&position, position.epoch_lsn - 1), 2,
			   "the one before, before that");
	position.epoch_lsn = 0;
	tap_is_int(bridge_position_epoch_at(&position, 0), 3,
			   "one that began before the slot");
}

static void
test_late(void)
{
	BridgePosition before = sample();
	BridgePosition record = sample();

	tap_ok(!bridge_position_is_late(&record, &before), "the same again is not late");
	record.lsn = before.lsn - 1;
	tap_ok(bridge_position_is_late(&record, &before), "one that says less is");
	record.timeline = 3;
	tap_ok(!bridge_position_is_late(&record, &before), "another timeline's is not");
	record.epoch = 2;
	tap_ok(bridge_position_is_late(&record, &before), "an older epoch's is");
	record.epoch = 4;
	tap_ok(!bridge_position_is_late(&record, &before), "a newer epoch's is not");

	before.epoch_lsn = before.lsn + 100;
	record = sample();
	record.lsn = before.lsn + 50;
	record.epoch = 2;
	tap_ok(!bridge_position_is_late(&record, &before),
		   "nor one from before an epoch that was only read");
}

static void
test_refute(void)
{
	BridgePosition position = sample();
	BridgePosition ledger = sample();

	tap_ok(bridge_position_refute(&position, &ledger) == NULL, "the ledger it is of");
	ledger.lsn++;
	tap_ok(bridge_position_refute(&position, &ledger) == NULL, "that has gone on");
	ledger.lsn = position.lsn - 1;
	tap_is_text(bridge_position_refute(&position, &ledger),
				"WAL ends before what was published", "that was brought back");
	ledger = position;
	ledger.timeline++;
	tap_is_text(bridge_position_refute(&position, &ledger),
				"position record is of another system or timeline",
				"another timeline");
	ledger = position;
	ledger.system_identifier++;
	tap_is_text(bridge_position_refute(&position, &ledger),
				"position record is of another system or timeline",
				"another system");
}

int
main(void)
{
	test_refute();
	test_late();
	test_round_trip();
	test_record_without_publication();
	test_last_word();
	test_epoch();
	bridge_metrics_create();
	bridge_stop_catch(-1, 0);
	mock_start(&mock, 1, "");
	rd_kafka_mock_topic_create(mock.cluster, BANK_TOPIC_BRIDGE, 1, 1);
	test_last_word_in_kafka();
	mock_stop(&mock);
	return tap_done();
}
