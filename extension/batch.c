/*
 * Many transfers in one call: each item its own result.
 *
 * Accounts are locked once, in the order of their ids over the whole batch, so
 * that batches and single transfers never deadlock with each other, whatever
 * the order of their items.  Then the items are judged and posted in memory in
 * their order, the journal is inserted at once, and each account is updated
 * once.
 *
 * Promises: as transfer.c, item by item; an item that is refused does not stop
 * the others; the same key twice in a batch is one transfer.
 *
 * Locks: customers' accounts in the order of their ids, waiting; for a batch of
 * one holder, before they are found and until they are locked, an advisory lock
 * on his id.
 *
 * Raises: LG009, LG019; 22004, 22023; 40001 as relation.c says.  What else a
 * single transfer would raise is the item's result.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "advisory.h"
#include "bank.h"
#include "expiry.h"
#include "ledger.h"
#include "posting.h"

PG_FUNCTION_INFO_V1(bank_transfer_batch);

#define MAX_ITEMS 10000

typedef struct BatchItem
{
	BankTransfer transfer;
	bool		has_key;
	BankAccount *from;			/* null: not found */
	BankAccount *to;
	int			refusal;		/* SQLSTATE; 0: ok, or not judged yet */
	int			fault;			/* what is wrong with its arguments */
} BatchItem;

typedef struct Batch
{
	BankLedger	ledger;
	int			nitems;
	BatchItem  *items;
	int			naccounts;
	BankAccount *accounts;		/* each once, in the order of their ids */
	bool	   *is_needed;		/* by an item without a fault */
} Batch;

/* The elements of one argument; none: all null. */
typedef struct BatchColumn
{
	int			count;
	Datum	   *values;
	bool	   *nulls;
} BatchColumn;

static BatchColumn
read_elements(FunctionCallInfo fcinfo, int argument, const char *name, Oid type)
{
	BatchColumn elements = {0};
	ArrayType  *array;

	bank_require_argument(PG_ARGISNULL(argument), name);
	array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have one dimension", name),
				 errdetail("It has %d dimensions.", ARR_NDIM(array)),
				 errhint("Give one element for each item, in a single list.")));
	deconstruct_array(array, type, type == UUIDOID ? UUID_LEN : type == INT8OID ? 8 : -1,
					  type == INT8OID && FLOAT8PASSBYVAL,
					  type == UUIDOID ? TYPALIGN_CHAR :
					  type == INT8OID ? TYPALIGN_DOUBLE : TYPALIGN_INT,
					  &elements.values, &elements.nulls, &elements.count);
	return elements;
}

/* An argument that may be left out. */
static BatchColumn
read_optional_elements(FunctionCallInfo fcinfo, int argument, const char *name,
					   Oid type, int count)
{
	BatchColumn elements = {.count = count};

	if (!PG_ARGISNULL(argument))
		return read_elements(fcinfo, argument, name, type);
	elements.values = palloc0(count * sizeof(Datum));
	elements.nulls = palloc(count * sizeof(bool));
	memset(elements.nulls, true, count * sizeof(bool));
	return elements;
}

static void
require_lengths(const BatchColumn *elements, int narguments)
{
	for (int i = 1; i < narguments; i++)
		if (elements[i].count != elements[0].count)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the arrays of a batch must be of one length"),
					 errdetail("Two of them have lengths %d and %d.",
							   elements[0].count, elements[i].count),
					 errhint("Give each array one element for each item.")));
	if (elements[0].count > MAX_ITEMS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("batch has too many items"),
				 errdetail("It has %d items; %d are allowed.", elements[0].count,
						   MAX_ITEMS),
				 errhint("Give the rest in further calls.")));
}

/* What a single transfer would raise before it looks at any account. */
static int
judge_arguments(const BankTransfer *transfer)
{
	int			refusal = bank_posting_judge_amount(transfer->amount);

	if (refusal != 0)
		return refusal;
	if (!bank_posting_reference_fits(transfer->reference) ||
		bank_uuid_compare(&transfer->from_account, &transfer->to_account) == 0)
		return ERRCODE_INVALID_PARAMETER_VALUE;
	return 0;
}

