/* Decoding of pgoutput's messages, whole, cut and bent. */
#include "pgoutput.h"

#include <stdlib.h>

#include "tap.h"

#define BYTES(literal) literal, sizeof(literal) - 1

static const char begin[] =
	"B" "\0\0\0\1\0\0\0\2" "\0\0\0\0\0\0\0\3" "\0\0\0\4";
static const char commit[] =
	"C" "\0" "\0\0\0\1\0\0\0\2" "\0\0\0\1\0\0\0\5" "\0\0\0\0\0\0\0\3";
static const char relation[] =
	"R" "\0\0\0\7" "bank_ledger\0" "epoch\0" "d" "\0\2"
	"\1" "number\0" "\0\0\0\x17" "\xff\xff\xff\xff"
	"\0" "at\0" "\0\0\4\xa0" "\xff\xff\xff\xff";
static const char insert[] =
	"I" "\0\0\0\7" "N" "\0\3" "b" "\0\0\0\4" "\0\0\0\2" "n" "b" "\0\0\0\0";

static BridgePgoutput message;

/* The bytes are copied, so that a reader beyond their end is found. */
static const char *
decode(const char *bytes, size_t length)
{
	char	   *copy = malloc(length > 0 ? length : 1);
	const char *error;

	memcpy(copy, bytes, length);
	error = bridge_pgoutput_decode(copy, length, &message);
	free(copy);
	return error;
}

static void
test_transaction(void)
{
	tap_ok(bridge_pgoutput_decode(BYTES(begin), &message) == NULL &&
		   message.kind == BRIDGE_PGOUTPUT_BEGIN, "begin");
	tap_is_int((int64_t) message.commit_lsn, INT64_C(0x100000002),
			   "begin names the commit's lsn");
	tap_ok(bridge_pgoutput_decode(BYTES(commit), &message) == NULL &&
		   message.kind == BRIDGE_PGOUTPUT_COMMIT, "commit");
	tap_is_int((int64_t) message.commit_lsn, INT64_C(0x100000002),
			   "commit names its lsn");
	tap_is_int((int64_t) message.end_lsn, INT64_C(0x100000005),
			   "commit names its end");
}

static void
test_relation(void)
{
	tap_ok(bridge_pgoutput_decode(BYTES(relation), &message) == NULL &&
		   message.kind == BRIDGE_PGOUTPUT_RELATION, "relation");
	tap_is_int(message.relation.relation_id, 7, "relation id");
	tap_is_text(message.relation.schema, "bank_ledger", "schema");
	tap_is_text(message.relation.name, "epoch", "name");
	tap_is_int(message.relation.column_count, 2, "columns");
	tap_is_text(message.relation.columns[1].name, "at", "second column");
	tap_is_int(message.relation.columns[0].type, 23, "type of the first");
	tap_is_int(message.relation.columns[1].type, 1184, "type of the second");
}

static void
test_insert(void)
{
	tap_ok(bridge_pgoutput_decode(BYTES(insert), &message) == NULL &&
		   message.kind == BRIDGE_PGOUTPUT_INSERT, "insert");
	tap_is_int(message.tuple.value_count, 3, "values");
	tap_ok(message.tuple.values[0].length == 4 &&
		   memcmp(message.tuple.values[0].data, "\0\0\0\2", 4) == 0,
		   "first value");
	tap_ok(message.tuple.values[1].data == NULL, "a null");
	tap_ok(message.tuple.values[2].data != NULL &&
		   message.tuple.values[2].length == 0, "an empty value is no null");
}

static void
test_cuts(const char *name, const char *bytes, size_t length)
{
	bool		refused = true;
	char		text[64];

	for (size_t cut = 0; cut < length; cut++)
		refused = refused && decode(bytes, cut) != NULL;
	snprintf(text, sizeof(text), "every cut of %s is refused", name);
	tap_ok(refused, text);
}

static void
test_refusals(void)
{
	tap_ok(decode(BYTES("X")) != NULL, "unknown message");
	tap_ok(decode(BYTES("U\0\0\0\7")) != NULL, "update");
	tap_ok(decode(BYTES("D\0\0\0\7")) != NULL, "delete");
	tap_ok(decode(BYTES("T\0\0\0\7")) != NULL, "truncate");
	tap_ok(decode(BYTES("M\0")) != NULL, "logical message");
	tap_ok(decode(begin, sizeof(begin)) != NULL, "a byte too many");
	tap_ok(decode(BYTES("I\0\0\0\7N\0\1t\0\0\0\1x")) != NULL, "text form");
	tap_ok(decode(BYTES("I\0\0\0\7N\0\1u")) != NULL, "unchanged value");
	tap_ok(decode(BYTES("I\0\0\0\7K\0\0")) != NULL, "a key for a row");
	tap_ok(decode(BYTES("I\0\0\0\7N\0\1b\xff\xff\xff\xff")) != NULL,
		   "a length beyond the message");
	tap_ok(decode(BYTES("I\0\0\0\7N\xff\xff")) != NULL, "too many values");
	tap_ok(decode(BYTES("R\0\0\0\7s\0n\0d\xff\xff")) != NULL,
		   "too many columns");
	tap_ok(decode(BYTES("Oanything")) == NULL &&
		   message.kind == BRIDGE_PGOUTPUT_IGNORED, "an origin is passed over");
}

int
main(void)
{
	test_transaction();
	test_relation();
	test_insert();
	test_cuts("begin", BYTES(begin));
	test_cuts("commit", BYTES(commit));
	test_cuts("relation", BYTES(relation));
	test_cuts("insert", BYTES(insert));
	test_refusals();
	return tap_done();
}
