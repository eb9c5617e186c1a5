/*
 * Messages of the plugin that make no event: to bank.dead with their reason,
 * and confirmed after that, or the end of the role.  Against librdkafka's mock
 * broker.
 */
#include "stream.h"

#include <poll.h>

#include "clock.h"
#include "dead.h"
#include "kafka.h"
#include "metrics.h"
#include "mock.h"
#include "tap.h"

#define DEADLINE_MS 30000
#define MESSAGE_SIZE 700000
#define LARGE 600000
#define KEPT 500000

/* Ids of relations, and of types as the server numbers them. */
#define EPOCH 7
#define ACCOUNT_EVENT 8
#define FOREIGN 9
#define INT4 23
#define INT8 20

#define FIRST_LSN 0x100

static Mock mock;
static BridgeProducer producer;
static BridgeStream stream;
static rd_kafka_t *reader;
static rd_kafka_topic_t *dead;

/* The message under way, as the server would send it. */
static char message[MESSAGE_SIZE];
static size_t length;

static void
put(const void *data, size_t size)
{
	memcpy(message + length, data, size);
	length += size;
}

static void
put_number(uint64_t number, int bytes)
{
	for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
		message[length++] = (char) (number >> shift);
}

static void
put_text(const char *text)
{
	put(text, strlen(text) + 1);
}

static void
begin_message(char kind)
{
	length = 0;
	message[length++] = kind;
}

static int
take(void)
{
	return bridge_stream_take(&stream, message, length, 0);
}

static int
take_begin(uint64_t lsn)
{
	begin_message('B');
	put_number(lsn, 8);
	put_number(0, 8);
	put_number(1, 4);
	return take();
}

static int
take_commit(uint64_t lsn)
{
	begin_message('C');
	put_number(0, 1);
	put_number(lsn, 8);
	put_number(lsn + 8, 8);
	put_number(0, 8);
	return take();
}

static void
put_relation(uint32_t id, const char *schema, const char *name, int columns)
{
	begin_message('R');
	put_number(id, 4);
	put_text(schema);
	put_text(name);
	put_number('d', 1);
	put_number((uint64_t) columns, 2);
}

static void
put_column(const char *name, uint32_t type)
{
	put_number(0, 1);
	put_text(name);
	put_number(type, 4);
	put_number(UINT32_MAX, 4);
}

static void
put_row(uint32_t relation_id, int columns)
{
	begin_message('I');
	put_number(relation_id, 4);
	put_number('N', 1);
	put_number((uint64_t) columns, 2);
}

static void
put_value(uint64_t number, int bytes)
{
	put_number('b', 1);
	put_number((uint64_t) bytes, 4);
	put_number(number, bytes);
}

static void
put_words(const char *words)
{
	put_number('b', 1);
	put_number(strlen(words), 4);
	put(words, strlen(words));
}

/* The journal's columns as the server tells them, in the order of the bridge. */
static int
take_journal(uint32_t id, BridgeJournalTable table)
{
	const char *name;
	uint32_t	type;
	int			count = 0;

	while (bridge_journal_column(table, count, &name, &type))
		count++;
	put_relation(id, BANK_LEDGER_SCHEMA, bridge_journal_table_name(table), count);
	for (int i = 0; bridge_journal_column(table, i, &name, &type); i++)
		put_column(name, type);
	return take();
}

/* A row of account_event that says everything, with a kind of our own. */
static void
put_account_event(const char *kind)
{
	put_row(ACCOUNT_EVENT, 10);
	put_words("0123456789abcdef");
	put_number('n', 1);
	put_words(kind);
	put_value(1, 8);
	put_words("BRL");
	put_words("active");
	put_value(0, 8);
	put_value(0, 8);
	put_number('n', 1);
	put_value(0, 8);
}

static void
put_cut(void)
{
	put_row(EPOCH, 1);
	put_value(1, 4);
	length -= 2;
}

static void
put_longer(void)
{
	put_row(EPOCH, 1);
	put_value(1, 4);
	put_number(0, 1);
}

static void
put_unknown_kind(void)
{
	begin_message('X');
	put_text("what is this");
}

static void
put_update(void)
{
	begin_message('U');
	put_number(EPOCH, 4);
}

static void
put_logical_message(void)
{
	begin_message('M');
	put_text("bank.v2");
}

static void
put_untold(void)
{
	put_row(99, 1);
	put_value(1, 4);
}

static void
put_foreign(void)
{
	put_row(FOREIGN, 1);
	put_value(1, 4);
}

static void
put_more_columns(void)
{
	put_row(EPOCH, 2);
	put_value(1, 4);
	put_value(1, 4);
}

static void
put_many_columns(void)
{
	put_row(EPOCH, BRIDGE_PGOUTPUT_COLUMNS + 1);
}

static void
put_wide_number(void)
{
	put_row(EPOCH, 1);
	put_value(1, 8);
}

static void
put_null(void)
{
	put_row(EPOCH, 1);
	put_number('n', 1);
}

static void
put_text_form(void)
{
	put_row(EPOCH, 1);
	put_number('t', 1);
	put_number(1, 4);
	put("1", 1);
}

