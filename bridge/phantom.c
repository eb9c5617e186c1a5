/*
 * Phantoms.
 *
 * A transfer is one where the journal has no such key, or another posting
 * under it, which Kafka then lacks; an account's version is one where the
 * journal has no such version or another posting under it; a seal, where the
 * ledger has none of that number and root.
 */
#include "phantom.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "database.h"
#include "log.h"

static const char make_search[] =
	"CREATE TEMPORARY TABLE search_state (account_id uuid, epoch integer,"
	" version bigint, content text)";
static const char copy_from_search[] =
	"COPY (SELECT account_id, epoch, version, pg_catalog.to_jsonb(b)"
	" FROM bank_search.balance AS b) TO STDOUT";
static const char copy_into_ledger[] = "COPY pg_temp.search_state FROM STDIN";

/* Each is given the epoch as its parameter. */
static const char *const lists[] = {
	"WITH other AS (DELETE FROM pg_temp.kafka_transfer AS k WHERE NOT EXISTS"
	"  (SELECT FROM bank_ledger.transfer AS t WHERE t.transfer_id = k.transfer_id"
	"   AND (t.amount::text, t.from_account::text, t.to_account::text,"
	"    t.from_version::text, t.to_version::text,"
	"    " BANK_SQL_TIME("t.completed_at") ") ="
	"   (k.content::jsonb ->> 'amount', k.content::jsonb ->> 'from_account',"
	"    k.content::jsonb ->> 'to_account', k.content::jsonb ->> 'from_version',"
	"    k.content::jsonb ->> 'to_version', k.content::jsonb ->> 'completed_at'))"
	" RETURNING k.transfer_id, k.content)"
	" INSERT INTO bank_report.phantom (epoch, source, subject, content)"
	" SELECT $1::int4, 'kafka', o.transfer_id::text, o.content::jsonb"
	"  FROM other AS o ON CONFLICT DO NOTHING",

	"INSERT INTO bank_report.phantom (epoch, source, subject, content)"
	" SELECT DISTINCT ON (k.account_id, k.epoch, k.version) $1::int4, 'kafka',"
	"  k.account_id || ':' || k.epoch || ':' || k.version, k.content::jsonb"
	" FROM pg_temp.kafka_state AS k LEFT JOIN pg_temp.journal_state AS s"
	"  ON s.account_id = k.account_id AND s.version = k.version"
	"  AND (k.content::jsonb ->> 'balance' IS NULL OR"
	"   s.balance::text = k.content::jsonb ->> 'balance')"
	"  AND " BANK_SQL_TIME("s.occurred_at") " ="
	"   k.content::jsonb ->> 'occurred_at'"
	" WHERE s.account_id IS NULL ORDER BY k.account_id, k.epoch, k.version, k.topic DESC"
	" ON CONFLICT DO NOTHING",

	"INSERT INTO bank_report.phantom (epoch, source, subject, content)"
	" SELECT DISTINCT ON (k.epoch, k.number) $1::int4, 'kafka',"
	"  'seal:' || k.epoch || ':' || k.number, k.content::jsonb"
	" FROM pg_temp.kafka_seal AS k LEFT JOIN bank_ledger.seal AS s"
	"  ON s.number = k.number"
	"  AND encode(s.root, 'hex') = k.content::jsonb ->> 'root'"
	" WHERE s.number IS NULL ON CONFLICT DO NOTHING",

	"INSERT INTO bank_report.phantom (epoch, source, subject, content)"
	" SELECT $1::int4, 'search', k.account_id || ':' || k.epoch || ':' || k.version,"
	"  k.content::jsonb"
	" FROM pg_temp.search_state AS k LEFT JOIN pg_temp.journal_state AS s"
	"  ON s.account_id = k.account_id AND s.version = k.version"
	"  AND s.balance::text = k.content::jsonb ->> 'balance'"
	"  AND s.occurred_at = (k.content::jsonb ->> 'updated_at')::timestamptz"
	" WHERE s.account_id IS NULL ON CONFLICT DO NOTHING",

	/*
	 * What was stored of them before this began would still be sent, and be
	 * in the place of the transfer that has their key now.
	 */
	"WITH gone AS (DELETE FROM bank_report.notification AS n WHERE NOT EXISTS"
	"  (SELECT FROM bank_ledger.transfer AS t WHERE t.transfer_id = n.transfer_id"
	"   AND (t.amount, t.from_account, t.to_account, t.completed_at) ="
	"    (n.amount, n.from_account, n.to_account, n.completed_at))"
	" RETURNING n.*)"
	" INSERT INTO bank_report.phantom (epoch, source, subject, content)"
	" SELECT $1::int4, 'bacen', g.transfer_id::text, to_jsonb(g) FROM gone AS g"
	" ON CONFLICT DO NOTHING",

	/* BACEN is told of what record.c says, and cannot be asked. */
	"INSERT INTO bank_report.phantom (epoch, source, subject, content)"
	" SELECT $1::int4, 'bacen', p.subject, p.content FROM bank_report.phantom AS p"
	" WHERE p.source = 'kafka'"
	"  AND p.content ->> 'kind' IN ('transfer', 'hold_posted', 'reversal')"
	"  AND NOT p.content ->> 'from_account' ^@ '" BANK_SETTLEMENT_PREFIX "'"
	"  AND NOT p.content ->> 'to_account' ^@ '" BANK_SETTLEMENT_PREFIX "'"
	" ON CONFLICT DO NOTHING",
};