static void
read_item(const BatchColumn *elements, int i, BatchItem *item)
{
	BankTransfer *transfer = &item->transfer;

	transfer->kind = BANK_TRANSFER;
	item->has_key = !elements[3].nulls[i];
	if (item->has_key)
		transfer->transfer_id = *DatumGetUUIDP(elements[3].values[i]);
	if (elements[0].nulls[i] || elements[1].nulls[i] || elements[2].nulls[i])
	{
		item->fault = ERRCODE_NULL_VALUE_NOT_ALLOWED;
		return;
	}
	transfer->from_account = *DatumGetUUIDP(elements[0].values[i]);
	transfer->to_account = *DatumGetUUIDP(elements[1].values[i]);
	transfer->amount = DatumGetInt64(elements[2].values[i]);
	if (!elements[4].nulls[i])
		transfer->reference = TextDatumGetCString(elements[4].values[i]);
	item->fault = judge_arguments(transfer);
}

static void
read_items(FunctionCallInfo fcinfo, Batch *batch)
{
	BatchColumn elements[5];

	elements[0] = read_elements(fcinfo, 0, "from_accounts", UUIDOID);
	elements[1] = read_elements(fcinfo, 1, "to_accounts", UUIDOID);
	elements[2] = read_elements(fcinfo, 2, "amounts", INT8OID);
	elements[3] = read_optional_elements(fcinfo, 3, "transfer_ids", UUIDOID,
										 elements[0].count);
	elements[4] = read_optional_elements(fcinfo, 4, "transfer_references", TEXTOID,
										 elements[0].count);
	require_lengths(elements, lengthof(elements));
	batch->nitems = elements[0].count;
	batch->items = palloc0(Max(batch->nitems, 1) * sizeof(BatchItem));
	for (int i = 0; i < batch->nitems; i++)
		read_item(elements, i, &batch->items[i]);
}

static int
compare_ids(const void *a, const void *b)
{
	return bank_uuid_compare(a, b);
}

/* The ids of all accounts, each once, in order. */
static pg_uuid_t *
collect_ids(const Batch *batch, int *nids)
{
	pg_uuid_t  *ids = palloc(Max(2 * batch->nitems, 1) * sizeof(pg_uuid_t));
	int			count = 0;

	for (int i = 0; i < batch->nitems; i++)
	{
		if (batch->items[i].fault != 0)
			continue;
		ids[count++] = batch->items[i].transfer.from_account;
		ids[count++] = batch->items[i].transfer.to_account;
	}
	qsort(ids, count, sizeof(pg_uuid_t), compare_ids);
	*nids = (int) qunique(ids, count, sizeof(pg_uuid_t), compare_ids);
	return ids;
}

static void
find_accounts(Batch *batch)
{
	int			nids;
	pg_uuid_t  *ids = collect_ids(batch, &nids);

	batch->accounts = MemoryContextAllocHuge(CurrentMemoryContext,
											 Max(nids, 1) * sizeof(BankAccount));
	for (int i = 0; i < nids; i++)
	{
		BankAccount *account = &batch->accounts[batch->naccounts];

		CHECK_FOR_INTERRUPTS();
		if (bank_ledger_find_account(&batch->ledger, &ids[i], account) &&
			!account->is_settlement)
			batch->naccounts++;
	}
}

static int
compare_account_to_id(const void *id, const void *account)
{
	return bank_uuid_compare(id, &((const BankAccount *) account)->account_id);
}

static BankAccount *
account_of(const Batch *batch, const pg_uuid_t *id)
{
	return bsearch(id, batch->accounts, batch->naccounts, sizeof(BankAccount),
				   compare_account_to_id);
}

static void
assign_accounts(Batch *batch, BatchItem *item)
{
	item->from = account_of(batch, &item->transfer.from_account);
	item->to = account_of(batch, &item->transfer.to_account);
	if (item->from == NULL || item->to == NULL)
		item->fault = BANK_ERRCODE_ACCOUNT_NOT_FOUND;
	else if (!bank_posting_have_same_holder(item->from, item->to))
		item->fault = BANK_ERRCODE_DIFFERENT_HOLDERS;
	else
		item->transfer.customer_id = item->from->customer_id;
}

