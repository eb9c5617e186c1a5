/*
 * The journal's table of transfers: found by key, inserted.
 *
 * Raises: LG008 where the index of keys refuses a transfer.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "bank.h"
#include "ledger.h"
#include "row.h"

enum
{
	TRANSFER_ID,
	TRANSFER_KIND,
	TRANSFER_CUSTOMER_ID,
	TRANSFER_FROM_ACCOUNT,
	TRANSFER_TO_ACCOUNT,
	TRANSFER_AMOUNT,
	TRANSFER_CURRENCY,
	TRANSFER_FROM_VERSION,
	TRANSFER_TO_VERSION,
	TRANSFER_FROM_BALANCE,
	TRANSFER_TO_BALANCE,
	TRANSFER_FROM_HELD,
	TRANSFER_TO_HELD,
	TRANSFER_COMPLETED_AT,
	TRANSFER_REVERSES,
	TRANSFER_REFERENCE,
	TRANSFER_ACTOR,
	TRANSFER_FROM_PREVIOUS,
	TRANSFER_TO_PREVIOUS,
	TRANSFER_FROM_DIGEST,
	TRANSFER_TO_DIGEST,
	TRANSFER_PERIOD
};

static const BankColumn columns[] = {
	[TRANSFER_ID] = {"transfer_id", UUIDOID},
	[TRANSFER_KIND] = {"kind", TEXTOID},
	[TRANSFER_CUSTOMER_ID] = {"customer_id", UUIDOID},
	[TRANSFER_FROM_ACCOUNT] = {"from_account", UUIDOID},
	[TRANSFER_TO_ACCOUNT] = {"to_account", UUIDOID},
	[TRANSFER_AMOUNT] = {"amount", INT8OID},
	[TRANSFER_CURRENCY] = {"currency", TEXTOID},
	[TRANSFER_FROM_VERSION] = {"from_version", INT8OID},
	[TRANSFER_TO_VERSION] = {"to_version", INT8OID},
	[TRANSFER_FROM_BALANCE] = {"from_balance", INT8OID},
	[TRANSFER_TO_BALANCE] = {"to_balance", INT8OID},
	[TRANSFER_FROM_HELD] = {"from_held", INT8OID},
	[TRANSFER_TO_HELD] = {"to_held", INT8OID},
	[TRANSFER_COMPLETED_AT] = {"completed_at", TIMESTAMPTZOID},
	[TRANSFER_REVERSES] = {"reverses", UUIDOID, true},
	[TRANSFER_REFERENCE] = {"reference", TEXTOID, true},
	[TRANSFER_ACTOR] = {"actor", TEXTOID},
	[TRANSFER_FROM_PREVIOUS] = {"from_previous", UUIDOID, true},
	[TRANSFER_TO_PREVIOUS] = {"to_previous", UUIDOID, true},
	[TRANSFER_FROM_DIGEST] = {"from_digest", BYTEAOID},
	[TRANSFER_TO_DIGEST] = {"to_digest", BYTEAOID},
	[TRANSFER_PERIOD] = {"period", INT4OID},
};

static const BankShape shape = {
	BANK_TABLE_TRANSFER, columns, lengthof(columns)
};

static const char *const kind_names[] = {
	[BANK_TRANSFER] = "transfer",
	[BANK_DEPOSIT] = "deposit",
	[BANK_WITHDRAWAL] = "withdrawal",
	[BANK_HOLD_POSTED] = "hold_posted",
	[BANK_REVERSAL] = "reversal",
};

BankRelation *
bank_ledger_transfer_table(BankLedger *ledger)
{
	if (ledger->transfer.relation == NULL)
		bank_relation_open(&ledger->transfer, &shape, ledger->mode);
	return &ledger->transfer;
}

/* The kind as the journal names it. */
const char *
bank_ledger_transfer_kind_name(BankTransferKind kind)
{
	return kind_names[kind];
}

static void
read_chains(const BankRow *row, BankTransfer *transfer)
{
	transfer->from_previous = bank_row_uuid(row, TRANSFER_FROM_PREVIOUS);
	transfer->to_previous = bank_row_uuid(row, TRANSFER_TO_PREVIOUS);
	transfer->from_digest = bank_row_digest(row, TRANSFER_FROM_DIGEST);
	transfer->to_digest = bank_row_digest(row, TRANSFER_TO_DIGEST);
}

