/*
 * Stored offsets against the ends of their topics.
 */
#include "rewind.h"

#include <stdlib.h>

#include "contract.h"
#include "database.h"
#include "log.h"

typedef struct RewindTopic
{
	const char *topic;
	const char *stored;			/* partition, and the highest offset */
	const char *forget;
} RewindTopic;

static const RewindTopic of_report = {
	BANK_TOPIC_TRANSFERS,
	"SELECT partition, next_offset FROM bank_report.consumer_offset"
	" WHERE topic OPERATOR(pg_catalog.=) $1",
	"DELETE FROM bank_report.consumer_offset"
	" WHERE topic OPERATOR(pg_catalog.=) $1 RETURNING 1"
};
static const RewindTopic of_project = {
	BANK_TOPIC_BALANCES,
	"SELECT partition, greatest(applied, cached) FROM bank_search.consumer_offset"
	" WHERE topic OPERATOR(pg_catalog.=) $1",
	"DELETE FROM bank_search.consumer_offset"
	" WHERE topic OPERATOR(pg_catalog.=) $1 RETURNING 1"
};

static bool
is_beyond(const PGresult *stored, const BridgeEnds *ends, int topic)
{
	for (int i = 0; i < PQntuples(stored); i++)
	{
		int32_t		partition = (int32_t) strtol(PQgetvalue(stored, i, 0), NULL, 10);
		int64_t		next = strtoll(PQgetvalue(stored, i, 1), NULL, 10);

		if (next > bridge_ends_get(ends, topic, partition))
			return true;
	}
	return false;
}

static BridgeExit
rewind_topic(PGconn *conn, const RewindTopic *topic, const BridgeEnds *known,
			 const BridgeEnds *ends)
{
	int			number = bridge_ends_find(topic->topic);
	const char *values[] = {topic->topic};
	PGresult   *result = bridge_database_query(conn, topic->stored, values, 1);
	bool		anew = result != NULL &&
	(is_beyond(result, ends, number) || bridge_ends_fall_short(known, ends, number));
	BridgeExit	code = result == NULL ? BRIDGE_EXIT_FAILED : BRIDGE_EXIT_OK;

	PQclear(result);
	if (!anew)
		return code;
	bridge_log(BRIDGE_LOG_INFO, "topic was made anew; its consumer begins anew",
			   "topic=%s", topic->topic);
	result = bridge_database_query(conn, topic->forget, values, 1);
	code = result == NULL ? BRIDGE_EXIT_FAILED : BRIDGE_EXIT_OK;
	PQclear(result);
	return code;
}

BridgeExit
bridge_rewind_run(const BridgeConfig *config, PGconn *ledger,
				  const BridgeEnds *known, const BridgeEnds *ends)
{
	BridgeExit	code = rewind_topic(ledger, &of_report, known, ends);
	PGconn	   *search;

	if (code != BRIDGE_EXIT_OK)
		return code;
	search = bridge_database_connect(config->init_search_dsn, BRIDGE_DATABASE_SQL);
	if (search == NULL)
		return BRIDGE_EXIT_FAILED;
	code = rewind_topic(search, &of_project, known, ends);
	PQfinish(search);
	return code;
}
