/*
 * Highest versions by account: open addressing, a quarter always free.
 */
#include "versions.h"

#include <stdlib.h>
#include <string.h>

#include "contract.h"

#define CAPACITY_FIRST 1024

static int
digit_of(char c)
{
	return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* The sixteen bytes of a uuid; what is no digit stands between them. */
static void
read_uuid(const char *text, unsigned char *bytes)
{
	int			digits = 0;

	memset(bytes, 0, 16);
	for (int i = 0; i < BANK_UUID_LENGTH && text[i] != '\0' && digits < 32; i++)
	{
		if (text[i] == '-')
			continue;
		bytes[digits / 2] = (unsigned char) (bytes[digits / 2] << 4 |
											 (digit_of(text[i]) & 15));
		digits++;
	}
}

/* FNV-1a */
static size_t
hash_of(const unsigned char *account)
{
	uint64_t	hash = UINT64_C(14695981039346656037);

	for (int i = 0; i < 16; i++)
		hash = (hash ^ account[i]) * UINT64_C(1099511628211);
	return (size_t) (hash ^ hash >> 32);
}

/* The account's entry, or the free one where it belongs. */
static BridgeVersionsEntry *
find(const BridgeVersions *versions, const unsigned char *account)
{
	size_t		mask = versions->capacity - 1;
	size_t		i = hash_of(account) & mask;

	while (versions->entries[i].version != 0 &&
		   memcmp(versions->entries[i].account, account, 16) != 0)
		i = (i + 1) & mask;
	return &versions->entries[i];
}

static bool
grow(BridgeVersions *versions)
{
	BridgeVersions larger = {
		.capacity = versions->capacity == 0 ? CAPACITY_FIRST :
		versions->capacity * 2, .count = versions->count
	};

	larger.entries = calloc(larger.capacity, sizeof(BridgeVersionsEntry));
	if (larger.entries == NULL)
		return false;
	for (size_t i = 0; i < versions->capacity; i++)
		if (versions->entries[i].version != 0)
			*find(&larger, versions->entries[i].account) = versions->entries[i];
	free(versions->entries);
	*versions = larger;
	return true;
}

static bool
make_room(BridgeVersions *versions)
{
	if (versions->count < versions->capacity / 4 * 3)
		return true;
	return versions->count < BRIDGE_VERSIONS_MAX && grow(versions);
}

bool
bridge_versions_raise(BridgeVersions *versions, const char *account,
					  int64_t version)
{
	unsigned char bytes[16];
	BridgeVersionsEntry *entry;

	read_uuid(account, bytes);
	if (versions->capacity == 0 && !grow(versions))
		return false;
	entry = find(versions, bytes);
	if (entry->version == 0)
	{
		if (!make_room(versions))
			return false;
		entry = find(versions, bytes);
		memcpy(entry->account, bytes, 16);
		versions->count++;
	}
	if (version > entry->version)
		entry->version = version;
	return true;
}

int64_t
bridge_versions_highest(const BridgeVersions *versions, const char *account)
{
	unsigned char bytes[16];

	if (versions->capacity == 0)
		return 0;
	read_uuid(account, bytes);
	return find(versions, bytes)->version;
}

void
bridge_versions_free(BridgeVersions *versions)
{
	free(versions->entries);
	memset(versions, 0, sizeof(*versions));
}
