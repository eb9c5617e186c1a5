/*
 * The chain of digests over an account's journal rows.
 */
#ifndef BANK_DIGEST_H
#define BANK_DIGEST_H

#include "sha256.h"

struct BankTransfer;
struct BankAccountEvent;

extern void bank_digest_transfer(const struct BankTransfer *transfer,
								 const BankDigest *from_before,
								 const BankDigest *to_before,
								 BankDigest *from_after, BankDigest *to_after);
extern void bank_digest_transfer_side(const struct BankTransfer *transfer,
									  const BankDigest *before,
									  BankDigest *after);
extern void bank_digest_event(const struct BankAccountEvent *event,
							  const BankDigest *before, BankDigest *after);

#endif
