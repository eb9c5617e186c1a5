/*
 * Decoder of pgoutput's messages.
 */
#include "pgoutput.h"

#include <string.h>

#include "bytes.h"

static const char *
decode_begin(BridgeBytes *bytes, BridgePgoutput *message)
{
	message->kind = BRIDGE_PGOUTPUT_BEGIN;
	message->commit_lsn = bridge_bytes_uint64(bytes);
	bridge_bytes_uint64(bytes); /* time of the commit */
	bridge_bytes_uint32(bytes); /* transaction id */
	return NULL;
}

static const char *
decode_commit(BridgeBytes *bytes, BridgePgoutput *message)
{
	message->kind = BRIDGE_PGOUTPUT_COMMIT;
	bridge_bytes_uint8(bytes);	/* flags, none defined */
	message->commit_lsn = bridge_bytes_uint64(bytes);
	message->end_lsn = bridge_bytes_uint64(bytes);
	bridge_bytes_uint64(bytes); /* time of the commit */
	return NULL;
}

static const char *
decode_relation(BridgeBytes *bytes, BridgePgoutput *message)
{
	BridgeRelation *relation = &message->relation;

	message->kind = BRIDGE_PGOUTPUT_RELATION;
	relation->relation_id = bridge_bytes_uint32(bytes);
	relation->schema = bridge_bytes_string(bytes);
	relation->name = bridge_bytes_string(bytes);
	bridge_bytes_uint8(bytes);	/* replica identity */
	relation->column_count = bridge_bytes_uint16(bytes);
	if (relation->column_count > BRIDGE_PGOUTPUT_COLUMNS)
		return "relation has too many columns";
	for (int i = 0; i < relation->column_count; i++)
	{
		bridge_bytes_uint8(bytes);	/* part of the key? */
		relation->columns[i].name = bridge_bytes_string(bytes);
		relation->columns[i].type = bridge_bytes_uint32(bytes);
		bridge_bytes_uint32(bytes); /* type modifier */
	}
	return NULL;
}

static const char *
decode_value(BridgeBytes *bytes, BridgeValue *value)
{
	switch (bridge_bytes_uint8(bytes))
	{
		case 'n':
			*value = (BridgeValue)
			{
				NULL, 0
			};
			return NULL;
		case 'b':
			value->length = bridge_bytes_uint32(bytes);
			value->data = bridge_bytes_skip(bytes, value->length);
			return NULL;
		case 't':
			return "value is in text form";
		default:
			return "value has an unknown form";
	}
}

static const char *
decode_insert(BridgeBytes *bytes, BridgePgoutput *message)
{
	BridgeTuple *tuple = &message->tuple;
	const char *error = NULL;

	message->kind = BRIDGE_PGOUTPUT_INSERT;
	tuple->relation_id = bridge_bytes_uint32(bytes);
	if (bridge_bytes_uint8(bytes) != 'N')
		return "insert has no new row";
	tuple->value_count = bridge_bytes_uint16(bytes);
	if (tuple->value_count > BRIDGE_PGOUTPUT_COLUMNS)
		return "row has too many columns";
	for (int i = 0; i < tuple->value_count && error == NULL; i++)
		error = decode_value(bytes, &tuple->values[i]);
	return error;
}

static const char *
decode_body(BridgeBytes *bytes, BridgePgoutput *message)
{
	switch (bridge_bytes_uint8(bytes))
	{
		case 'B':
			return decode_begin(bytes, message);
		case 'C':
			return decode_commit(bytes, message);
		case 'R':
			return decode_relation(bytes, message);
		case 'I':
			return decode_insert(bytes, message);
		case 'O':
		case 'Y':
			message->kind = BRIDGE_PGOUTPUT_IGNORED;
			bridge_bytes_skip(bytes, bytes->left);
			return NULL;
		case 'U':
		case 'D':
		case 'T':
			return "update, delete or truncate of a journal table";
		default:
			return "unknown kind of message";
	}
}

const char *
bridge_pgoutput_decode(const char *data, size_t length, BridgePgoutput *message)
{
	BridgeBytes bytes = {.next = data, .left = length};
	const char *error = decode_body(&bytes, message);

	if (bytes.overrun)
		return "message is cut short";
	if (error == NULL && bytes.left > 0)
		return "message is longer than it says";
	return error;
}
