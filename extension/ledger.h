/*
 * Accounts and the journal as structs, and the only functions that read,
 * lock and write their tables.
 */
#ifndef BANK_LEDGER_H
#define BANK_LEDGER_H

#include "utils/uuid.h"

#include "relation.h"

/* An ISO 4217 code and its closing NUL. */
#define BANK_CURRENCY_SIZE 4

typedef struct BankAccount
{
	pg_uuid_t	account_id;
	pg_uuid_t	customer_id;	/* unset for settlement accounts */
	bool		is_settlement;
	bool		is_active;
	char		currency[BANK_CURRENCY_SIZE];
	int64		balance;		/* minor units, as held */
	int64		held;
	int64		version;
	TimestampTz opened_at;
	TimestampTz updated_at;
	TimestampTz closed_at;		/* valid unless is_active */
	BankRow		row;			/* as read or locked; what an update replaces */
} BankAccount;

typedef enum BankTransferKind
{
	BANK_TRANSFER,
	BANK_DEPOSIT,
	BANK_WITHDRAWAL
} BankTransferKind;

typedef struct BankTransfer
{
	pg_uuid_t	transfer_id;
	BankTransferKind kind;
	pg_uuid_t	customer_id;
	pg_uuid_t	from_account;
	pg_uuid_t	to_account;
	int64		amount;
	char		currency[BANK_CURRENCY_SIZE];
	int64		from_version;	/* versions, balances, held: after the posting */
	int64		to_version;
	int64		from_balance;
	int64		to_balance;
	int64		from_held;
	int64		to_held;
	TimestampTz completed_at;
} BankTransfer;

typedef enum BankAccountEventKind
{
	BANK_ACCOUNT_CREATED,
	BANK_ACCOUNT_INACTIVATED
} BankAccountEventKind;

/* The ledger's tables, opened when one call first uses them. */
typedef struct BankLedger
{
	BankOpenMode mode;
	BankRelation account;
	BankRelation event;
	BankRelation transfer;
} BankLedger;

extern void bank_ledger_open(BankLedger *ledger, BankOpenMode mode);
extern void bank_ledger_close(BankLedger *ledger);
extern bool bank_ledger_find_account(BankLedger *ledger, const pg_uuid_t *id,
									 BankAccount *account);
extern bool bank_ledger_find_visible_account(BankLedger *ledger,
											 const pg_uuid_t *id,
											 BankAccount *account);
extern List *bank_ledger_find_accounts_of(BankLedger *ledger,
										  const pg_uuid_t *customer_id);
extern BankLockResult bank_ledger_lock_account(BankLedger *ledger,
											   BankAccount *account,
											   LockWaitPolicy policy);
extern bool bank_ledger_find_transfer(BankLedger *ledger, const pg_uuid_t *id,
									  BankTransfer *transfer);
extern TimestampTz bank_ledger_entry_date(const BankAccount *a,
										  const BankAccount *b);
extern void bank_ledger_apply(BankTransfer *transfer, BankAccount *from,
							  BankAccount *to, TimestampTz completed_at);
extern void bank_ledger_write(BankLedger *ledger, BankTransfer *const *transfers,
							  int ntransfers, BankAccount *const *accounts,
							  int naccounts);
extern void bank_ledger_create_account(BankLedger *ledger, BankAccount *account);
extern void bank_ledger_close_account(BankLedger *ledger, BankAccount *account);
extern Datum bank_ledger_account_datum(const BankAccount *account,
									   TupleDesc descriptor);
extern Datum bank_ledger_transfer_datum(const BankTransfer *transfer,
										TupleDesc descriptor);

#endif
