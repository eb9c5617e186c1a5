/*
 * The root of a Merkle tree, as an aggregate: bank_ledger.merkle(bytea).
 *
 * A leaf is SHA-256 of a byte 0 and the value, an inner node SHA-256 of a byte
 * 1 and its two children.  The left child of an inner node has as many leaves
 * as the greatest power of two that leaves some for the right one, so the
 * roots of complete trees on the left are all that must be remembered while
 * leaves are added (the tree of RFC 6962).  The root of no leaves is SHA-256
 * of nothing.
 *
 * Memory: the state is in the aggregate's context.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/memutils.h"

#include "bank.h"
#include "digest.h"

PG_FUNCTION_INFO_V1(bank_merkle_add);
PG_FUNCTION_INFO_V1(bank_merkle_root);

/* More leaves than a table can have rows. */
#define MERKLE_HEIGHT_MAX 64

typedef struct MerkleTree
{
	uint64		leaves;
	int			nroots;			/* of complete trees, the greatest first */
	BankDigest	roots[MERKLE_HEIGHT_MAX];
} MerkleTree;

static void
raise_no_digest(const pg_cryptohash_ctx *context)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("could not compute a digest: %s",
					pg_cryptohash_error(unconstify(pg_cryptohash_ctx *, context)))));
}

static BankDigest
hash(pg_cryptohash_ctx *context, uint8 kind, const void *left, size_t left_length,
	 const void *right, size_t right_length)
{
	BankDigest	digest;

	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, &kind, 1) < 0 ||
		pg_cryptohash_update(context, left, left_length) < 0 ||
		pg_cryptohash_update(context, right, right_length) < 0 ||
		pg_cryptohash_final(context, digest.bytes, BANK_DIGEST_LENGTH) < 0)
		raise_no_digest(context);
	return digest;
}

static BankDigest
parent(pg_cryptohash_ctx *context, const BankDigest *left, const BankDigest *right)
{
	return hash(context, 1, left->bytes, BANK_DIGEST_LENGTH,
				right->bytes, BANK_DIGEST_LENGTH);
}

/* As many complete trees join as the count of leaves has ones at its end. */
static void
add_leaf(MerkleTree *tree, pg_cryptohash_ctx *context, const bytea * value)
{
	BankDigest	node = hash(context, 0, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
							NULL, 0);

	for (uint64 leaves = tree->leaves; leaves & 1; leaves >>= 1)
		node = parent(context, &tree->roots[--tree->nroots], &node);
	tree->roots[tree->nroots++] = node;
	tree->leaves++;
}

static MerkleTree *
create_tree(FunctionCallInfo fcinfo)
{
	MemoryContext aggregate;

	if (!AggCheckCallContext(fcinfo, &aggregate))
		elog(ERROR, "called outside an aggregate");
	return MemoryContextAllocZero(aggregate, sizeof(MerkleTree));
}

/* The transition function. */
Datum
bank_merkle_add(PG_FUNCTION_ARGS)
{
	MerkleTree *tree = PG_ARGISNULL(0) ? create_tree(fcinfo) :
	(MerkleTree *) PG_GETARG_POINTER(0);
	pg_cryptohash_ctx *context;

	bank_require_argument(PG_ARGISNULL(1), "value");
	context = pg_cryptohash_create(PG_SHA256);
	add_leaf(tree, context, PG_GETARG_BYTEA_PP(1));
	pg_cryptohash_free(context);
	PG_RETURN_POINTER(tree);
}

static BankDigest
root_of(const MerkleTree *tree, pg_cryptohash_ctx *context)
{
	BankDigest	node = tree->roots[tree->nroots - 1];

	for (int i = tree->nroots - 2; i >= 0; i--)
		node = parent(context, &tree->roots[i], &node);
	return node;
}

static BankDigest
root_of_nothing(pg_cryptohash_ctx *context)
{
	BankDigest	digest;

	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_final(context, digest.bytes, BANK_DIGEST_LENGTH) < 0)
		raise_no_digest(context);
	return digest;
}

/* The final function. */
Datum
bank_merkle_root(PG_FUNCTION_ARGS)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	bytea	   *result = palloc(VARHDRSZ + BANK_DIGEST_LENGTH);
	BankDigest	root = PG_ARGISNULL(0) ? root_of_nothing(context) :
	root_of((MerkleTree *) PG_GETARG_POINTER(0), context);

	pg_cryptohash_free(context);
	SET_VARSIZE(result, VARHDRSZ + BANK_DIGEST_LENGTH);
	memcpy(VARDATA(result), root.bytes, BANK_DIGEST_LENGTH);
	PG_RETURN_BYTEA_P(result);
}
