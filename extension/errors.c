/*
 * Errors that several files raise, each worded once.
 */
#include "postgres.h"

#include "errors.h"

/* LG009; the detail says what is locked, or was waited for too long. */
void
bank_errors_raise_in_progress(const char *detail)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_TRANSACTION_IN_PROGRESS),
			 errmsg("transaction in progress"),
			 errdetail_internal("%s", detail),
			 errhint("Try again when it has ended.")));
}

/* LG008; the detail says what the key is of. */
void
bank_errors_raise_key_reused(const char *detail)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_KEY_REUSED),
			 errmsg("key reused with other arguments"),
			 errdetail_internal("%s", detail),
			 errhint("Use a new key for another operation.")));
}

/*
 * 40001, in REPEATABLE READ and above; the detail says what changed after the
 * transaction took its snapshot.
 */
void
bank_errors_raise_changed(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail_internal("%s", detail),
			 errhint("Repeat the transaction.")));
}

/* LG019; the detail says what is missing. */
void
bank_errors_raise_no_ledger(const char *detail)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_NO_LEDGER),
			 errmsg("no ledger in this database"),
			 errdetail_internal("%s", detail),
			 errhint("Call it in the ledger's database, or run bank-bridge init.")));
}
