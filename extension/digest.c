/*
 * What a digest of the journal covers: each journal row carries, for each of
 * its accounts, SHA-256 over the digest of the account's row before it and
 * over its own columns.  So a row that is changed, missing or put elsewhere
 * shows in its own digest or in the next one, without any lock beyond that of
 * the account.  Before its first row an account's digest is 32 zero bytes.
 *
 * The bytes of a row: a letter for its table, then its columns in the order
 * below.  Integers and dates are big-endian, eight bytes; texts are preceded
 * by their length; what may be null by a byte 0 or 1.  Digests themselves are
 * left out.
 *
 * Memory: a row that is longer than any of ours, in the current context.
 */
#include "postgres.h"

#include "port/pg_bswap.h"

#include "bank.h"
#include "digest.h"
#include "ledger.h"

/* More than a row has that the functions wrote: a reference, an actor, words. */
#define ROW_SIZE 4096

typedef struct RowBytes
{
	size_t		length;
	size_t		size;
	uint8	   *bytes;
	uint8		own[ROW_SIZE];
} RowBytes;

/* Who verifies may meet a row that somebody else has made longer. */
static void
enlarge(RowBytes *row, size_t length)
{
	uint8	   *bytes;

	row->size = 2 * row->size + length;
	bytes = MemoryContextAllocHuge(CurrentMemoryContext, row->size);
	memcpy(bytes, row->bytes, row->length);
	row->bytes = bytes;
}

static void
put(RowBytes *row, const void *data, size_t length)
{
	if (length > row->size - row->length)
		enlarge(row, length);
	memcpy(row->bytes + row->length, data, length);
	row->length += length;
}

static void
put_int64(RowBytes *row, int64 value)
{
	uint64		ordered = pg_hton64((uint64) value);

	put(row, &ordered, sizeof(ordered));
}

static void
put_flag(RowBytes *row, bool value)
{
	uint8		flag = value ? 1 : 0;

	put(row, &flag, 1);
}

static void
put_text(RowBytes *row, const char *text)
{
	size_t		length = strlen(text);

	put_int64(row, (int64) length);
	put(row, text, length);
}

static void
put_optional_text(RowBytes *row, const char *text)
{
	put_flag(row, text !=NULL);
	if (text !=NULL)
		put_text(row, text);
}

static void
put_uuid(RowBytes *row, const pg_uuid_t *id)
{
	put(row, id->data, UUID_LEN);
}

static void
put_optional_uuid(RowBytes *row, const BankOptionalUuid *id)
{
	put_flag(row, id->is_set);
	if (id->is_set)
		put_uuid(row, &id->value);
}

static void
put_optional_int64(RowBytes *row, bool is_set, int64 value)
{
	put_flag(row, is_set);
	if (is_set)
		put_int64(row, value);
}

static void
begin_row(RowBytes *row, char table)
{
	row->length = 0;
	row->size = ROW_SIZE;
	row->bytes = row->own;
	put(row, &table, 1);
}

/* bench/ builds the extension without, to measure what digests cost. */
static BankDigest
chain(const BankDigest *before, const RowBytes *row)
{
#ifndef BANK_BENCH_WITHOUT_DIGEST
	const BankPiece pieces[] = {
		{before->bytes, BANK_DIGEST_LENGTH}, {row->bytes, row->length}
	};

	return bank_sha256(pieces, lengthof(pieces));
#else
	return *before;
#endif
}

static void
put_transfer(RowBytes *row, const BankTransfer *transfer)
{
	begin_row(row, 'T');
	put_uuid(row, &transfer->transfer_id);
	put_text(row, bank_ledger_transfer_kind_name(transfer->kind));
	put_uuid(row, &transfer->customer_id);
	put_uuid(row, &transfer->from_account);
	put_uuid(row, &transfer->to_account);
	put_int64(row, transfer->amount);
	put_text(row, transfer->currency);
	put_int64(row, transfer->from_version);
	put_int64(row, transfer->to_version);
	put_int64(row, transfer->from_balance);
	put_int64(row, transfer->to_balance);
	put_int64(row, transfer->from_held);
	put_int64(row, transfer->to_held);
	put_int64(row, transfer->completed_at);
	put_optional_uuid(row, &transfer->reverses);
	put_optional_text(row, transfer->reference);
	put_text(row, transfer->actor);
	put_optional_uuid(row, &transfer->from_previous);
	put_optional_uuid(row, &transfer->to_previous);
	put_int64(row, transfer->period);
}

/*
 * The digests of both accounts after a transfer.  The results may be the
 * transfer's own fields, which are not covered.
 */
void
bank_digest_transfer(const BankTransfer *transfer,
					 const BankDigest *from_before, const BankDigest *to_before,
					 BankDigest *from_after, BankDigest *to_after)
{
	RowBytes	row;

	put_transfer(&row, transfer);
	*from_after = chain(from_before, &row);
	*to_after = chain(to_before, &row);
}

/* The digest of one of a transfer's accounts after it. */
void
bank_digest_transfer_side(const BankTransfer *transfer,
						  const BankDigest *before, BankDigest *after)
{
	RowBytes	row;

	put_transfer(&row, transfer);
	*after = chain(before, &row);
}

/* The digest of the account after an event. */
void
bank_digest_event(const BankAccountEvent *event,
				  const BankDigest *before, BankDigest *after)
{
	RowBytes	row;

	begin_row(&row, 'E');
	put_uuid(&row, &event->account_id);
	put_int64(&row, event->version);
	put_optional_uuid(&row, &event->customer_id);
	put_text(&row, bank_ledger_event_kind_name(event->kind));
	put_text(&row, event->currency);
	put_flag(&row, event->is_active);
	put_int64(&row, event->balance);
	put_int64(&row, event->held);
	put_optional_uuid(&row, &event->transfer_id);
	put_optional_int64(&row, event->amount.is_set, event->amount.value);
	put_optional_uuid(&row, &event->counterparty);
	put_optional_int64(&row, event->due_at.is_set, event->due_at.value);
	put_optional_text(&row, event->reference);
	put_int64(&row, event->occurred_at);
	put_text(&row, event->actor);
	put_optional_uuid(&row, &event->previous_transfer);
	put_int64(&row, event->period);
	*after = chain(before, &row);
}
