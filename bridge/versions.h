/*
 * The highest version seen of each account: a hash table that grows up to a
 * limit.
 *
 * Promises: bounded memory; pure.
 */
#ifndef BRIDGE_VERSIONS_H
#define BRIDGE_VERSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More accounts than this are not held: about 3 MB. */
#define BRIDGE_VERSIONS_MAX 98304

typedef struct BridgeVersionsEntry
{
	unsigned char account[16];
	int64_t		version;		/* 0: free */
} BridgeVersionsEntry;

/* All zero is an empty one. */
typedef struct BridgeVersions
{
	BridgeVersionsEntry *entries;
	size_t		capacity;		/* a power of two, or 0 */
	size_t		count;
} BridgeVersions;

/*
 * Keeps the higher one of this version, from 1, and the one before; account
 * is a uuid in text.  False where there is no room for a further account.
 */
extern bool bridge_versions_raise(BridgeVersions *versions, const char *account,
								  int64_t version);

/* The highest version of the account; 0 where none was seen. */
extern int64_t bridge_versions_highest(const BridgeVersions *versions,
									   const char *account);

extern void bridge_versions_free(BridgeVersions *versions);

#endif
