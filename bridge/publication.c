/*
 * The publication's rows in the catalogue.
 */
#include "publication.h"

#include <string.h>

#include "contract.h"
#include "database.h"

#define OURS \
	"ARRAY['" BANK_TABLE_ACCOUNT_EVENT "', '" BANK_TABLE_TRANSFER "', '" \
	BANK_TABLE_HEARTBEAT "', '" BANK_TABLE_EPOCH "', '" BANK_TABLE_SEAL "']"

/*
 * Freezing keeps xmin, and a standby has it too.  Tables that are not ours may
 * come and go: their rows are buried, and none of ours is left out.  Schemas
 * too: a schema leaves the rows of its tables as they are.
 */
const char	bridge_publication_query[] =
	"SELECT p.pubinsert AND"
	" (SELECT pg_catalog.count(*) OPERATOR(pg_catalog.=) 5"
	"  FROM pg_catalog.pg_publication_tables AS t"
	"  WHERE t.pubname OPERATOR(pg_catalog.=) p.pubname"
	"  AND t.schemaname OPERATOR(pg_catalog.=) '" BANK_LEDGER_SCHEMA "'"
	"  AND t.tablename OPERATOR(pg_catalog.=) ANY (" OURS ")"
	"  AND t.rowfilter IS NULL),"
	" pg_catalog.concat_ws(' ', p.oid, p.xmin,"
	"  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', r.oid, r.xmin), ' '"
	"    ORDER BY r.oid)"
	"   FROM pg_catalog.pg_publication_rel AS r"
	"   JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.prrelid"
	"   JOIN pg_catalog.pg_namespace AS n"
	"    ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
	"   WHERE r.prpubid OPERATOR(pg_catalog.=) p.oid"
	"   AND n.nspname OPERATOR(pg_catalog.=) '" BANK_LEDGER_SCHEMA "'"
	"   AND c.relname OPERATOR(pg_catalog.=) ANY (" OURS "))) "
	"FROM (VALUES (true)) AS always LEFT JOIN pg_catalog.pg_publication AS p"
	" ON p.pubname OPERATOR(pg_catalog.=) '" BANK_PUBLICATION "'";

bool
bridge_publication_parse(const char *text, BridgePublication *publication)
{
	size_t		length = strlen(text);

	if (length >= sizeof(publication->rows) || strspn(text, "0123456789 ") < length)
		return false;
	memcpy(publication->rows, text, length + 1);
	return true;
}

bool
bridge_publication_read(PGconn *conn, BridgePublication *publication)
{
	PGresult   *result = bridge_database_query(conn, bridge_publication_query, NULL, 0);
	bool		known = result != NULL &&
	bridge_publication_parse(PQgetvalue(result, 0, 1), publication);

	PQclear(result);
	return known;
}

bool
bridge_publication_differs(const BridgePublication *known,
						   const BridgePublication *found)
{
	return known->rows[0] != '\0' && strcmp(known->rows, found->rows) != 0;
}
