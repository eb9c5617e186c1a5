/*
 * Bytes of the plugin pgoutput, protocol 1, into messages.
 *
 * Promises: reads nothing beyond the given length; pure.
 * Memory:   spans point into the caller's bytes.
 */
#ifndef BRIDGE_PGOUTPUT_H
#define BRIDGE_PGOUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A table with more columns than this is refused. */
#define BRIDGE_PGOUTPUT_COLUMNS 64

typedef enum BridgePgoutputKind
{
	BRIDGE_PGOUTPUT_BEGIN,
	BRIDGE_PGOUTPUT_COMMIT,
	BRIDGE_PGOUTPUT_RELATION,
	BRIDGE_PGOUTPUT_INSERT,
	BRIDGE_PGOUTPUT_IGNORED		/* an origin or a type: no row in it */
} BridgePgoutputKind;

typedef struct BridgeColumn
{
	const char *name;
	uint32_t	type;
} BridgeColumn;

typedef struct BridgeRelation
{
	uint32_t	relation_id;
	const char *schema;
	const char *name;
	int			column_count;
	BridgeColumn columns[BRIDGE_PGOUTPUT_COLUMNS];
} BridgeRelation;

/* A value in its type's binary form; data is NULL for a null. */
typedef struct BridgeValue
{
	const char *data;
	size_t		length;
} BridgeValue;

typedef struct BridgeTuple
{
	uint32_t	relation_id;
	int			value_count;
	BridgeValue values[BRIDGE_PGOUTPUT_COLUMNS];
} BridgeTuple;

typedef struct BridgePgoutput
{
	BridgePgoutputKind kind;
	uint64_t	commit_lsn;		/* begin, commit */
	uint64_t	end_lsn;		/* commit */
	BridgeRelation relation;
	BridgeTuple tuple;
} BridgePgoutput;

/*
 * Decodes one message.  Returns NULL, or a constant text that says what is
 * wrong with it; an update, a delete or a truncation is wrong, since the
 * publication has inserts only.
 */
extern const char *bridge_pgoutput_decode(const char *data, size_t length,
										  BridgePgoutput *message);

#endif