/* Reads a row of the table; its texts are in the current memory context. */
void
bank_ledger_read_transfer(const BankRow *row, BankTransfer *transfer)
{
	transfer->transfer_id = *DatumGetUUIDP(row->values[TRANSFER_ID]);
	transfer->kind = bank_row_word(row, TRANSFER_KIND, kind_names,
								   lengthof(kind_names));
	transfer->customer_id = *DatumGetUUIDP(row->values[TRANSFER_CUSTOMER_ID]);
	transfer->from_account = *DatumGetUUIDP(row->values[TRANSFER_FROM_ACCOUNT]);
	transfer->to_account = *DatumGetUUIDP(row->values[TRANSFER_TO_ACCOUNT]);
	transfer->amount = DatumGetInt64(row->values[TRANSFER_AMOUNT]);
	bank_row_currency(row, TRANSFER_CURRENCY, transfer->currency);
	transfer->from_version = DatumGetInt64(row->values[TRANSFER_FROM_VERSION]);
	transfer->to_version = DatumGetInt64(row->values[TRANSFER_TO_VERSION]);
	transfer->from_balance = DatumGetInt64(row->values[TRANSFER_FROM_BALANCE]);
	transfer->to_balance = DatumGetInt64(row->values[TRANSFER_TO_BALANCE]);
	transfer->from_held = DatumGetInt64(row->values[TRANSFER_FROM_HELD]);
	transfer->to_held = DatumGetInt64(row->values[TRANSFER_TO_HELD]);
	transfer->completed_at = DatumGetTimestampTz(row->values[TRANSFER_COMPLETED_AT]);
	transfer->reverses = bank_row_uuid(row, TRANSFER_REVERSES);
	transfer->reference = bank_row_optional_text(row, TRANSFER_REFERENCE);
	transfer->actor = bank_row_text(row, TRANSFER_ACTOR);
	read_chains(row, transfer);
	transfer->period = DatumGetInt32(row->values[TRANSFER_PERIOD]);
}

/* A callback; the context is the transfer. */
static bool
take_transfer(const BankRow *row, void *context)
{
	bank_ledger_read_transfer(row, context);
	return true;
}

/* The transfer that a key names, as committed now; false: the key is free. */
bool
bank_ledger_find_transfer(BankLedger *ledger, const pg_uuid_t *id,
						  BankTransfer *transfer)
{
	Datum		key = UUIDPGetDatum(id);

	return bank_relation_find(bank_ledger_transfer_table(ledger), &key, 1,
							  take_transfer, transfer);
}

/* The transfer of that key, as the running query sees it; false: none. */
bool
bank_ledger_find_visible_transfer(BankLedger *ledger, const pg_uuid_t *id,
								  BankTransfer *transfer)
{
	Datum		key = UUIDPGetDatum(id);

	return bank_relation_find_visible(bank_ledger_transfer_table(ledger), &key, 1,
									  take_transfer, transfer);
}

/*
 * The transfer that is a version of an account, as payer or payee, where the
 * version is a waypoint: one that the two indexes have.  As the running query
 * sees it; false: that version is no transfer.
 */
bool
bank_ledger_find_waypoint(BankLedger *ledger, const pg_uuid_t *account_id,
						  int64 version, BankTransfer *transfer)
{
	static const BankIndex as_payer = {
		"transfer_from_waypoint_idx", {TRANSFER_FROM_ACCOUNT, TRANSFER_FROM_VERSION}
	};
	static const BankIndex as_payee = {
		"transfer_to_waypoint_idx", {TRANSFER_TO_ACCOUNT, TRANSFER_TO_VERSION}
	};
	BankRelation *table = bank_ledger_transfer_table(ledger);
	Datum		key[] = {UUIDPGetDatum(account_id), Int64GetDatum(version)};

	return bank_relation_find_through(table, &as_payer, key, take_transfer, transfer) ||
		bank_relation_find_through(table, &as_payee, key, take_transfer, transfer);
}

typedef struct FoundTransfer
{
	bool		found;
	BankTransfer *transfer;
} FoundTransfer;

static bool
take_first(const BankRow *row, void *context)
{
	FoundTransfer *first = context;

	bank_ledger_read_transfer(row, first->transfer);
	first->found = true;
	return false;
}

/* The reversal of a transfer, as committed now; false: there is none. */
bool
bank_ledger_find_reversal(BankLedger *ledger, const pg_uuid_t *reversed,
						  BankTransfer *reversal)
{
	FoundTransfer first = {.transfer = reversal};
	BankScan	scan = {
		.index = "transfer_reverses_idx", .column = TRANSFER_REVERSES,
		.value = UUIDPGetDatum(reversed),
		.callback = take_first, .context = &first
	};

	bank_relation_scan(bank_ledger_transfer_table(ledger), &scan);
	return first.found;
}

