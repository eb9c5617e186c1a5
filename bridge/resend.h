/*
 * Reads the journal in a snapshot, compares it with what Kafka has, and sends
 * what Kafka lacks.
 *
 * Of an account's journal Kafka lacks what is above the highest version it
 * has; what is below was sent, or compacted away.  Where the last record of an
 * account is not the highest, that is sent once more.  Rows come in the order of
 * versions by account, transfers in that of their dates.
 *
 * Promises: bounded memory, by a cursor of the server; what was sent is
 * acknowledged when a pass ends, and counted among what Kafka has.
 */
#ifndef BRIDGE_RESEND_H
#define BRIDGE_RESEND_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "database.h"
#include "journal.h"
#include "producer.h"
#include "role.h"

typedef struct BridgeResend
{
	PGconn	   *conn;
	BridgeProducer *producer;
	int32_t		epoch;			/* of what is sent */
	bool		restate;		/* every account's state, in a new epoch */
	/* The place of the records, before all that the next slot will bring. */
	uint64_t	lsn;
	char		lsn_text[BRIDGE_LSN_SIZE];
	int64_t		index;
	/* Progress of the pass. */
	int64_t		rows;
	int64_t		expected;
	int64_t		began_ms;
	int64_t		told_ms;
	int64_t		sent;			/* records, of all passes */
	BridgeJournal journal;
	BridgeEvents events;
} BridgeResend;

/* Makes the views the passes read; bridge_survey_run came before. */
extern BridgeExit bridge_resend_prepare(BridgeResend *resend);

/*
 * One pass, in the snapshot of the slot that begins at slot_lsn, or, where it
 * is NULL, of now.  OK; KAFKA or FAILED, logged; FAILED too at the stop; LOST,
 * logged, where a topic was made anew.
 */
extern BridgeExit bridge_resend_pass(BridgeResend *resend,
									 const char *snapshot, uint64_t slot_lsn);

#endif
