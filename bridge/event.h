/*
 * Rows of the journal into events: the records of the topics.
 *
 * Memory: all within the caller's struct, nothing is allocated; the events of
 * one row are overwritten by those of the next.
 */
#ifndef BRIDGE_EVENT_H
#define BRIDGE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal.h"

/* One row makes three events at most. */
#define BRIDGE_EVENT_MAX 3

/*
 * The longest value: five uuids, eight numbers and names, twice over, and a
 * reference of 140 characters, all of which need an escape.
 */
#define BRIDGE_EVENT_VALUE_SIZE 2048
#define BRIDGE_EVENT_ID_SIZE 96

/* The topics events go to. */
#define BRIDGE_EVENT_TOPICS 4
extern const char *const bridge_event_topics[BRIDGE_EVENT_TOPICS];

typedef struct BridgeEvent
{
	const char *topic;
	const char *type;
	const char *key;			/* a uuid, or the site's name */
	const char *time;
	int64_t		version;		/* of the account that is the key; 0: none */
	size_t		id_length;
	size_t		value_length;
	char		id[BRIDGE_EVENT_ID_SIZE];
	char		value[BRIDGE_EVENT_VALUE_SIZE];
} BridgeEvent;

typedef struct BridgeEvents
{
	const char *site;			/* set by the caller: key of a seal */
	int			count;
	BridgeEvent events[BRIDGE_EVENT_MAX];
} BridgeEvents;

/*
 * Makes the events of a row in the order of bank_index; a row of heartbeat or
 * epoch has none.  Keys and times point into the row, or to the site.  False
 * where a text of the row is none the contract knows.
 */
extern bool bridge_event_make(const BridgeJournalRow *row, int32_t epoch,
							  BridgeEvents *events);

/*
 * The same for what is read from the tables and not from the stream: the
 * state of an account after any row of its journal, with its status where it
 * was created or inactivated; and a transfer without the states it led to.
 */
extern bool bridge_event_make_state(const BridgeAccountEvent *row,
									int32_t epoch, BridgeEvents *events);
extern bool bridge_event_make_transfer(const BridgeTransferRow *row,
									   int32_t epoch, BridgeEvents *events);

#endif