static void
put_unknown_word(void)
{
	put_account_event("imagined");
}

static void
put_large(void)
{
	put_row(FOREIGN, 1);
	put_number('b', 1);
	put_number(LARGE, 4);
	memset(message + length, 'x', LARGE);
	length += LARGE;
}

typedef struct Poison
{
	void		(*put) (void);
	const char *reason;
} Poison;

static const char foreign[] = "row of a table that is not the journal's";

static const Poison poisons[] = {
	{put_cut, "message is cut short"},
	{put_longer, "message is longer than it says"},
	{put_unknown_kind, "unknown kind of message"},
	{put_logical_message, "unknown kind of message"},
	{put_update, "update, delete or truncate of a journal table"},
	{put_untold, foreign},
	{put_foreign, foreign},
	{put_more_columns, "row of 2 columns of relation 7 has an unknown shape"},
	{put_many_columns, "row has too many columns"},
	{put_wide_number, "value of column epoch.number is not understood"},
	{put_null, "value of column epoch.number is not understood"},
	{put_text_form, "value is in text form"},
	{put_unknown_word, "row has a word that no event knows"},
	{put_large, foreign},
};

#define POISONS ((int) (sizeof(poisons) / sizeof(poisons[0])))

/* Until all is acknowledged, or, sooner, until the producer fails. */
static void
serve(void)
{
	int64_t		deadline = bridge_clock_ms() + DEADLINE_MS;
	struct pollfd fd = {.fd = bridge_producer_fd(&producer), .events = POLLIN};

	while (bridge_clock_ms() < deadline && !producer.failed &&
		   bridge_producer_is_waiting(&producer))
	{
		poll(&fd, 1, 10);
		bridge_producer_serve(&producer);
	}
}

/* A process with a stream that begins at the first LSN, in epoch 1. */
static void
start(void)
{
	bridge_producer_create(&producer, &mock.config);
	bridge_stream_create(&stream, &producer, 1, 0, FIRST_LSN);
	stream.events.site = "test";
	bridge_stream_restart(&stream);
}

static void
stop(void)
{
	bridge_producer_free(&producer);
}

/* What the stream tells of tables before their first rows. */
static void
tell_tables(void)
{
	take_journal(EPOCH, BRIDGE_JOURNAL_EPOCH);
	take_journal(ACCOUNT_EVENT, BRIDGE_JOURNAL_ACCOUNT_EVENT);
	put_relation(FOREIGN, "public", "transfer", 1);
	put_column("number", INT4);
	tap_is_int(take(), BRIDGE_EXIT_OK, "a table of another schema ends nothing");
}

/* The next letter; the tests end without one. */
static rd_kafka_message_t *
read_letter(void)
{
	rd_kafka_message_t *letter = rd_kafka_consume(dead, 0, DEADLINE_MS);

	if (tap_ok(letter != NULL, "a letter is written"))
		return letter;
	exit(tap_done());
}

