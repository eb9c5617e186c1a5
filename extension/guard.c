/*
 * The trigger of the tables that only the functions of the ledger write.
 *
 * Functions in C write through the table access method, where no trigger
 * fires, and those in SQL run as a superuser, who owns them.  So whoever else
 * fires it is somebody else: also a table's owner, and a subscription that
 * writes on his behalf.  A superuser may, because a restore must.
 *
 * In C, since a restore fires it for each row.
 *
 * Raises: 42501.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "bank.h"

PG_FUNCTION_INFO_V1(bank_guard_refuse_writer);

static const char *
command_of(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_INSERT(event))
		return "INSERT";
	if (TRIGGER_FIRED_BY_UPDATE(event))
		return "UPDATE";
	return TRIGGER_FIRED_BY_DELETE(event) ? "DELETE" : "TRUNCATE";
}

/* The row as it is to be written; null for a statement. */
static HeapTuple
row_of(const TriggerData *fired)
{
	return TRIGGER_FIRED_BY_UPDATE(fired->tg_event) ? fired->tg_newtuple :
		fired->tg_trigtuple;
}

Datum
bank_guard_refuse_writer(PG_FUNCTION_ARGS)
{
	TriggerData *fired = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("bank_ledger.refuse_writer() was not called as a trigger")));
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("table \"%s\" is written by the functions of the ledger only",
						RelationGetRelationName(fired->tg_relation)),
				 errdetail("%s by role \"%s\" was refused.", command_of(fired->tg_event),
						   GetUserNameFromId(GetUserId(), false)),
				 errhint("Call a function of schema bank.")));
	return PointerGetDatum(row_of(fired));
}
