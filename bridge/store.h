/*
 * The database of a consuming role: one connection, its generation, and
 * statements that end in bounded time also when the server is silent.
 *
 * Effects are single statements that check the generation themselves, so
 * that a process that was paused can hold no transaction open.
 */
#ifndef BRIDGE_STORE_H
#define BRIDGE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <libpq-fe.h>

#include "host_list.h"

/* Partitions of one topic, at most. */
#define BRIDGE_PARTITIONS_MAX 1024

/* Where each partition goes on; -1 is the beginning. */
typedef struct BridgeOffsets
{
	int			count;
	int64_t		next[BRIDGE_PARTITIONS_MAX];
} BridgeOffsets;

/* What a role says once; texts live as long as the store. */
typedef struct BridgeStoreSpec
{
	const char *dsn;
	const char *application;
	const char *claim;			/* raises the generation and returns it */
} BridgeStoreSpec;

/* All zero but spec is a store never connected. */
typedef struct BridgeStore
{
	BridgeStoreSpec spec;
	PGconn	   *connection;		/* NULL: not connected */
	BankHostList hosts;			/* keeps what was not answered in time */
	char		generation[24]; /* ours, as text; empty until claimed */
	char		error[512];		/* why the last call failed, one line */
} BridgeStore;

/* A statement with its parameters as text. */
typedef struct BridgeStatement
{
	const char *sql;
	const char *const *values;
	int			count;
} BridgeStatement;

/* What became of an effect and the offsets stored with it. */
typedef enum BridgeEffect
{
	BRIDGE_EFFECT_STORED,
	BRIDGE_EFFECT_FENCED,		/* another process took over; nothing stored */
	BRIDGE_EFFECT_FAILED		/* as bridge_store_query's NULL */
} BridgeEffect;

/*
 * Connects unless connected; the first time in a process also takes the next
 * generation.  False: store->error says why, and the caller tries later.
 */
extern bool bridge_store_connect(BridgeStore *store);

/*
 * Runs a statement to its commit.  NULL: it failed and the connection is
 * closed; whether it took effect may be unknown.  Else the caller clears.
 */
extern PGresult *bridge_store_query(BridgeStore *store,
									const BridgeStatement *statement);

/*
 * Reads a row that begins with a partition into offsets, its offset from the
 * column.  A partition that no row speaks of keeps its beginning.
 */
extern void bridge_store_read_offset(const PGresult *answer, int row,
									 int column, BridgeOffsets *offsets);

/* Adds partitions up to count, each at its beginning. */
extern void bridge_store_extend(BridgeOffsets *offsets, int count);

/* Raises each offset to what was reached; none goes back. */
extern void bridge_store_advance(BridgeOffsets *offsets,
								 const BridgeOffsets *reached);

/* True where some offset is below what was reached. */
extern bool bridge_store_is_behind(const BridgeOffsets *offsets,
								   const BridgeOffsets *reached);

/* Closes the connection; the generation stays. */
extern void bridge_store_close(BridgeStore *store);

#endif
