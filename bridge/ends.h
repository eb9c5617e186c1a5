/*
 * Where the partitions of events end: what publish knows to be in Kafka, kept
 * in the position record.
 *
 * A partition that ends before that has lost records, or its topic was made
 * anew; nothing else in Kafka would say so.
 */
#ifndef BRIDGE_ENDS_H
#define BRIDGE_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"

/* All zero knows nothing. */
typedef struct BridgeEnds
{
	int			counts[BRIDGE_EVENT_TOPICS];
	int64_t    *next[BRIDGE_EVENT_TOPICS];	/* malloc'd; behind the last
											 * record */
	uint64_t   *sent[BRIDGE_EVENT_TOPICS];	/* malloc'd; that record's
											 * transaction, not kept in Kafka */
} BridgeEnds;

/* The number of a topic; -1: it is none of events. */
extern int	bridge_ends_find(const char *topic);

/* Notes an end, which never goes back; false without memory. */
extern bool bridge_ends_raise(BridgeEnds *ends, int topic, int32_t partition,
							  int64_t next);

/*
 * Whether a record of a numbered transaction may be where it was put.  What is
 * behind a later one's end was acknowledged late; what is before an earlier
 * one's end is not in the partition that was known.
 */
extern bool bridge_ends_allow(const BridgeEnds *ends, int topic,
							  int32_t partition, int64_t offset,
							  uint64_t transaction);

/* Notes a record that is allowed; false without memory. */
extern bool bridge_ends_note(BridgeEnds *ends, int topic, int32_t partition,
							 int64_t offset, uint64_t transaction);

/* 0 where it is not known. */
extern int64_t bridge_ends_get(const BridgeEnds *ends, int topic,
							   int32_t partition);

/* How far a record stands behind the end; 0 where that is not known. */
extern int64_t bridge_ends_gap(const BridgeEnds *ends, int topic,
							   int32_t partition, int64_t offset);

/* Whether a partition of the topic was found to end before what was known. */
extern bool bridge_ends_fall_short(const BridgeEnds *known,
								   const BridgeEnds *found, int topic);

/*
 * False, logged, where one that was found is before the one that was known.
 */
extern bool bridge_ends_check(const BridgeEnds *known, const BridgeEnds *found);

/* A JSON object with the ends as a further member; malloc'd, or NULL. */
extern char *bridge_ends_append(const BridgeEnds *ends, const char *object,
								size_t *length);

/* Reads that member in place of what was known. */
extern void bridge_ends_parse(const char *text, size_t length, BridgeEnds *ends);

extern void bridge_ends_free(BridgeEnds *ends);

#endif
