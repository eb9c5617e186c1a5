/*
 * Locks on ids that need no row: the server's advisory locks, in classes of
 * our own, until the end of the transaction.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "advisory.h"
#include "bank.h"

/* Locks the id's hash; false where it is taken and is not to be waited for. */
bool
bank_advisory_lock(int class, const pg_uuid_t *id, bool dont_wait)
{
	uint64		hash = bank_uuid_hash(id);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash,
						 class);
	return LockAcquire(&tag, ExclusiveLock, false, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}