static void
assign_items(Batch *batch)
{
	batch->is_needed = palloc0(Max(batch->naccounts, 1) * sizeof(bool));
	for (int i = 0; i < batch->nitems; i++)
	{
		BatchItem  *item = &batch->items[i];

		if (item->fault == 0)
			assign_accounts(batch, item);
		if (item->fault != 0)
			continue;
		batch->is_needed[item->from - batch->accounts] = true;
		batch->is_needed[item->to - batch->accounts] = true;
	}
}

/* Locks those that are needed; a second time, makes them again what they are. */
static void
lock_accounts(Batch *batch)
{
	for (int i = 0; i < batch->naccounts; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (batch->is_needed[i])
			bank_posting_lock(&batch->ledger, &batch->accounts[i]);
	}
}

/* The holder of the first account that is paid from, if there is such an account. */
static bool
find_first_holder(Batch *batch, pg_uuid_t *holder)
{
	BankAccount account;
	int			i = 0;

	while (i < batch->nitems && batch->items[i].fault != 0)
		i++;
	if (i == batch->nitems ||
		!bank_ledger_find_account(&batch->ledger, &batch->items[i].transfer.from_account,
								  &account) ||
		account.is_settlement)
		return false;
	*holder = account.customer_id;
	return true;
}

static bool
is_only_holder(const Batch *batch, const pg_uuid_t *holder)
{
	for (int i = 0; i < batch->naccounts; i++)
		if (batch->is_needed[i] &&
			bank_uuid_compare(&batch->accounts[i].customer_id, holder) != 0)
			return false;
	return true;
}

/*
 * Finds and locks the accounts in turn with other batches of the holder, with
 * which they are likely to share some.  Who waits for one of the first has
 * locked few, and would be overtaken again and again; and what he found before
 * would be of yesterday.  So one batch at a time looks for its accounts while
 * the one before it posts.
 * A transaction that has written takes no turn, since others in the queue may
 * wait for rows that it has locked.
 */
static void
lock_accounts_in_turn(Batch *batch)
{
	pg_uuid_t	holder;
	bool		in_turn = !TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
	find_first_holder(batch, &holder);

	if (in_turn)
		(void) bank_advisory_lock(BANK_LOCK_BATCH, &holder, false);
	find_accounts(batch);
	assign_items(batch);
	if (in_turn && !is_only_holder(batch, &holder))
	{
		bank_advisory_unlock(BANK_LOCK_BATCH, &holder);
		in_turn = false;
	}
	lock_accounts(batch);
	if (in_turn)
		bank_advisory_unlock(BANK_LOCK_BATCH, &holder);
}

/* Which item of the batch has used a key. */
typedef struct UsedKey
{
	pg_uuid_t	key;
	const BatchItem *item;
} UsedKey;

