/*
 * Reads bank_search.balance: by SPI where it is in this database, else by
 * libpq from the one that bank.search_dsn names.
 *
 * Promises:  works in read-only transactions and on a standby.
 * Raises:    what remote.c raises; 22000 for a row that makes no sense.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "bank.h"
#include "remote.h"
#include "search.h"

/* Columns of the question, all of them text. */
enum
{
	ACCOUNT_ID,
	CUSTOMER_ID,
	CURRENCY,
	STATUS,
	UPDATED_AT,
	BALANCE,
	HELD,
	VERSION,
	EPOCH,
	COLUMNS
};

static const char question[] =
	"SELECT b.account_id::pg_catalog.text, b.customer_id::pg_catalog.text, "
	"b.currency, b.status, " BANK_SQL_TIME("b.updated_at") ", "
	"b.balance::pg_catalog.text, b.held::pg_catalog.text, "
	"b.version::pg_catalog.text, b.epoch::pg_catalog.text "
	"FROM bank_search.balance AS b "
	"WHERE b.account_id OPERATOR(pg_catalog.=) $1::pg_catalog.uuid";

/* False where a text has not the form it should have. */
static bool
read_balance(const char *const *texts, BankRedisBalance *balance)
{
	const char *customer_id = texts[CUSTOMER_ID] != NULL ? texts[CUSTOMER_ID] : "";
	int64		epoch;

	for (int i = 0; i < COLUMNS; i++)
		if (i != CUSTOMER_ID && texts[i] == NULL)
			return false;
	if (!bank_text_to_int64(texts[BALANCE], &balance->balance) ||
		!bank_text_to_int64(texts[HELD], &balance->held) ||
		!bank_text_to_int64(texts[VERSION], &balance->version) ||
		!bank_text_to_int64(texts[EPOCH], &epoch))
		return false;
	balance->epoch = (int32) epoch;
	return bank_text_copy(balance->account_id, sizeof(balance->account_id), texts[ACCOUNT_ID]) &&
		bank_text_copy(balance->customer_id, sizeof(balance->customer_id), customer_id) &&
		bank_text_copy(balance->currency, sizeof(balance->currency), texts[CURRENCY]) &&
		bank_text_copy(balance->status, sizeof(balance->status), texts[STATUS]) &&
		bank_text_copy(balance->updated_at, sizeof(balance->updated_at), texts[UPDATED_AT]);
}

static void
raise_senseless(const char *account_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("a balance in the search database makes no sense"),
			 errdetail("It is that of account %s.", account_id),
			 errhint("Rebuild it with bank-bridge rebuild.")));
}

static bool
find_here(const char *account_id, BankRedisBalance *balance)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(account_id)};
	const char *texts[COLUMNS];
	bool		found;
	bool		sound = true;

	SPI_connect();
	if (plan == NULL)
	{
		plan = SPI_prepare(question, lengthof(types), types);
		SPI_keepplan(plan);
	}
	SPI_execute_plan(plan, values, NULL, true, 1);
	found = SPI_processed > 0;
	for (int i = 0; found && i < COLUMNS; i++)
		texts[i] = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1);
	if (found)
		sound = read_balance(texts, balance);
	SPI_finish();
	if (!sound)
		raise_senseless(account_id);
	return found;
}

static bool
find_there(const char *account_id, BankRedisBalance *balance)
{
	static BankRemote remote = {.name = "search database"};
	BankRemoteQuestion asked = {
		.dsn = bank_search_dsn, .query = question, .parameter = account_id,
		.timeout_ms = bank_search_timeout
	};
	PGresult   *result = bank_remote_ask(&remote, &asked);
	const char *texts[COLUMNS];
	bool		found = PQntuples(result) > 0;
	bool		sound = true;

	for (int i = 0; found && i < COLUMNS; i++)
		texts[i] = PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i);
	if (found)
		sound = read_balance(texts, balance);
	PQclear(result);
	if (!sound)
		raise_senseless(account_id);
	return found;
}

bool
bank_search_find(const char *account_id, BankRedisBalance *balance)
{
	if (bank_search_dsn == NULL || *bank_search_dsn == '\0')
		return find_here(account_id, balance);
	return find_there(account_id, balance);
}
