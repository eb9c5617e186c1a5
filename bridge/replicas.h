/*
 * How the topics are replicated, and what that may hide.
 *
 * A leader shows a record once all replicas in sync have it.  One of them that
 * stands still is waited for until the leader takes it out of the set, and
 * nobody says meanwhile that the record is there.  Where fewer are in sync than
 * the topic wants, the wait has no end before more are.
 */
#ifndef BRIDGE_REPLICAS_H
#define BRIDGE_REPLICAS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "ask.h"
#include "event.h"

/* The topics of events, and bank.dead. */
#define BRIDGE_REPLICAS_TOPICS (BRIDGE_EVENT_TOPICS + 1)

/* All zero knows nothing. */
typedef struct BridgeReplicas
{
	bool		exist;			/* some partition has more than one */
	bool		hide;			/* a record may be there and not be shown */
	bool		lack;			/* fewer in sync than some topic wants */
	uint64_t	digest;			/* another one: leaders, or sets, have changed */
	bool		asked;			/* the settings below are known, or assumed */
	int64_t		lag_ms;			/* how long a leader waits for a replica */
	int			least[BRIDGE_REPLICAS_TOPICS];	/* min.insync.replicas; 0: not
												 * known */
} BridgeReplicas;

/*
 * Looks at all partitions of the topics, of which the client has handles, and
 * where they have replicas once at the brokers' settings.  What the brokers, or
 * the client, say against one of the topics, whose number is *wrong.
 */
extern rd_kafka_resp_err_t bridge_replicas_ask(rd_kafka_t *client,
											   rd_kafka_topic_t *const *topics,
											   BridgeReplicas *replicas,
											   int *wrong, const BridgePulse *pulse);

/* The longest that a leader with one replica standing still shows nothing. */
extern int64_t bridge_replicas_hide_ms(const BridgeReplicas *replicas);

#endif
