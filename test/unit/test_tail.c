/*
 * What is in Kafka already, against librdkafka's mock broker: records written
 * as publish writes them, and the questions publish asks after a restart.
 */
#include "tail.h"

#include "clock.h"
#include "contract.h"
#include "kafka.h"
#include "metrics.h"
#include "mock.h"
#include "role.h"
#include "tap.h"

#define PARTITIONS 2
#define RTT_MS 300
#define ROUNDS 16
#define MANY_PARTITIONS 8
#define BRIEFLY 30				/* beats, of which a tick has some */
#define ACCOUNT "6f9619ff-8b86-4011-b42d-00c04fc964ff"
#define OTHER "7f9619ff-8b86-4011-b42d-00c04fc964ff"

static Mock mock;

/* A balance of the account as publish writes it; id NULL: no headers. */
static void
write_balance(const char *account, int version, int epoch, int lsn,
			  const char *id)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
	char		value[256];
	char		text[24];
	int			length = snprintf(value, sizeof(value),
								  "{\"account_id\":\"%s\",\"epoch\":%d,"
								  "\"version\":%d}", account, epoch, version);
	BridgeKafkaRecord record = {
		.topic = BANK_TOPIC_BALANCES, .partition = RD_KAFKA_PARTITION_UA,
		.key = account, .key_length = BANK_UUID_LENGTH, .value = value,
		.value_length = (size_t) length, .headers = id == NULL ? NULL : headers
	};

	snprintf(text, sizeof(text), "0/%X", (unsigned) lsn);
	rd_kafka_header_add(headers, "bank_lsn", -1, text, -1);
	rd_kafka_header_add(headers, "bank_index", -1, "0", -1);
	rd_kafka_header_add(headers, "ce_id", -1, id, id == NULL ? 0 : -1);
	bridge_kafka_write(&mock.config, &record);
	rd_kafka_headers_destroy(headers);
}

/* What another role has buried says no place in the stream. */
static void
write_letter(void)
{
	BridgeKafkaRecord record = {
		.topic = BANK_TOPIC_DEAD, .partition = 0, .key = "k", .key_length = 1,
		.value = "v", .value_length = 1
	};

	bridge_kafka_write(&mock.config, &record);
}

static BridgeTailAnswer
ask(BridgeTail *tail, const char *account, int version, int epoch, int lsn,
	const char *id)
{
	BridgeTailQuestion question = {
		.topic = BANK_TOPIC_BALANCES, .key = account, .id = id,
		.id_length = strlen(id), .version = version,
		.place = {epoch, (uint64_t) lsn, 0}
	};

	return bridge_tail_ask(tail, &question);
}

static BridgeTail *
open_from(int epoch, int lsn)
{
	BridgePlace from = {epoch, (uint64_t) lsn, 0};
	BridgeEnds	ends = {0};
	BridgeTailWait wait = {0};
	BridgeTail *tail;

	if (!bridge_tail_open(&mock.config, &from, &ends, NULL, &wait, &tail))
		tap_ok(false, "the tail is opened");
	bridge_ends_free(&ends);
	return tail;
}

static void
test_nothing(void)
{
	tap_ok(open_from(1, 1) == NULL, "an empty topic has no tail");
	write_balance(ACCOUNT, 1, 1, 100, "a1");
	tap_ok(open_from(1, 101) == NULL, "what was confirmed is no tail");
}

static void
test_tail(void)
{
	BridgeTail *tail;
	BridgePlace behind = {1, 231, 0};

	for (int i = 2; i < 30; i++)
		write_balance(ACCOUNT, i, 1, 100 + i, "a");
	write_balance(OTHER, 5, 1, 120, NULL);
	write_balance(ACCOUNT, 30, 1, 230, "a30");
	write_balance(ACCOUNT, 1, 1, 1, NULL);
	write_letter();
	tail = open_from(1, 129);
	tap_is_int(ask(tail, ACCOUNT, 29, 1, 129, "a"), BRIDGE_TAIL_PRESENT,
			   "what is there is not sent");
	tap_is_int(ask(tail, ACCOUNT, 29, 1, 150, "a"), BRIDGE_TAIL_PRESENT,
			   "nor what is below the highest version of its account");
	tap_is_int(ask(tail, OTHER, 6, 1, 160, "o6"), BRIDGE_TAIL_LACKING,
			   "another account has its own");
	tap_is_int(ask(tail, ACCOUNT, 31, 1, 170, "a31"), BRIDGE_TAIL_LACKING,
			   "what fits into a hole is sent");
	tap_is_int(ask(tail, ACCOUNT, 30, 1, 230, "a30"), BRIDGE_TAIL_PRESENT,
			   "after a hole the records are found again");
	tap_is_int(ask(tail, ACCOUNT, 31, 1, 231, "a31"), BRIDGE_TAIL_LACKING,
			   "behind the end everything is sent");
	tap_ok(bridge_tail_ends_before(tail, &behind),
		   "and the tail is over, whatever stands at the end that says no place");
	bridge_tail_close(tail);
}

