/*
 * Locks on ids that need no row.
 */
#ifndef BANK_ADVISORY_H
#define BANK_ADVISORY_H

#include "utils/uuid.h"

/*
 * Classes of our advisory locks: the place in which pg_advisory_lock and its
 * kin put 1 and 2.
 */
#define BANK_LOCK_CUSTOMER		3
#define BANK_LOCK_SETTLEMENT	4
#define BANK_LOCK_RETRY			5
#define BANK_LOCK_BATCH			6

extern bool bank_advisory_lock(int class, const pg_uuid_t *id, bool dont_wait);
extern void bank_advisory_unlock(int class, const pg_uuid_t *id);

#endif
