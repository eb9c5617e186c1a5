/*
 * The record of topic bank.bridge: how far the slot may have been confirmed.
 *
 * It is written, and acknowledged, before an LSN is confirmed; so a slot that
 * stands beyond it was moved by somebody else, and WAL may be lost.
 *
 * A publisher that ends with nothing on its way says so in its last one, for
 * whoever starts next; whoever starts takes that back by a record of its own before
 * it sends anything.
 */
#ifndef BRIDGE_POSITION_H
#define BRIDGE_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ask.h"
#include "config.h"
#include "ends.h"
#include "publication.h"

#define BRIDGE_POSITION_SIZE 512

typedef struct BridgePosition
{
	uint64_t	lsn;
	int32_t		epoch;			/* last one read from the stream */
	uint64_t	epoch_lsn;		/* where it begins; 0: before the slot */
	int64_t		system_identifier;
	int32_t		timeline;
	BridgePublication publication;	/* as it was when last known to be whole */
	int64_t		ended_at;		/* the offset of a writer's last word; 0: it
								 * is none */
} BridgePosition;

typedef enum BridgePositionFound
{
	BRIDGE_POSITION_FOUND,
	BRIDGE_POSITION_NONE,
	BRIDGE_POSITION_UNKNOWN		/* Kafka did not say; logged */
} BridgePositionFound;

/*
 * The epoch of a row committed at lsn.  Epochs count without gap, and a slot
 * that went back after a crash goes back by less than one.
 */
extern int32_t bridge_position_epoch_at(const BridgePosition *position,
										uint64_t lsn);

/* Writes the JSON of a record; returns its length. */
extern size_t bridge_position_format(const BridgePosition *position,
									 char *target);

/* Reads it; false where it is none. */
extern bool bridge_position_parse(const char *text, size_t length,
								  BridgePosition *position);

/*
 * A record written late says less than the one before it: a publisher was
 * frozen while another one worked.
 */
extern bool bridge_position_is_late(const BridgePosition *record,
									const BridgePosition *before);

/*
 * Reads the last record that is not late, and the ends it tells where ends is
 * not NULL.  It is a last word only where it stands right behind its writer's
 * record before, and nothing is behind it.  pulse: what goes on while Kafka is
 * asked, or NULL.
 */
extern BridgePositionFound bridge_position_read(const BridgeConfig *config,
												BridgePosition *position,
												BridgeEnds *ends,
												const BridgePulse *pulse);

/* Where the next record would stand. */
extern rd_kafka_resp_err_t bridge_position_end(rd_kafka_t *client, int64_t *end,
											   const BridgePulse *pulse);

/*
 * What speaks against a ledger being the one that was published: its system,
 * its timeline, or its WAL, which ends before.  NULL: nothing does.
 */
extern const char *bridge_position_refute(const BridgePosition *position,
										  const BridgePosition *ledger);

/* Logs that Kafka has no record, and what to do. */
extern void bridge_position_tell_none(void);

/*
 * Writes one, with the ends, and waits for the acknowledgement; false, logged,
 * without it.
 */
extern bool bridge_position_write(const BridgeConfig *config,
								  const BridgePosition *position,
								  const BridgeEnds *ends);

#endif
