/*
 * The chain of digests over an account's journal rows.
 */
#ifndef BANK_DIGEST_H
#define BANK_DIGEST_H

#include "common/cryptohash.h"

#define BANK_DIGEST_LENGTH 32

/* SHA-256; of an account without a journal row: zeros. */
typedef struct BankDigest
{
	uint8		bytes[BANK_DIGEST_LENGTH];
} BankDigest;

typedef struct BankDigester
{
	pg_cryptohash_ctx *context;
} BankDigester;

struct BankTransfer;
struct BankAccountEvent;

extern void bank_digest_open(BankDigester *digester);
extern void bank_digest_close(BankDigester *digester);
extern void bank_digest_transfer(BankDigester *digester,
								 const struct BankTransfer *transfer,
								 const BankDigest *from_before,
								 const BankDigest *to_before,
								 BankDigest *from_after, BankDigest *to_after);
extern void bank_digest_transfer_side(BankDigester *digester,
									  const struct BankTransfer *transfer,
									  const BankDigest *before,
									  BankDigest *after);
extern void bank_digest_event(BankDigester *digester,
							  const struct BankAccountEvent *event,
							  const BankDigest *before, BankDigest *after);

#endif
