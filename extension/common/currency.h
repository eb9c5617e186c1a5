/*
 * Currencies of ISO 4217: which codes there are, how many decimals each has,
 * and amounts as decimal text.
 */
#ifndef BANK_CURRENCY_H
#define BANK_CURRENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An ISO 4217 code and its closing NUL. */
#define BANK_CURRENCY_SIZE 4

/* A sign, 19 digits, leading zeros, a point and the closing NUL. */
#define BANK_CURRENCY_TEXT_SIZE 32

extern bool bank_currency_exponent(const char *code, int *exponent);
extern bool bank_currency_at(int place, char code[BANK_CURRENCY_SIZE],
							 int *exponent);
extern bool bank_currency_format(const char *code, int64_t minor_units,
								 char *text, size_t size);

#endif
