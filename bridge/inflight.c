/*
 * A ring of transactions; numbers only grow, their low bits are the place.
 */
#include "inflight.h"

#include <stdlib.h>
#include <string.h>

static BridgeInflightEntry *
entry_of(const BridgeInflight *inflight, uint64_t number)
{
	return &inflight->entries[number & (inflight->capacity - 1)];
}

/* Passes over what is finished at the old end of the ring. */
static void
pass_finished(BridgeInflight *inflight)
{
	while (inflight->oldest < inflight->next)
	{
		BridgeInflightEntry *entry = entry_of(inflight, inflight->oldest);

		if (entry->outstanding > 0 || entry->end_lsn == 0)
			return;
		inflight->safe_lsn = entry->end_lsn;
		inflight->oldest++;
	}
}

bool
bridge_inflight_create(BridgeInflight *inflight, uint64_t capacity)
{
	memset(inflight, 0, sizeof(*inflight));
	inflight->capacity = capacity;
	inflight->entries = calloc(capacity, sizeof(BridgeInflightEntry));
	return inflight->entries != NULL;
}

void
bridge_inflight_free(BridgeInflight *inflight)
{
	free(inflight->entries);
	inflight->entries = NULL;
}

bool
bridge_inflight_full(const BridgeInflight *inflight)
{
	return inflight->next - inflight->oldest == inflight->capacity;
}

bool
bridge_inflight_empty(const BridgeInflight *inflight)
{
	return inflight->next == inflight->oldest;
}

void
bridge_inflight_begin(BridgeInflight *inflight)
{
	BridgeInflightEntry *entry = entry_of(inflight, inflight->next++);

	memset(entry, 0, sizeof(*entry));
}

uint64_t
bridge_inflight_add(BridgeInflight *inflight)
{
	entry_of(inflight, inflight->next - 1)->outstanding++;
	inflight->records++;
	return inflight->next - 1;
}

void
bridge_inflight_withdraw(BridgeInflight *inflight)
{
	bridge_inflight_acknowledge(inflight, inflight->next - 1);
}

void
bridge_inflight_commit(BridgeInflight *inflight, uint64_t end_lsn)
{
	entry_of(inflight, inflight->next - 1)->end_lsn = end_lsn;
	pass_finished(inflight);
}

void
bridge_inflight_acknowledge(BridgeInflight *inflight, uint64_t number)
{
	entry_of(inflight, number)->outstanding--;
	inflight->records--;
	pass_finished(inflight);
}
