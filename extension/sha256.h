/*
 * SHA-256.
 */
#ifndef BANK_SHA256_H
#define BANK_SHA256_H

#define BANK_DIGEST_LENGTH 32

typedef struct BankDigest
{
	uint8		bytes[BANK_DIGEST_LENGTH];
} BankDigest;

/* A piece of what a digest is taken of. */
typedef struct BankPiece
{
	const void *bytes;
	size_t		length;
} BankPiece;

extern BankDigest bank_sha256(const BankPiece *pieces, int npieces);

#endif
