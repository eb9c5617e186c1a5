/*
 * What Kafka already holds of what the stream brings again after a restart.
 *
 * The stream and each partition are both in the order of their places, so
 * they are compared in step, with one cursor a partition; memory does not
 * grow with the length of the tail.
 */
#ifndef BRIDGE_TAIL_H
#define BRIDGE_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "cursor.h"
#include "ends.h"
#include "event.h"
#include "place.h"

typedef enum BridgeTailAnswer
{
	BRIDGE_TAIL_LACKING,		/* to be sent */
	BRIDGE_TAIL_PRESENT,		/* there, or a higher version of its account */
	BRIDGE_TAIL_UNKNOWN,		/* Kafka does not say: open it again, later */
	BRIDGE_TAIL_LOST			/* not comparable; logged */
} BridgeTailAnswer;

typedef struct BridgeTail BridgeTail;

/* What is known at a start of those before it, and what it waits for. */
typedef struct BridgeTailWait
{
	const BridgeEnds *left;		/* where the last one ended that left nothing
								 * on its way; NULL: it has not said so */
	const char *reason;			/* of a long wait; NULL: there is none */
} BridgeTailWait;

/* What is asked for: an event, or a dead letter, which has no id. */
typedef struct BridgeTailQuestion
{
	const char *topic;
	const char *key;
	const char *id;				/* "" where it has none */
	size_t		id_length;
	int64_t		version;		/* 0: none; else the key is its account */
	BridgePlace place;
} BridgeTailQuestion;

/*
 * Waits until the ends of all partitions have stood still for
 * kafka.settle_ms, and for as long as their leaders may wait for a replica
 * before they show what they have; and finds where the records from the place on
 * begin.  False, logged, where Kafka does not say or the process must stop.
 * *tail is NULL where there is nothing to compare; the ends are noted in any
 * case.  pulse, or NULL: what goes on while Kafka is asked, as long as the tail
 * lives.
 */
extern bool bridge_tail_open(const BridgeConfig *config,
							 const BridgePlace *from, BridgeEnds *ends,
							 const BridgePulse *pulse, BridgeTailWait *wait,
							 BridgeTail **tail);

/* Notes where the partitions of events end now; false as bridge_tail_open. */
extern bool bridge_tail_ask_ends(const BridgeConfig *config, BridgeEnds *ends);

/* Asked in the order of the places. */
extern BridgeTailAnswer bridge_tail_ask(BridgeTail *tail,
										const BridgeTailQuestion *question);

/* Nothing at or after this place is in Kafka: the comparison is over. */
extern bool bridge_tail_ends_before(const BridgeTail *tail,
									const BridgePlace *place);

/*
 * Gives all records of a topic from the place on, partition by partition, in
 * place of asking for them.  False where Kafka does not say, or take does.
 */
extern bool bridge_tail_each(BridgeTail *tail, const char *topic,
							 bool (*take) (const BridgeCursor *record,
										   void *context),
							 void *context);

/* NULL is let pass. */
extern void bridge_tail_close(BridgeTail *tail);

#endif
