/*
 * Values of a row by column: between the server's datums and our structs.
 *
 * Memory: what is made is in the current memory context; a uuid that is set
 * stays where the struct is.
 * Raises: XX001 for a word, a currency or a digest that the functions do not
 * write, unless the row takes faults.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "bank.h"
#include "row.h"

/* A BankRowCallback; the context is an ItemPointerData. */
bool
bank_row_take_place(const BankRow *row, void *context)
{
	*(ItemPointer) context = row->slot->tts_tid;
	return true;
}

/* Whether a text column has the given value. */
bool
bank_row_text_is(const BankRow *row, int column, const char *expected)
{
	const text *value = DatumGetTextPP(row->values[column]);

	return VARSIZE_ANY_EXHDR(value) == strlen(expected) &&
		memcmp(VARDATA_ANY(value), expected, strlen(expected)) == 0;
}

/* A text column as a C string. */
const char *
bank_row_text(const BankRow *row, int column)
{
	return TextDatumGetCString(row->values[column]);
}

/* The same for a column that may be null. */
const char *
bank_row_optional_text(const BankRow *row, int column)
{
	return row->nulls[column] ? NULL : bank_row_text(row, column);
}

/*
 * A value of the row is not as the functions write it.  Who verifies wants to
 * know, and goes on with the row; everybody else must not.
 */
void
bank_row_note_fault(const BankRow *row, const char *fault)
{
	if (row->fault == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of the ledger's tables is not understood"),
				 errdetail("In the row that begins with %s, %s.",
						   bank_uuid_text(DatumGetUUIDP(row->values[0])), fault),
				 errhint("bank.verify says what else does not hold.")));
	if (*row->fault == NULL)
		*row->fault = fault;
}

void
bank_row_currency(const BankRow *row, int column, char *currency)
{
	const text *value = DatumGetTextPP(row->values[column]);

	if (VARSIZE_ANY_EXHDR(value) != BANK_CURRENCY_SIZE - 1)
		bank_row_note_fault(row, psprintf("\"%s\" is no code of a currency",
										  bank_row_text(row, column)));
	text_to_cstring_buffer(value, currency, BANK_CURRENCY_SIZE);
}

/* The number of a text column's word among those known, of which there are. */
int
bank_row_word(const BankRow *row, int column, const char *const *words, int nwords)
{
	for (int word = 0; word < nwords; word++)
		if (bank_row_text_is(row, column, words[word]))
			return word;
	bank_row_note_fault(row, psprintf("\"%s\" is no known word",
									  bank_row_text(row, column)));
	return 0;
}

/* Whether the column status of an account, or of an event, is active. */
bool
bank_row_is_active(const BankRow *row, int column)
{
	static const char *const words[] = {"inactive", "active"};

	return bank_row_word(row, column, words, lengthof(words)) == 1;
}

BankOptionalUuid
bank_row_uuid(const BankRow *row, int column)
{
	BankOptionalUuid id = {.is_set = !row->nulls[column]};

	if (id.is_set)
		id.value = *DatumGetUUIDP(row->values[column]);
	return id;
}

BankOptionalAmount
bank_row_amount(const BankRow *row, int column)
{
	BankOptionalAmount amount = {.is_set = !row->nulls[column]};

	if (amount.is_set)
		amount.value = DatumGetInt64(row->values[column]);
	return amount;
}

BankOptionalTime
bank_row_time(const BankRow *row, int column)
{
	BankOptionalTime time = {.is_set = !row->nulls[column]};

	if (time.is_set)
		time.value = DatumGetTimestampTz(row->values[column]);
	return time;
}

BankOptionalDate
bank_row_date(const BankRow *row, int column)
{
	BankOptionalDate date = {.is_set = !row->nulls[column]};

	if (date.is_set)
		date.value = DatumGetDateADT(row->values[column]);
	return date;
}

/* bench/ builds the extension with none, to measure what digests cost. */
#ifndef BANK_BENCH_WITHOUT_DIGEST
#define STORED_DIGEST_LENGTH BANK_DIGEST_LENGTH
#else
#define STORED_DIGEST_LENGTH 0
#endif

BankDigest
bank_row_digest(const BankRow *row, int column)
{
	const		bytea *value = DatumGetByteaPP(row->values[column]);
	BankDigest	digest = {{0}};

	if (VARSIZE_ANY_EXHDR(value) == STORED_DIGEST_LENGTH)
		memcpy(digest.bytes, VARDATA_ANY(value), STORED_DIGEST_LENGTH);
	else
		bank_row_note_fault(row, psprintf("a digest has %d bytes instead of %d",
										  (int) VARSIZE_ANY_EXHDR(value),
										  STORED_DIGEST_LENGTH));
	return digest;
}

Datum
bank_row_digest_datum(const BankDigest *digest)
{
	bytea	   *value = palloc(VARHDRSZ + STORED_DIGEST_LENGTH);

	SET_VARSIZE(value, VARHDRSZ + STORED_DIGEST_LENGTH);
	memcpy(VARDATA(value), digest->bytes, STORED_DIGEST_LENGTH);
	return PointerGetDatum(value);
}

void
bank_row_set_uuid(BankRow *row, int column, const BankOptionalUuid *id)
{
	row->values[column] = UUIDPGetDatum(&id->value);
	row->nulls[column] = !id->is_set;
}

void
bank_row_set_amount(BankRow *row, int column, const BankOptionalAmount *amount)
{
	row->values[column] = Int64GetDatum(amount->value);
	row->nulls[column] = !amount->is_set;
}

void
bank_row_set_time(BankRow *row, int column, const BankOptionalTime *time)
{
	row->values[column] = TimestampTzGetDatum(time->value);
	row->nulls[column] = !time->is_set;
}

void
bank_row_set_date(BankRow *row, int column, const BankOptionalDate *date)
{
	row->values[column] = DateADTGetDatum(date->value);
	row->nulls[column] = !date->is_set;
}

void
bank_row_set_text(BankRow *row, int column, const char *text)
{
	row->values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
	row->nulls[column] = text == NULL;
}

void
bank_row_set_digest(BankRow *row, int column, const BankDigest *digest)
{
	row->values[column] = bank_row_digest_datum(digest);
}
