/*
 * Values of a row by column: texts, words, and what may be null.
 */
#ifndef BANK_ROW_H
#define BANK_ROW_H

#include "ledger.h"

extern bool bank_row_take_place(const BankRow *row, void *context);
extern bool bank_row_text_is(const BankRow *row, int column, const char *expected);
extern const char *bank_row_text(const BankRow *row, int column);
extern const char *bank_row_optional_text(const BankRow *row, int column);
extern void bank_row_note_fault(const BankRow *row, const char *fault);
extern void bank_row_currency(const BankRow *row, int column, char *currency);
extern int	bank_row_word(const BankRow *row, int column, const char *const *words,
						  int nwords);
extern bool bank_row_is_active(const BankRow *row, int column);
extern BankOptionalUuid bank_row_uuid(const BankRow *row, int column);
extern BankOptionalAmount bank_row_amount(const BankRow *row, int column);
extern BankOptionalTime bank_row_time(const BankRow *row, int column);
extern BankOptionalDate bank_row_date(const BankRow *row, int column);
extern BankDigest bank_row_digest(const BankRow *row, int column);
extern Datum bank_row_digest_datum(const BankDigest *digest);
extern void bank_row_set_uuid(BankRow *row, int column, const BankOptionalUuid *id);
extern void bank_row_set_amount(BankRow *row, int column,
								const BankOptionalAmount *amount);
extern void bank_row_set_time(BankRow *row, int column, const BankOptionalTime *time);
extern void bank_row_set_date(BankRow *row, int column, const BankOptionalDate *date);
extern void bank_row_set_text(BankRow *row, int column, const char *text);
extern void bank_row_set_digest(BankRow *row, int column, const BankDigest *digest);

#endif
