/*
 * The customer's row and his lock.
 *
 * Promises: no account is created for a customer between the moment he is
 * marked closing and the moment that is taken back, since whoever creates and
 * whoever marks hold the same lock until they commit.
 *
 * Locks: an advisory lock on the customer's hash, of a class of its own, until
 * the end of the transaction.  It is taken before any row: row locks alone
 * would let an inactivation wait on a unique index for a creation.
 *
 * Memory: the row points into the current memory context.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "act.h"
#include "advisory.h"
#include "bank.h"
#include "customer.h"
#include "row.h"

enum
{
	CUSTOMER_ID,
	CUSTOMER_STATUS,
	CUSTOMER_CHANGED_AT
};

static const BankColumn customer_columns[] = {
	[CUSTOMER_ID] = {"customer_id", UUIDOID},
	[CUSTOMER_STATUS] = {"status", TEXTOID},
	[CUSTOMER_CHANGED_AT] = {"changed_at", TIMESTAMPTZOID},
};

static const BankShape customer_shape = {
	"customer", customer_columns, lengthof(customer_columns)
};

/* Waits for the customer's lock. */
void
bank_customer_lock(const pg_uuid_t *customer_id)
{
	(void) bank_advisory_lock(BANK_LOCK_CUSTOMER, customer_id, false);
}

/* Takes the customer's lock unless another transaction has it. */
bool
bank_customer_try_lock(const pg_uuid_t *customer_id)
{
	return bank_advisory_lock(BANK_LOCK_CUSTOMER, customer_id, true);
}

static bool
take_customer(const BankRow *row, void *context)
{
	BankCustomer *customer = context;

	customer->place = row->slot->tts_tid;
	customer->is_closing = bank_row_text_is(row, CUSTOMER_STATUS, "closing");
	return true;
}

/* Reads what is committed now; the caller has the customer's lock. */
void
bank_customer_open(BankCustomer *customer, const pg_uuid_t *id, BankOpenMode mode)
{
	Datum		key = UUIDPGetDatum(id);

	customer->customer_id = *id;
	bank_relation_open(&customer->table, &customer_shape, mode);
	customer->is_closing = false;
	customer->is_known = bank_relation_find(&customer->table, &key, 1, take_customer,
											customer);
}

void
bank_customer_close(BankCustomer *customer)
{
	bank_relation_close(&customer->table);
}

static void
make_row(const BankCustomer *customer, BankRow *row)
{
	row->values[CUSTOMER_ID] = UUIDPGetDatum(&customer->customer_id);
	row->values[CUSTOMER_STATUS] =
		CStringGetTextDatum(customer->is_closing ? "closing" : "open");
	row->values[CUSTOMER_CHANGED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
}

/* Gives the customer a row unless he has one. */
void
bank_customer_make_known(BankCustomer *customer)
{
	BankRow		row = {0};

	if (customer->is_known)
		return;
	make_row(customer, &row);
	bank_relation_insert(&customer->table, &row);
	customer->is_known = true;
	CommandCounterIncrement();
}

/*
 * Only the holder of the customer's lock updates his row, so that nobody but
 * a session that locked it by hand can be met here.
 */
static void
update_status(BankCustomer *customer)
{
	bool		may_wait = customer->table.mode != BANK_OPEN_WRITE_NOWAIT;
	ItemPointerData place = customer->place;
	BankRow		row = {0};

	if (bank_relation_lock(&customer->table, &place, false,
						   may_wait ? LockWaitBlock : LockWaitSkip, bank_row_take_place,
						   &customer->place) != BANK_LOCK_TAKEN)
		bank_errors_raise_in_progress(psprintf("The row of customer %s is locked by another transaction.",
											   bank_uuid_text(&customer->customer_id)));
	make_row(customer, &row);
	bank_relation_update(&customer->table, &customer->place, &row);
	CommandCounterIncrement();
}

/*
 * Marks the customer closing, or open again, and records the act once.
 * Raises LG009 where his row is locked and the tables were opened nowait.
 */
void
bank_customer_set_closing(BankCustomer *customer, bool is_closing)
{
	const BankOptionalUuid no_transfer = {false};

	if (customer->is_closing == is_closing)
		return;
	customer->is_closing = is_closing;
	if (customer->is_known)
		update_status(customer);
	else
		bank_customer_make_known(customer);
	bank_act_record(customer->table.mode, is_closing ? BANK_CUSTOMER_CLOSING :
					BANK_CUSTOMER_REACTIVATED, &customer->customer_id, &no_transfer);
}
