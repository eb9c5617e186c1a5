/*
 * Acts on a customer or a notification, as the ledger keeps them.
 *
 * Raises: LG019 where nobody has run bank_ledger.init(); LG009 for a locked
 * table when opened without waiting.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "act.h"
#include "bank.h"
#include "ledger.h"
#include "rights.h"
#include "row.h"

enum
{
	ACT_ID,
	ACT_ACT,
	ACT_CUSTOMER_ID,
	ACT_TRANSFER_ID,
	ACT_OCCURRED_AT,
	ACT_ACTOR,
	ACT_PERIOD
};

static const BankColumn columns[] = {
	[ACT_ID] = {"act_id", UUIDOID},
	[ACT_ACT] = {"act", TEXTOID},
	[ACT_CUSTOMER_ID] = {"customer_id", UUIDOID, true},
	[ACT_TRANSFER_ID] = {"transfer_id", UUIDOID, true},
	[ACT_OCCURRED_AT] = {"occurred_at", TIMESTAMPTZOID},
	[ACT_ACTOR] = {"actor", TEXTOID},
	[ACT_PERIOD] = {"period", INT4OID},
};

static const BankShape shape = {"operator_act", columns, lengthof(columns)};

static const char *const act_names[] = {
	[BANK_CUSTOMER_CLOSING] = "customer_closing",
	[BANK_CUSTOMER_REACTIVATED] = "customer_reactivated",
	[BANK_NOTIFICATION_REQUEUED] = "notification_requeued",
};

/* Records what the caller has done; transfer_id is null for a customer. */
void
bank_act_record(BankOpenMode mode, BankAct act, const pg_uuid_t *customer_id,
				const BankOptionalUuid *transfer_id)
{
	BankRelation table;
	pg_uuid_t	act_id = bank_uuid_generate(customer_id);
	BankRow		row = {0};

	row.values[ACT_ID] = UUIDPGetDatum(&act_id);
	row.values[ACT_ACT] = CStringGetTextDatum(act_names[act]);
	row.values[ACT_CUSTOMER_ID] = UUIDPGetDatum(customer_id);
	bank_row_set_uuid(&row, ACT_TRANSFER_ID, transfer_id);
	row.values[ACT_PERIOD] = Int32GetDatum(bank_ledger_open_period(mode));
	row.values[ACT_OCCURRED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	row.values[ACT_ACTOR] = CStringGetTextDatum(bank_rights_actor());
	bank_relation_open(&table, &shape, mode);
	bank_relation_insert(&table, &row);
	bank_relation_close(&table);
}