/* A header of a letter; empty where it has none. */
static const char *
header(const rd_kafka_message_t *letter, const char *name)
{
	static char text[256];
	rd_kafka_headers_t *headers;
	const void *value;
	size_t		size;

	text[0] = '\0';
	if (rd_kafka_message_headers(letter, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
		rd_kafka_header_get_last(headers, name, &value, &size) ==
		RD_KAFKA_RESP_ERR_NO_ERROR)
		snprintf(text, sizeof(text), "%.*s", (int) size, (const char *) value);
	return text;
}

static void
check_letter(const Poison *poison, uint64_t lsn)
{
	rd_kafka_message_t *letter = read_letter();
	char		place[32];

	snprintf(place, sizeof(place), "0/%X:0", (unsigned) lsn);
	poison->put();
	tap_is_text(header(letter, "bank_dead_reason"), poison->reason, poison->reason);
	tap_is_text(header(letter, "bank_dead_place"), place, "with its place");
	tap_ok(letter->len == (length > KEPT ? KEPT : length) &&
		   memcmp(letter->payload, message, letter->len) == 0, "and as it came");
	rd_kafka_message_destroy(letter);
}

/* Each in its own transaction, which is confirmed after the acknowledgement. */
static void
test_poisons(void)
{
	int64_t		before = bridge_metrics_get(BRIDGE_METRIC_PUBLISH_DEAD);
	uint64_t	lsn = FIRST_LSN;

	start();
	tell_tables();
	for (int i = 0; i < POISONS; i++, lsn += 16)
	{
		uint64_t	safe = producer.inflight.safe_lsn;

		take_begin(lsn);
		poisons[i].put();
		tap_is_int(take(), BRIDGE_EXIT_OK, "the stream goes on");
		take_commit(lsn);
		tap_is_int((int64_t) producer.inflight.safe_lsn, (int64_t) safe,
				   "nothing is confirmed before the letter is written");
		serve();
		tap_is_int((int64_t) producer.inflight.safe_lsn, (int64_t) lsn + 8,
				   "but after it");
		check_letter(&poisons[i], lsn);
	}
	tap_is_int(bridge_metrics_get(BRIDGE_METRIC_PUBLISH_DEAD) - before, POISONS,
			   "all are counted");
	stop();
}

static void
test_size(void)
{
	rd_kafka_message_t *letter;
	size_t		size;

	start();
	tell_tables();
	take_begin(FIRST_LSN);
	put_large();
	size = length;
	take();
	take_commit(FIRST_LSN);
	serve();
	letter = read_letter();
	tap_is_int(strtoll(header(letter, "bank_dead_size"), NULL, 10), (int64_t) size,
			   "of what is cut, the size is told");
	rd_kafka_message_destroy(letter);
	stop();
}

/* A connection that was cut in a transaction brings all of it again. */
static void
test_again(void)
{
	int64_t		before = bridge_metrics_get(BRIDGE_METRIC_PUBLISH_DEAD);
	rd_kafka_message_t *letter;

	start();
	tell_tables();
	take_begin(FIRST_LSN);
	put_cut();
	take();
	bridge_stream_restart(&stream);
	tell_tables();
	take_begin(FIRST_LSN);
	put_cut();
	take();
	put_unknown_kind();
	take();
	take_commit(FIRST_LSN);
	take_begin(FIRST_LSN);
	put_cut();
	tap_is_int(take(), BRIDGE_EXIT_OK, "what was sent is passed over");
	take_commit(FIRST_LSN);
	serve();
	tap_is_int(bridge_metrics_get(BRIDGE_METRIC_PUBLISH_DEAD) - before, 2,
			   "no letter is written twice");
	for (int i = 0; i < 2; i++)
	{
		letter = read_letter();
		tap_is_text(header(letter, "bank_index"), i == 0 ? "0" : "1",
					"they are numbered as they came");
		rd_kafka_message_destroy(letter);
	}
	stop();
}

/* Nobody would know where a letter stands. */
static void
test_outside(void)
{
	start();
	tell_tables();
	for (int i = 0; i < POISONS; i++)
	{
		poisons[i].put();
		tap_is_int(take(), BRIDGE_EXIT_FAILED, "outside of a transaction it ends the role");
	}
	tap_is_int(take_commit(FIRST_LSN), BRIDGE_EXIT_FAILED, "as does a commit");
	take_begin(FIRST_LSN);
	tap_is_int(take_begin(FIRST_LSN + 16), BRIDGE_EXIT_FAILED,
			   "and a transaction within another");
	tap_ok(!bridge_producer_is_waiting(&producer), "nothing was sent");
	stop();
}

static void
test_shapes(void)
{
	start();
	put_relation(EPOCH, BANK_LEDGER_SCHEMA, BANK_TABLE_EPOCH, 1);
	put_column("another", INT4);
	tap_is_int(take(), BRIDGE_EXIT_MISSING, "a table of ours that lacks a column");
	put_relation(EPOCH, BANK_LEDGER_SCHEMA, BANK_TABLE_EPOCH, 1);
	put_column("number", INT8);
	tap_is_int(take(), BRIDGE_EXIT_MISSING, "or has it in another type");
	put_relation(EPOCH, BANK_LEDGER_SCHEMA, BANK_TABLE_EPOCH, 65);
	tap_is_int(take(), BRIDGE_EXIT_FAILED, "or has too many of them");
	stop();
}

static int
take_epoch(int number)
{
	put_row(EPOCH, 1);
	put_value((uint64_t) number, 4);
	return take();
}

static void
test_order(void)
{
	start();
	tell_tables();
	take_begin(FIRST_LSN);
	tap_is_int(take_epoch(2), BRIDGE_EXIT_OK, "the next epoch begins");
	tap_is_int(stream.epoch, 2, "in the stream too");
	tap_is_int(take_epoch(2), BRIDGE_EXIT_OK, "read again it changes nothing");
	tap_is_int(take_epoch(4), BRIDGE_EXIT_LOST, "one that is left out ends the role");
	bridge_stream_restart(&stream);
	tap_is_int(take_begin(FIRST_LSN + 16), BRIDGE_EXIT_LOST,
			   "as where what was cut off does not come again");
	stop();
}

/* The letters of all tests, in their order. */
static void
open_reader(void)
{
	rd_kafka_conf_t *conf = bridge_kafka_conf(&mock.config);

	bridge_kafka_set(conf, "fetch.wait.max.ms", "5");
	reader = bridge_kafka_client(RD_KAFKA_CONSUMER, conf);
	dead = rd_kafka_topic_new(reader, BANK_TOPIC_DEAD, NULL);
	rd_kafka_consume_start(dead, 0, RD_KAFKA_OFFSET_BEGINNING);
}

static void
close_reader(void)
{
	rd_kafka_consume_stop(dead, 0);
	rd_kafka_topic_destroy(dead);
	rd_kafka_destroy(reader);
}

int
main(void)
{
	bridge_metrics_create();
	bridge_stop_catch(-1, 0);
	mock_start(&mock, 1, "linger.ms = 0");
	open_reader();
	test_poisons();
	test_size();
	test_again();
	test_outside();
	test_shapes();
	test_order();
	close_reader();
	mock_stop(&mock);
	return tap_done();
}
