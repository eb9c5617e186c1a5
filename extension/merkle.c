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
#include "sha256.h"

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

static BankDigest
leaf(const bytea * value)
{
	const BankPiece pieces[] = {
		{"\0", 1}, {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)}
	};

	return bank_sha256(pieces, lengthof(pieces));
}

static BankDigest
parent(const BankDigest *left, const BankDigest *right)
{
	const BankPiece pieces[] = {
		{"\1", 1}, {left->bytes, BANK_DIGEST_LENGTH}, {right->bytes, BANK_DIGEST_LENGTH}
	};

	return bank_sha256(pieces, lengthof(pieces));
}

/* As many complete trees join as the count of leaves has ones at its end. */
static void
add_leaf(MerkleTree *tree, const bytea * value)
{
	BankDigest	node = leaf(value);

	for (uint64 leaves = tree->leaves; leaves & 1; leaves >>= 1)
		node = parent(&tree->roots[--tree->nroots], &node);
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

	bank_require_argument(PG_ARGISNULL(1), "value");
	add_leaf(tree, PG_GETARG_BYTEA_PP(1));
	PG_RETURN_POINTER(tree);
}

static BankDigest
root_of(const MerkleTree *tree)
{
	BankDigest	node = tree->roots[tree->nroots - 1];

	for (int i = tree->nroots - 2; i >= 0; i--)
		node = parent(&tree->roots[i], &node);
	return node;
}

/* The final function. */
Datum
bank_merkle_root(PG_FUNCTION_ARGS)
{
	bytea	   *result = palloc(VARHDRSZ + BANK_DIGEST_LENGTH);
	BankDigest	root = PG_ARGISNULL(0) ? bank_sha256(NULL, 0) :
	root_of((MerkleTree *) PG_GETARG_POINTER(0));

	SET_VARSIZE(result, VARHDRSZ + BANK_DIGEST_LENGTH);
	memcpy(VARDATA(result), root.bytes, BANK_DIGEST_LENGTH);
	PG_RETURN_BYTEA_P(result);
}
