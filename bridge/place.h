/*
 * Where a record of the journal stands in the stream: what bank_lsn and
 * bank_index say of it, within its epoch.
 */
#ifndef BRIDGE_PLACE_H
#define BRIDGE_PLACE_H

#include <stdint.h>

typedef struct BridgePlace
{
	int32_t		epoch;
	uint64_t	lsn;			/* of the commit */
	int64_t		index;
} BridgePlace;

/* Less than, equal to or greater than 0, in the order of the stream. */
static inline int
bridge_place_compare(const BridgePlace *left, const BridgePlace *right)
{
	if (left->epoch != right->epoch)
		return left->epoch < right->epoch ? -1 : 1;
	if (left->lsn != right->lsn)
		return left->lsn < right->lsn ? -1 : 1;
	if (left->index != right->index)
		return left->index < right->index ? -1 : 1;
	return 0;
}

#endif
