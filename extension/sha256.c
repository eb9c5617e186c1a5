/*
 * SHA-256 by OpenSSL.
 *
 * The server's own pg_cryptohash makes a context and looks the algorithm up
 * each time, which is as much work as the digest of a journal row.
 *
 * Memory: a context of OpenSSL, kept until the backend ends.
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "bank.h"
#include "sha256.h"

static void
raise_no_digest(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("could not compute a digest")));
}

/* The kept context, at the beginning of a digest. */
static EVP_MD_CTX *
begin(void)
{
	static EVP_MD_CTX *context = NULL;
	static EVP_MD *algorithm = NULL;

	if (context == NULL)
		context = EVP_MD_CTX_new();
	if (algorithm == NULL)
		algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (context == NULL || algorithm == NULL ||
		!EVP_DigestInit_ex(context, algorithm, NULL))
		raise_no_digest();
	return context;
}

/* The digest of pieces, one after the other. */
BankDigest
bank_sha256(const BankPiece *pieces, int npieces)
{
	EVP_MD_CTX *context = begin();
	BankDigest	digest;

	for (int i = 0; i < npieces; i++)
		if (!EVP_DigestUpdate(context, pieces[i].bytes, pieces[i].length))
			raise_no_digest();
	if (!EVP_DigestFinal_ex(context, digest.bytes, NULL))
		raise_no_digest();
	return digest;
}
