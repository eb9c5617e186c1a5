/*
 * The only row of a table, kept by a backend between calls: what is asked at
 * every call and seldom changes.
 *
 * A trigger of the table tells every backend of a change: its own in the
 * transaction, others when that is committed and before its locks are let go.
 * They listen when they lock a table, and at AcceptInvalidationMessages().
 *
 * Locks: the table while it is read, nothing while the row is known; who opens
 * without waiting is to meet the locks of others, so it always reads.
 *
 * Raises: LG009 for a locked table when opened without waiting.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "bank.h"
#include "kept.h"

PG_FUNCTION_INFO_V1(bank_tell_backends);

static BankKept *all_kept = NULL;

/* Called by the server for each relation that was changed. */
static void
forget_changed(Datum argument, Oid relation_id)
{
	for (BankKept *kept = all_kept; kept != NULL; kept = kept->next)
		if (!OidIsValid(relation_id) || relation_id == kept->relation_id)
		{
			kept->is_known = false;
			kept->changes++;
		}
}

static bool
is_listed(const BankKept *kept)
{
	const BankKept *one = all_kept;

	while (one != NULL && one != kept)
		one = one->next;
	return one != NULL;
}

static void
listen(BankKept *kept)
{
	static bool is_listening = false;

	if (!is_listening)
		CacheRegisterRelcacheCallback(forget_changed, (Datum) 0);
	is_listening = true;
	if (is_listed(kept))
		return;
	kept->next = all_kept;
	all_kept = kept;
}

/* A change that arrives meanwhile leaves the row unknown. */
static bool
read_row(BankKept *kept, BankOpenMode mode)
{
	BankRelation table;
	uint64		before;
	bool		found;

	listen(kept);
	bank_relation_open(&table, kept->shape, mode);
	kept->relation_id = RelationGetRelid(table.relation);
	before = kept->changes;
	found = bank_relation_find_latest(&table, NULL, 0, kept->take, kept->value);
	bank_relation_close(&table);
	kept->is_known = found && kept->changes == before;
	return found;
}

/* Makes the value what the row says, as committed now; false: there is none. */
bool
bank_kept_find(BankKept *kept, BankOpenMode mode)
{
	return (kept->is_known && mode == BANK_OPEN_READ) || read_row(kept, mode);
}

/* Trigger of a table whose row is kept. */
Datum
bank_tell_backends(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("bank_ledger.tell_backends() was not called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