static HTAB *
make_used_keys(const Batch *batch)
{
	HASHCTL		control = {
		.keysize = sizeof(pg_uuid_t), .entrysize = sizeof(UsedKey),
		.hcxt = CurrentMemoryContext
	};

	return hash_create("keys of a batch", Max(batch->nitems, 1), &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* True when the key has a transfer, in the journal or earlier in the batch. */
static bool
judge_key(Batch *batch, BatchItem *item, const UsedKey *used)
{
	BankTransfer posted;

	if (!item->has_key)
		return false;
	if (used != NULL && used->item != NULL)
		posted = used->item->transfer;
	else if (!bank_ledger_find_transfer(&batch->ledger, &item->transfer.transfer_id,
										&posted))
		return false;
	item->refusal = bank_posting_judge_replay(&posted, &item->transfer);
	return true;
}

static void
post_item(Batch *batch, BatchItem *item, HTAB *used_keys)
{
	UsedKey    *used = NULL;
	bool		found;

	item->refusal = item->fault;
	if (item->fault != 0 && item->fault != BANK_ERRCODE_DIFFERENT_HOLDERS)
		return;
	if (item->has_key)
	{
		used = hash_search(used_keys, &item->transfer.transfer_id, HASH_ENTER, &found);
		if (!found)
			used->item = NULL;
	}
	/* A key is judged before the holders are, as for one transfer. */
	if (judge_key(batch, item, used) || item->fault != 0)
		return;
	bank_expiry_end_due(&batch->ledger, item->from);
	bank_expiry_end_due(&batch->ledger, item->to);
	item->refusal = bank_posting_judge(&batch->ledger, &item->transfer, item->from,
									   item->to);
	if (item->refusal != 0)
		return;
	/* not before the locks, so that the index of keys grows at its end */
	if (!item->has_key)
		item->transfer.transfer_id = bank_uuid_generate(&item->from->customer_id);
	bank_posting_append(&batch->ledger, &item->transfer, item->from, item->to);
	if (used != NULL)
		used->item = item;
}

/* Appends all items that may be posted. */
static void
append_items(Batch *batch)
{
	HTAB	   *used_keys = make_used_keys(batch);

	for (int i = 0; i < batch->nitems; i++)
		post_item(batch, &batch->items[i], used_keys);
	hash_destroy(used_keys);
	if (batch->ledger.transfers == NIL)
		bank_ledger_forget(&batch->ledger);
}

/* What is opened in the subtransaction would be lost with it. */
static void
open_tables(BankLedger *ledger)
{
	(void) bank_ledger_event_table(ledger);
	(void) bank_ledger_transfer_table(ledger);
	(void) bank_ledger_hold_table(ledger);
}

/* Indexes may keep pages pinned that the subtransaction must let go. */
static void
end_indexes(BankLedger *ledger, void (*end) (BankRelation *))
{
	end(bank_ledger_event_table(ledger));
	end(bank_ledger_transfer_table(ledger));
	end(bank_ledger_hold_table(ledger));
}

/* Ends the subtransaction of an error, which is raised again unless it is LG008. */
static void
roll_back_journal(BankLedger *ledger, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	if (error->sqlerrcode != BANK_ERRCODE_KEY_REUSED)
		ReThrowError(error);
	FreeErrorData(error);
	end_indexes(ledger, bank_relation_forget_indexes);
}

/*
 * Inserts the journal in a subtransaction.  False when another session has
 * used a key at the same moment for other accounts: then nothing was written.
 */
static bool
try_journal(Batch *batch)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext rows = AllocSetContextCreate(context, "journal of a batch",
											   ALLOCSET_DEFAULT_SIZES);
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool is_written = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(rows);
	PG_TRY();
	{
		bank_ledger_write_journal(&batch->ledger);
		end_indexes(&batch->ledger, bank_relation_close_indexes);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		roll_back_journal(&batch->ledger, context);
		is_written = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	MemoryContextDelete(rows);
	CurrentResourceOwner = owner;
	return is_written;
}

/*
 * When a key was taken meanwhile, its transfer is committed and found at the
 * next round.  Each round settles one key at least.  Accounts are updated
 * outside the subtransaction, whose updates of rows that the transaction has
 * locked would each cost a multixact.
 */
static void
post_items(Batch *batch)
{
	lock_accounts_in_turn(batch);
	bank_ledger_begin(&batch->ledger);
	open_tables(&batch->ledger);
	append_items(batch);
	while (!try_journal(batch))
	{
		CHECK_FOR_INTERRUPTS();
		bank_ledger_forget(&batch->ledger);
		lock_accounts(batch);
		append_items(batch);
	}
	bank_ledger_write_accounts(&batch->ledger);
}

static void
return_items(const Batch *batch, ReturnSetInfo *result)
{
	for (int i = 0; i < batch->nitems; i++)
	{
		const BatchItem *item = &batch->items[i];
		const char *code = item->refusal == 0 ? "ok" : unpack_sql_state(item->refusal);
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = UUIDPGetDatum(&item->transfer.transfer_id);
		nulls[1] = !item->has_key && item->refusal != 0;
		values[2] = CStringGetTextDatum(code);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

static Datum
transfer_batch_body(PG_FUNCTION_ARGS)
{
	Batch		batch = {0};

	InitMaterializedSRF(fcinfo, 0);
	read_items(fcinfo, &batch);
	bank_ledger_open(&batch.ledger, BANK_OPEN_WRITE);
	post_items(&batch);
	bank_ledger_close(&batch.ledger);
	return_items(&batch, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}

/*
 * transfer_batch(from_accounts, to_accounts, amounts, transfer_ids,
 * transfer_references) returns (item, transfer_id, result), one row an item;
 * a null key is made where the item is posted.
 */
Datum
bank_transfer_batch(PG_FUNCTION_ARGS)
{
	return bank_call_writer(fcinfo, "bank.transfer_batch", BANK_OPEN_READ,
							transfer_batch_body);
}