/* What the journal and its readers share; the rest is the journal's own. */
static void
set_posting(const BankTransfer *transfer, Datum *values, bool *nulls)
{
	values[TRANSFER_ID] = UUIDPGetDatum(&transfer->transfer_id);
	values[TRANSFER_KIND] = CStringGetTextDatum(kind_names[transfer->kind]);
	values[TRANSFER_CUSTOMER_ID] = UUIDPGetDatum(&transfer->customer_id);
	values[TRANSFER_FROM_ACCOUNT] = UUIDPGetDatum(&transfer->from_account);
	values[TRANSFER_TO_ACCOUNT] = UUIDPGetDatum(&transfer->to_account);
	values[TRANSFER_AMOUNT] = Int64GetDatum(transfer->amount);
	values[TRANSFER_CURRENCY] = CStringGetTextDatum(transfer->currency);
	values[TRANSFER_FROM_VERSION] = Int64GetDatum(transfer->from_version);
	values[TRANSFER_TO_VERSION] = Int64GetDatum(transfer->to_version);
	values[TRANSFER_FROM_BALANCE] = Int64GetDatum(transfer->from_balance);
	values[TRANSFER_TO_BALANCE] = Int64GetDatum(transfer->to_balance);
	values[TRANSFER_FROM_HELD] = Int64GetDatum(transfer->from_held);
	values[TRANSFER_TO_HELD] = Int64GetDatum(transfer->to_held);
	values[TRANSFER_COMPLETED_AT] = TimestampTzGetDatum(transfer->completed_at);
	values[TRANSFER_REVERSES] = UUIDPGetDatum(&transfer->reverses.value);
	nulls[TRANSFER_REVERSES] = !transfer->reverses.is_set;
	nulls[TRANSFER_REFERENCE] = transfer->reference == NULL;
	if (transfer->reference != NULL)
		values[TRANSFER_REFERENCE] = CStringGetTextDatum(transfer->reference);
}

static void
set_chains(const BankTransfer *transfer, Datum *values, bool *nulls)
{
	values[TRANSFER_FROM_PREVIOUS] = UUIDPGetDatum(&transfer->from_previous.value);
	nulls[TRANSFER_FROM_PREVIOUS] = !transfer->from_previous.is_set;
	values[TRANSFER_TO_PREVIOUS] = UUIDPGetDatum(&transfer->to_previous.value);
	nulls[TRANSFER_TO_PREVIOUS] = !transfer->to_previous.is_set;
	values[TRANSFER_FROM_DIGEST] = bank_row_digest_datum(&transfer->from_digest);
	values[TRANSFER_TO_DIGEST] = bank_row_digest_datum(&transfer->to_digest);
	values[TRANSFER_PERIOD] = Int32GetDatum(transfer->period);
}

static int
compare_keys(const void *a, const void *b, void *transfers)
{
	return bank_uuid_compare(&((BankTransfer *const *) transfers)[*(const int *) a]->transfer_id,
							 &((BankTransfer *const *) transfers)[*(const int *) b]->transfer_id);
}

/*
 * The order of the keys, in which their index is to be written: so its pages
 * are visited in turn, and two calls cannot wait for each other there.
 */
static int *
order_of_keys(BankTransfer **transfers, int ntransfers)
{
	int		   *order = palloc(ntransfers * sizeof(int));

	for (int i = 0; i < ntransfers; i++)
		order[i] = i;
	qsort_arg(order, ntransfers, sizeof(int), compare_keys, transfers);
	return order;
}

/* What a BankRowMaker needs of the transfers that are written. */
typedef struct WrittenTransfers
{
	BankTransfer **transfers;
	Datum		actor;			/* of all of them */
} WrittenTransfers;

static void
make_row(int i, void *context, BankRow *row)
{
	const WrittenTransfers *written = context;

	set_posting(written->transfers[i], row->values, row->nulls);
	set_chains(written->transfers[i], row->values, row->nulls);
	row->values[TRANSFER_ACTOR] = written->actor;
}

/*
 * Inserts the appended transfers.  Rows are written, and so decoded, in the
 * order of their appending, which is that of the accounts' versions.
 */
void
bank_ledger_write_transfers(BankLedger *ledger)
{
	int			ntransfers = list_length(ledger->transfers);
	WrittenTransfers written;

	if (ntransfers == 0)
		return;
	written.transfers = palloc(ntransfers * sizeof(BankTransfer *));
	for (int i = 0; i < ntransfers; i++)
		written.transfers[i] = list_nth(ledger->transfers, i);
	written.actor = CStringGetTextDatum(ledger->actor);
	bank_relation_insert_keyed(bank_ledger_transfer_table(ledger), make_row, &written,
							   order_of_keys(written.transfers, ntransfers),
							   ntransfers);
}

/* Row type bank.transfer_row: the journal's columns up to the reference. */
Datum
bank_ledger_transfer_datum(const BankTransfer *transfer, TupleDesc descriptor)
{
	Datum		values[TRANSFER_ACTOR];
	bool		nulls[TRANSFER_ACTOR] = {false};

	bank_require_columns(descriptor, TRANSFER_ACTOR, "bank.transfer_row");
	set_posting(transfer, values, nulls);
	return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}