/*
 * How many, and one of them.  After a new epoch each account of the ledger has
 * a state in it, so that what is above the ledger is not an old phantom.
 */
static const char count_foreign[] =
	"SELECT count(*), coalesce(min(subject), '') FROM ("
	" SELECT k.account_id || ':' || k.epoch || ':' || k.version"
	" FROM pg_temp.kafka_top AS k LEFT JOIN bank_ledger.account AS a"
	"  ON a.account_id = k.account_id"
	" WHERE k.version > a.version OR k.epoch > $1::int4"
	"  OR (a.account_id IS NULL AND k.epoch = $1::int4)"
	" UNION SELECT k.transfer_id::text FROM pg_temp.kafka_transfer AS k"
	" WHERE k.epoch >= $1::int4 AND NOT EXISTS"
	"  (SELECT FROM bank_ledger.transfer AS t WHERE t.transfer_id = k.transfer_id)"
	") AS found (subject)";

static BridgeExit
failed(PGconn *conn)
{
	bridge_log(BRIDGE_LOG_ERROR, "phantoms could not be listed", "error=%s",
			   PQerrorMessage(conn));
	return BRIDGE_EXIT_FAILED;
}

static BridgeExit
run(PGconn *conn, const char *statement, ExecStatusType expected)
{
	PGresult   *result = PQexec(conn, statement);
	bool		done = PQresultStatus(result) == expected;

	PQclear(result);
	return done ? BRIDGE_EXIT_OK : failed(conn);
}

/* Adds the rows of one list to *total. */
static BridgeExit
list(PGconn *conn, const char *statement, int32_t epoch, long *total)
{
	char		number[16];
	const char *values[] = {number};
	PGresult   *result;
	bool		done;

	snprintf(number, sizeof(number), "%" PRId32, epoch);
	result = PQexecParams(conn, statement, 1, NULL, values, NULL, NULL, 0);
	done = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (done)
		*total += strtol(PQcmdTuples(result), NULL, 10);
	PQclear(result);
	return done ? BRIDGE_EXIT_OK : failed(conn);
}

/* The rows of one COPY into the other. */
static BridgeExit
pump(PGconn *search, PGconn *ledger)
{
	char	   *line;
	int			length;
	PGresult   *result;
	bool		done = true;

	while (done && (length = PQgetCopyData(search, &line, 0)) > 0)
	{
		done = PQputCopyData(ledger, line, length) == 1;
		PQfreemem(line);
	}
	done = PQputCopyEnd(ledger, done && length == -1 ? NULL : "cut short") == 1 &&
		done && length == -1;
	while ((result = PQgetResult(ledger)) != NULL)
	{
		done = done && PQresultStatus(result) == PGRES_COMMAND_OK;
		PQclear(result);
	}
	return done ? BRIDGE_EXIT_OK : failed(ledger);
}

static BridgeExit
read_search(const BridgeConfig *config, PGconn *ledger)
{
	PGconn	   *search = bridge_database_connect(config->init_search_dsn,
												 BRIDGE_DATABASE_SQL);
	BridgeExit	code;

	if (search == NULL)
		return BRIDGE_EXIT_FAILED;
	code = run(search, "SET statement_timeout = 0; SET timezone = 'UTC'",
			   PGRES_COMMAND_OK);
	if (code == BRIDGE_EXIT_OK)
		code = run(search, copy_from_search, PGRES_COPY_OUT);
	if (code == BRIDGE_EXIT_OK)
		code = run(ledger, make_search, PGRES_COMMAND_OK);
	if (code == BRIDGE_EXIT_OK)
		code = run(ledger, copy_into_ledger, PGRES_COPY_IN);
	if (code == BRIDGE_EXIT_OK)
		code = pump(search, ledger);
	PQfinish(search);
	return code;
}

BridgeExit
bridge_phantom_list(const BridgeConfig *config, PGconn *conn, int32_t epoch)
{
	BridgeExit	code = read_search(config, conn);
	long		total = 0;

	for (size_t i = 0; code == BRIDGE_EXIT_OK &&
		 i < sizeof(lists) / sizeof(lists[0]); i++)
		code = list(conn, lists[i], epoch, &total);
	if (code == BRIDGE_EXIT_OK)
		bridge_log(BRIDGE_LOG_INFO, "phantoms are listed",
				   "phantoms=%ld table=bank_report.phantom epoch=%" PRId32, total,
				   epoch);
	return code;
}

BridgeExit
bridge_phantom_check(PGconn *conn, int32_t epoch)
{
	char		number[16];
	const char *values[] = {number};
	PGresult   *result;
	BridgeExit	code = BRIDGE_EXIT_OK;

	snprintf(number, sizeof(number), "%" PRId32, epoch);
	result = bridge_database_query(conn, count_foreign, values, 1);
	if (result == NULL)
		return BRIDGE_EXIT_FAILED;
	if (strcmp(PQgetvalue(result, 0, 0), "0") != 0)
	{
		bridge_log(BRIDGE_LOG_ERROR, "kafka has what the ledger has not",
				   "records=%s one=%s hint=%s", PQgetvalue(result, 0, 0),
				   PQgetvalue(result, 0, 1),
				   "Run bank-bridge rebuild --new-epoch.");
		code = BRIDGE_EXIT_LOST;
	}
	PQclear(result);
	return code;
}