static void
test_another(void)
{
	BridgeTail *tail = open_from(1, 105);

	tap_is_int(ask(tail, ACCOUNT, 7, 1, 107, "x"), BRIDGE_TAIL_LOST,
			   "another record in the same place is named");
	bridge_tail_close(tail);
}

static void
test_epochs(void)
{
	BridgeTail *tail;

	tap_ok(open_from(2, 1) == NULL, "records of an older epoch are behind");
	write_balance(ACCOUNT, 9, 2, 50, "b9");
	tail = open_from(2, 10);
	tap_is_int(ask(tail, ACCOUNT, 9, 2, 50, "b9"), BRIDGE_TAIL_PRESENT,
			   "a lower LSN of a later epoch is found");
	bridge_tail_close(tail);
	write_balance(ACCOUNT, 10, 2, 60, "b10");
	write_balance(ACCOUNT, 12, 1, 300, "a12");
	write_balance(ACCOUNT, 10, 2, 70, "b10");
	tail = open_from(2, 51);
	tap_is_int(ask(tail, ACCOUNT, 11, 2, 55, "b11"), BRIDGE_TAIL_LACKING,
			   "a version of an older epoch, written late, says nothing of this one");
	bridge_tail_close(tail);
}

/* Counts how often it is called, and wants no answer after some. */
typedef struct Beats
{
	int			count;
	int			limit;
	BridgeTailWait wait;
	bool		reasoned;		/* a long wait was under way */
} Beats;

static bool
beat(void *context)
{
	Beats	   *beats = context;

	beats->reasoned = beats->reasoned || beats->wait.reason != NULL;
	return ++beats->count <= beats->limit;
}

static bool
open_beside(Beats *beats)
{
	BridgePulse pulse = {beat, beats};
	BridgePlace from = {2, 10, 0};
	BridgeEnds	ends = {0};
	BridgeTail *tail;
	bool		opened = bridge_tail_open(&mock.config, &from, &ends, &pulse,
										  &beats->wait, &tail);

	bridge_tail_close(tail);
	bridge_ends_free(&ends);
	return opened;
}

/* A question a partition would take as many times as long. */
static void
test_slow_network(void)
{
	Beats		beats = {.limit = 10000};
	char		account[BANK_UUID_SIZE] = ACCOUNT;
	int64_t		began;

	for (int i = 0; i < 3 * MANY_PARTITIONS; i++)
	{
		account[0] = (char) ('a' + i % MANY_PARTITIONS);
		write_balance(account, i + 1, 2, 60 + i, "c");
	}
	rd_kafka_mock_broker_set_rtt(mock.cluster, 1, RTT_MS);
	began = bridge_clock_ms();
	tap_ok(open_beside(&beats), "a slow network is waited for");
	tap_ok(bridge_clock_ms() - began < ROUNDS * RTT_MS,
		   "for some answers, however many partitions there are");
	tap_ok(beats.count >= 5, "and what must go on goes on");
	beats = (Beats)
	{
		.limit = 2
	};
	tap_ok(!open_beside(&beats), "nothing is opened once nobody wants it");
	tap_is_int(beats.count, 3, "and nothing more is asked");
}

/* Leaders of this cluster do not say how long they wait for a replica. */
static void
test_replicas(void)
{
	Beats		beats = {.limit = 10000};
	BridgeEnds	left = {0};

	write_balance(ACCOUNT, 1, 2, 60, "c");
	bridge_tail_ask_ends(&mock.config, &left);
	beats.wait.left = &left;
	tap_ok(open_beside(&beats) && !beats.reasoned,
		   "what an orderly end has left is all there is");
	write_balance(ACCOUNT, 2, 2, 61, "c");
	beats.limit = beats.count + BRIEFLY;
	tap_ok(!open_beside(&beats) && beats.reasoned,
		   "unless something was written since");
	beats = (Beats)
	{
		.limit = BRIEFLY
	};
	tap_ok(!open_beside(&beats) && beats.reasoned,
		   "where nobody said so, what replicas hide is waited for");
	bridge_ends_free(&left);
}

int
main(void)
{
	bridge_metrics_create();
	bridge_stop_catch(-1, 0);
	mock_start(&mock, PARTITIONS, "settle_ms = 50");
	test_nothing();
	test_tail();
	test_another();
	test_epochs();
	mock_stop(&mock);
	mock_start(&mock, MANY_PARTITIONS, "settle_ms = 50");
	test_slow_network();
	mock_stop(&mock);
	mock_start_replicated(&mock, 2, PARTITIONS, "settle_ms = 50");
	test_replicas();
	mock_stop(&mock);
	return tap_done();
}
