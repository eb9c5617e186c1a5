/*
 * The question every function that writes asks first: may this call write
 * here?
 *
 * Table access methods check neither read-only transactions nor parallel
 * workers nor recovery, so what the executor would have refused is refused
 * here.
 *
 * Raises: 25006 in a read-only transaction or on a standby, 25000 in a
 * parallel operation, 55000 where old_snapshot_threshold is set, LG019 where
 * the site is no ledger; LG009 and 23000 in
 * place of the server's 55P03 and 23505.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "bank.h"
#include "kept.h"
#include "row.h"

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
take_role(const BankRow *row, void *is_ledger)
{
	*(bool *) is_ledger = bank_row_text_is(row, SITE_ROLE, "ledger");
	return true;
}

static bool is_ledger;
static BankKept site = {.shape = &site_shape, .take = take_role, .value = &is_ledger};

/*
 * A row that was found is locked later by its place, which is another's by then
 * if the server clears away what a running query may still read.
 */
static void
require_lasting_snapshots(const char *function)
{
	if (BANK_SNAPSHOTS_EXPIRE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s needs snapshots that last as long as their query",
						function),
				 errdetail("old_snapshot_threshold is set."),
				 errhint("Set old_snapshot_threshold to -1, its default, and restart the server.")));
}

static void
require_writer(const char *function, BankOpenMode mode)
{
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	PreventCommandDuringRecovery(function);
	require_lasting_snapshots(function);
	if (!bank_kept_find(&site, mode) || !is_ledger)
		bank_errors_raise_no_ledger(psprintf("%s writes to the ledger, and the site row of database \"%s\" does not name it one.",
											 function, get_database_name(MyDatabaseId)));
}

/* Returns where function may write; raises as the head of this file says. */
void
bank_require_writer(const char *function)
{
	require_writer(function, BANK_OPEN_READ);
}

/*
 * What the server refuses in its own words, in ours.  lock_timeout ended a
 * wait; or an index that is not the extension's refused a row.
 */
static void
raise_translated(const ErrorData *error, const char *function)
{
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		bank_errors_raise_in_progress(psprintf("%s waited longer than lock_timeout for another transaction.",
											   function));
	ereport(ERROR,
			(errcode(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION),
			 errmsg("index \"%s\" refuses a row of %s",
					error->constraint_name != NULL ? error->constraint_name : "?",
					function),
			 errhint("It is not the extension's: drop it, or make it take what the functions write.")));
}

/*
 * Calls the body of a function that writes, where it may; what leaves it is
 * as README.md promises: neither 55P03 nor 23505.
 */
Datum
bank_call_writer(FunctionCallInfo fcinfo, const char *function,
				 BankOpenMode mode, PGFunction body)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		require_writer(function, mode);
		result = body(fcinfo);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE &&
			geterrcode() != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		raise_translated(error, function);
	}
	PG_END_TRY();
	return result;
}

/* Raises 22004 unless the argument was given. */
void
bank_require_argument(bool is_null, const char *name)
{
	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name),
				 errhint("Give a value, or leave the argument out where it has a default.")));
}

/* Raises 22023 unless an argument's value is between two bounds. */
void
bank_require_range(const char *name, int64 value, int64 least, int64 most)
{
	if (value < least || value > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range", name),
				 errdetail("It is " INT64_FORMAT "; allowed is " INT64_FORMAT " to " INT64_FORMAT ".",
						   value, least, most),
				 errhint("Give a number in that range.")));
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

/* Raises 42804 unless the row type has as many columns as the code fills. */
void
bank_require_columns(TupleDesc descriptor, int ncolumns, const char *type)
{
	if (descriptor->natts != ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s has another number of columns", type),
				 errdetail("It has %d instead of %d.", descriptor->natts, ncolumns),
				 errhint("Restore the type as the extension's script made it.")));
}
