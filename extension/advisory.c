/*
 * Locks on ids that need no row: the server's advisory locks, in classes of
 * our own, until the end of the transaction or before.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "advisory.h"
#include "bank.h"

static LOCKTAG
tag_of(int class, const pg_uuid_t *id)
{
	uint64		hash = bank_uuid_hash(id);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash,
						 class);
	return tag;
}

/* Locks the id's hash; false where it is taken and is not to be waited for. */
bool
bank_advisory_lock(int class, const pg_uuid_t *id, bool dont_wait)
{
	LOCKTAG		tag = tag_of(class, id);

	return LockAcquire(&tag, ExclusiveLock, false, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}

/* Lets go before the transaction ends what guards nothing it wrote. */
void
bank_advisory_unlock(int class, const pg_uuid_t *id)
{
	LOCKTAG		tag = tag_of(class, id);

	(void) LockRelease(&tag, ExclusiveLock, false);
}
