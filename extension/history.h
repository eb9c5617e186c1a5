/*
 * The journal of one account, entered by version or by date.
 */
#ifndef BANK_HISTORY_H
#define BANK_HISTORY_H

#include "ledger.h"

/* Every so many versions the index of waypoints leads into the chain. */
#define BANK_HISTORY_STRETCH 64

/* What the account was after the journal row of a version; 0: before any. */
typedef struct BankHistoryState
{
	int64		version;
	TimestampTz dated;			/* unset for version 0 */
	int64		balance;
	int64		held;
} BankHistoryState;

/* A transfer as one of its two accounts sees it. */
typedef struct BankHistoryEntry
{
	BankHistoryState after;
	pg_uuid_t	transfer_id;
	BankTransferKind kind;
	pg_uuid_t	counterparty;
	int64		amount;			/* below zero where the account pays */
	const char *reference;		/* null: none */
	BankOptionalUuid previous;	/* the account's transfer before */
} BankHistoryEntry;

typedef struct BankHistory
{
	BankLedger *ledger;
	const BankAccount *account;
	MemoryContext context;		/* of what was read of the stretch */
	int64		stretch;		/* whose entries follow; -1: none yet */
	int			first;			/* of the entries, which fill the array's end */
	BankHistoryEntry entries[BANK_HISTORY_STRETCH];
} BankHistory;

extern void bank_history_open(BankHistory *history, BankLedger *ledger,
							  const BankAccount *account);
extern void bank_history_state(BankHistory *history, int64 version,
							   BankHistoryState *state);
extern int64 bank_history_version_before(BankHistory *history, TimestampTz date);
extern bool bank_history_next(BankHistory *history, int64 version,
							  BankHistoryEntry *entry);

#endif
