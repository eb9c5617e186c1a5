/*
 * What must be true of the ledger's database before its stream is read.
 */
#ifndef BRIDGE_CATALOG_H
#define BRIDGE_CATALOG_H

#include <libpq-fe.h>
#include <stdint.h>

#include "role.h"
#include "wal.h"

typedef struct BridgeCatalog
{
	char		site[65];
	int32_t		epoch;			/* the last one */
	int64_t		system_identifier;	/* of that epoch */
	int32_t		timeline;
	uint64_t	confirmed_lsn;	/* of the slot */
	uint64_t	flushed_lsn;	/* end of the WAL, when the slot was read */
	int64_t		sender_timeout_ms;	/* 0: none */
} BridgeCatalog;

/*
 * Reads and judges: BRIDGE_EXIT_OK; BRIDGE_EXIT_MISSING where extension,
 * publication or slot is absent or not ours; BRIDGE_EXIT_LOST where the slot
 * has lost its WAL; BRIDGE_EXIT_FAILED where the database could not be asked,
 * which may be tried again.  What is not OK is logged.
 */
extern BridgeExit bridge_catalog_read(PGconn *conn, BridgeCatalog *catalog);

/* The same without the slot, whose fields stay 0. */
extern BridgeExit bridge_catalog_read_ledger(PGconn *conn,
											 BridgeCatalog *catalog);

/* The same of the slot alone. */
extern BridgeExit bridge_catalog_read_slot(PGconn *conn, BridgeCatalog *catalog);

/*
 * Whether the stream has all rows of the journal: OK, FAILED, or, logged,
 * MISSING.
 */
extern BridgeExit bridge_catalog_check_publication(PGconn *conn);

/* The extension must be there in our version: OK, MISSING or FAILED. */
extern BridgeExit bridge_catalog_check_extension(PGconn *conn);

/* The server must be the one of the last epoch: OK or LOST. */
extern BridgeExit bridge_catalog_check_system(const BridgeCatalog *catalog,
											  const BridgeWalIdentity *identity);

#endif
