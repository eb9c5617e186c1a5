/*
 * The way back for a notification that is dead.
 *
 * Promises:  attempts goes on counting from where it was, so that no number of
 *            it is sent twice (invariant 11).
 * Locks:     the row requeued, until the transaction ends.
 * Raises:    LG016; 22004; what caller.c raises.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "act.h"
#include "bank.h"

PG_FUNCTION_INFO_V1(bank_notification_requeue);

static const char requeue_query[] =
	"UPDATE bank_report.notification AS n SET state = 'pending',"
	" next_attempt_at = $2, requeued_after = n.attempts "
	"WHERE n.transfer_id OPERATOR(pg_catalog.=) $1"
	" AND n.state OPERATOR(pg_catalog.=) 'dead' "
	"RETURNING n.customer_id";

static const char state_query[] =
	"SELECT n.state FROM bank_report.notification AS n "
	"WHERE n.transfer_id OPERATOR(pg_catalog.=) $1";

/* True where the row was dead, and is pending now. */
static bool
bring_back(Datum transfer_id)
{
	Oid			types[] = {UUIDOID, TIMESTAMPTZOID};
	Datum		values[] = {transfer_id, TimestampTzGetDatum(GetCurrentTimestamp())};
	BankOptionalUuid requeued = {true, *DatumGetUUIDP(transfer_id)};
	Datum		customer_id;
	bool		is_null;

	SPI_execute_with_args(requeue_query, lengthof(types), types, values, NULL, false, 0);
	if (SPI_processed == 0)
		return false;
	customer_id = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
								&is_null);
	bank_act_record(BANK_OPEN_WRITE, BANK_NOTIFICATION_REQUEUED,
					DatumGetUUIDP(customer_id), &requeued);
	return true;
}

static void
say_why_not(Datum transfer_id)
{
	Oid			types[] = {UUIDOID};
	const char *id = bank_uuid_text(DatumGetUUIDP(transfer_id));

	SPI_execute_with_args(state_query, 1, types, &transfer_id, NULL, false, 1);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(BANK_ERRCODE_TRANSFER_NOT_FOUND),
				 errmsg("transfer not found"),
				 errdetail("There is no notification of transfer %s.", id),
				 errhint("Give the transfer_id of a row of bank_report.notification.")));
	ereport(NOTICE,
			(errmsg("notification is not dead"),
			 errdetail("The notification of transfer %s is %s.", id,
					   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
			 errhint("Only a dead one can be requeued.")));
}

/*
 * Makes a dead notification due now, with as many attempts before it as a new
 * one has, and records who did it.  False, and nothing changed, where it is
 * not dead; LG016 where there is none.
 */
Datum
bank_notification_requeue(PG_FUNCTION_ARGS)
{
	bool		requeued;

	bank_require_writer("bank_report.requeue");
	bank_require_argument(PG_ARGISNULL(0), "transfer_id");
	SPI_connect();
	requeued = bring_back(PG_GETARG_DATUM(0));
	if (!requeued)
		say_why_not(PG_GETARG_DATUM(0));
	SPI_finish();
	PG_RETURN_BOOL(requeued);
}
