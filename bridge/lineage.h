/*
 * Whether the database of report is the ledger whose events Kafka has.
 *
 * After a restore or a promotion Kafka may hold transfers that this ledger
 * has not; until bank-bridge rebuild --new-epoch has listed them, nobody may
 * be told of what Kafka says.
 */
#ifndef BRIDGE_LINEAGE_H
#define BRIDGE_LINEAGE_H

#include "config.h"
#include "store.h"

typedef enum BridgeLineage
{
	BRIDGE_LINEAGE_OURS,
	BRIDGE_LINEAGE_LOST,		/* of another ledger, or not known; logged */
	BRIDGE_LINEAGE_UNKNOWN,		/* Kafka does not say: ask again, later */
	BRIDGE_LINEAGE_FAILED		/* the store failed */
} BridgeLineage;

/* Asks the server the store is connected to, and Kafka's position record. */
extern BridgeLineage bridge_lineage_check(BridgeStore *store,
										  const BridgeConfig *config);

#endif
