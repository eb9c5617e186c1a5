/*
 * What Kafka holds of the ledger's events, brought into temporary tables of a
 * session with the ledger, so that the server compares it with the journal:
 * pg_temp.kafka_transfer, pg_temp.kafka_state and pg_temp.kafka_seal.  States
 * are numbered as they were read, which is an account's order in its topic.
 *
 * Promises: bounded memory here; the tables grow with the topics.
 */
#ifndef BRIDGE_SURVEY_H
#define BRIDGE_SURVEY_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "ends.h"
#include "role.h"

typedef struct BridgeSurvey
{
	bool		with_content;	/* keeps the values too */
	int32_t		epoch;			/* the highest one met; 0: none */
	int64_t		records;
	BridgeEnds *ends;			/* noted: where the topics end */
} BridgeSurvey;

/*
 * Makes and fills the tables.  OK; KAFKA or FAILED, logged, where Kafka or
 * the server does not answer.
 */
extern BridgeExit bridge_survey_run(const BridgeConfig *config, PGconn *conn,
									BridgeSurvey *survey);

#endif
