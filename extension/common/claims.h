/*
 * What a token says of its bearer.
 */
#ifndef BANK_CLAIMS_H
#define BANK_CLAIMS_H

#include <stdbool.h>

/* Room for one claim and its closing NUL. */
#define BANK_CLAIM_SIZE 256

/* Empty: the token does not say. */
typedef struct BankClaims
{
	char		sub[BANK_CLAIM_SIZE];
	char		customer_id[BANK_CLAIM_SIZE];
} BankClaims;

/* Reads a JSON object; false where it is none, or a claim is no short text. */
extern bool bank_claims_parse(const char *json, BankClaims *claims);

#endif
