/*
 * Answers what a balance was when last heard of: Redis first, then the search
 * database, whose answer then repairs Redis.
 *
 * Promises:  an answer is some committed version of the account, min_version
 *            or a later one (invariant 10); the ledger is not touched.
 * Raises:    LG014; 22004, 22023; what search.c raises.
 */
#include "postgres.h"

#include "funcapi.h"

#include "bank.h"
#include "cache.h"
#include "search.h"

PG_FUNCTION_INFO_V1(bank_balance);

/* Columns of bank.balance_row. */
#define ROW_COLUMNS 10

/* Long enough for any 64-bit integer. */
#define NUMBER_SIZE 24

static void
raise_not_visible(const char *account_id, const BankRedisBalance *seen,
				  int64 min_version)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_BALANCE_NOT_VISIBLE),
			 errmsg("balance not yet visible"),
			 seen->version == 0 ?
			 errdetail("No balance of account %s is known here.", account_id) :
			 errdetail("The balance of account %s is known at version " INT64_FORMAT
					   ", not yet at " INT64_FORMAT ".",
					   account_id, seen->version, min_version),
			 errhint("Ask again in a moment, or ask the ledger: bank.ledger_balance.")));
}

static HeapTuple
form_row(TupleDesc descriptor, BankRedisBalance *balance, const char *source)
{
	char		numbers[4][NUMBER_SIZE];
	char	   *texts[ROW_COLUMNS];

	snprintf(numbers[0], NUMBER_SIZE, INT64_FORMAT, balance->balance);
	snprintf(numbers[1], NUMBER_SIZE, INT64_FORMAT, balance->held);
	snprintf(numbers[2], NUMBER_SIZE, INT64_FORMAT, balance->version);
	snprintf(numbers[3], NUMBER_SIZE, "%d", balance->epoch);
	texts[0] = balance->account_id;
	texts[1] = balance->customer_id[0] == '\0' ? NULL :
		balance->customer_id;
	texts[2] = balance->currency;
	texts[3] = balance->status;
	texts[4] = numbers[0];
	texts[5] = numbers[1];
	texts[6] = numbers[2];
	texts[7] = balance->updated_at;
	texts[8] = numbers[3];
	texts[9] = unconstify(char *, source);
	return BuildTupleFromCStrings(TupleDescGetAttInMetadata(descriptor), texts);
}

/* Finds a balance that is new enough; says where, or raises LG014. */
static const char *
find_balance(const char *account_id, int64 min_version, BankRedisBalance *balance)
{
	BankCacheAnswer cached = bank_cache_get(account_id, balance);
	BankRedisBalance stored = {0};

	if (cached == BANK_CACHE_FOUND && balance->version >= min_version)
		return "redis";
	if (!bank_search_find(account_id, &stored))
		raise_not_visible(account_id, balance, min_version);
	if (cached != BANK_CACHE_AWAY)
		bank_cache_repair(&stored);
	if (stored.version < min_version)
		raise_not_visible(account_id, &stored, min_version);
	*balance = stored;
	return "database";
}

Datum
bank_balance(PG_FUNCTION_ARGS)
{
	BankRedisBalance balance = {0};
	TupleDesc	descriptor = bank_result_descriptor(fcinfo);
	const char *account_id;
	const char *source;

	bank_require_argument(PG_ARGISNULL(0), "account_id");
	bank_require_argument(PG_ARGISNULL(1), "min_version");
	bank_require_range("min_version", PG_GETARG_INT64(1), 0, PG_INT64_MAX);
	account_id = bank_uuid_text(PG_GETARG_UUID_P(0));
	source = find_balance(account_id, PG_GETARG_INT64(1), &balance);
	PG_RETURN_DATUM(HeapTupleGetDatum(form_row(descriptor, &balance, source)));
}
