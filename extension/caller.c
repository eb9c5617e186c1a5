/*
 * The two questions every function that writes asks first: may this call
 * write here, and on whose behalf?
 *
 * Table access methods check neither read-only transactions nor parallel
 * workers nor recovery, so what the executor would have refused is refused
 * here.
 *
 * Raises: 25006 in a read-only transaction or on a standby, 25000 in a
 * parallel operation, LG019 where the site is no ledger.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "bank.h"
#include "relation.h"

enum
{
	SITE_ROLE
};

static const BankColumn site_columns[] = {
	[SITE_ROLE] = {"role", TEXTOID},
};

static const BankShape site_shape = {
	"site", site_columns, lengthof(site_columns)
};

static bool
site_is_ledger(void)
{
	BankRelation site;
	BankRow		row;
	bool		is_ledger = false;

	bank_relation_open(&site, &site_shape, BANK_OPEN_READ);
	if (bank_relation_find(&site, NULL, 0, &row))
		is_ledger = strcmp(bank_row_text(&row, SITE_ROLE), "ledger") == 0;
	bank_relation_close(&site);
	return is_ledger;
}

/* Returns where function may write; raises as the head of this file says. */
void
bank_require_writer(const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	PreventCommandDuringRecovery(function);
	if (!site_is_ledger())
		ereport(ERROR,
				(errcode(BANK_ERRCODE_NO_LEDGER),
				 errmsg("no ledger in this database"),
				 errdetail("%s writes to the ledger, and the site row of database \"%s\" does not name it one.",
						   function, get_database_name(MyDatabaseId)),
				 errhint("Call it in the ledger's database, or run bank-bridge init.")));
}

/*
 * The role that called, as the journal keeps it.  Inside SECURITY DEFINER
 * functions the current user is their owner, so the outer one is asked.
 */
const char *
bank_actor(void)
{
	return GetUserNameFromId(GetOuterUserId(), false);
}

/* Raises 22004 unless the argument was given. */
void
bank_require_argument(bool is_null, const char *name)
{
	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

/* The row type that the called function returns. */
TupleDesc
bank_result_descriptor(FunctionCallInfo fcinfo)
{
	TupleDesc	descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function must return a row type");
	return BlessTupleDesc(descriptor);
}
