/*
 * Accounts, holds and the journal as structs, and the only functions that
 * read, lock and write their tables.
 */
#ifndef BANK_LEDGER_H
#define BANK_LEDGER_H

#include "utils/date.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "currency.h"
#include "digest.h"
#include "optional.h"
#include "relation.h"

/* Longest reference of a caller, in characters. */
#define BANK_REFERENCE_MAX 140

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
	BankOptionalUuid last_transfer;
	BankDigest	digest;			/* of the journal row of this version */
	int64		spent;			/* gross debits of spent_day */
	DateADT		spent_day;
	BankOptionalAmount daily_limit;
	BankOptionalAmount next_limit;	/* from next_limit_day on */
	BankOptionalDate next_limit_day;
	BankOptionalTime clock_accepted_at;
	ItemPointerData place;		/* of the row read or locked, for an update */
	bool		is_new;			/* has no row yet */
	bool		is_changed;		/* is to be written */
	bool		is_without_due; /* holds that are due were ended */
} BankAccount;

typedef enum BankTransferKind
{
	BANK_TRANSFER,
	BANK_DEPOSIT,
	BANK_WITHDRAWAL,
	BANK_HOLD_POSTED,
	BANK_REVERSAL
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
	BankOptionalUuid reverses;
	const char *reference;		/* null: none */
	const char *actor;
	BankOptionalUuid from_previous;
	BankOptionalUuid to_previous;
	BankDigest	from_digest;
	BankDigest	to_digest;
	int32		period;
} BankTransfer;

typedef enum BankAccountEventKind
{
	BANK_ACCOUNT_CREATED,
	BANK_ACCOUNT_INACTIVATED,
	BANK_ACCOUNT_HOLD_CREATED,
	BANK_ACCOUNT_HOLD_POSTED,
	BANK_ACCOUNT_HOLD_VOIDED,
	BANK_ACCOUNT_HOLD_EXPIRED,
	BANK_ACCOUNT_LIMIT_SET,
	BANK_ACCOUNT_CLOCK_ACCEPTED
} BankAccountEventKind;

/* What happened to an account, and what the account was after it. */
typedef struct BankAccountEvent
{
	pg_uuid_t	account_id;
	int64		version;
	BankOptionalUuid customer_id;
	BankAccountEventKind kind;
	char		currency[BANK_CURRENCY_SIZE];
	bool		is_active;
	int64		balance;
	int64		held;
	BankOptionalUuid transfer_id;
	BankOptionalAmount amount;
	BankOptionalUuid counterparty;
	BankOptionalTime due_at;
	const char *reference;		/* null: none */
	TimestampTz occurred_at;
	const char *actor;
	BankOptionalUuid previous_transfer;
	BankDigest	digest;
	int32		period;
} BankAccountEvent;

typedef enum BankHoldState
{
	BANK_HOLD_PENDING,
	BANK_HOLD_DONE,				/* posted */
	BANK_HOLD_VOIDED,
	BANK_HOLD_EXPIRED
} BankHoldState;

typedef struct BankHold
{
	pg_uuid_t	hold_id;
	pg_uuid_t	customer_id;
	pg_uuid_t	from_account;
	pg_uuid_t	to_account;
	int64		amount;
	char		currency[BANK_CURRENCY_SIZE];
	TimestampTz expires_at;
	const char *reference;		/* null: none */
	BankHoldState state;
	BankOptionalAmount posted_amount;
	DateADT		counted_day;
	int64		created_version;
	BankOptionalAmount ended_version;
	bool		is_new;			/* has no row yet */
	ItemPointerData place;		/* of the row read, for an update */
} BankHold;

/*
 * The ledger's tables, opened when one call first uses them, and what the call
 * is to write: nothing of it is in a table before bank_ledger_write.
 */
typedef struct BankLedger
{
	BankOpenMode mode;
	BankRelation account;
	BankRelation event;
	BankRelation transfer;
	BankRelation hold;

	/* set by bank_ledger_begin */
	TimestampTz now;
	int32		period;
	const char *actor;

	List	   *accounts;
	List	   *events;
	List	   *transfers;
	List	   *holds;
} BankLedger;

/* Called with the payer of a hold.  False: that was enough. */
typedef bool (*BankPayerVisitor) (const pg_uuid_t *account_id, void *context);

/* ledger.c */
extern void bank_ledger_open(BankLedger *ledger, BankOpenMode mode);
extern void bank_ledger_close(BankLedger *ledger);
extern int32 bank_ledger_open_period(BankOpenMode mode);
extern void bank_ledger_begin(BankLedger *ledger);
extern TimestampTz bank_ledger_entry_date(const BankLedger *ledger,
										  const BankAccount *account);
extern TimestampTz bank_ledger_transfer_date(const BankLedger *ledger,
											 const BankAccount *from,
											 const BankAccount *to);
extern void bank_ledger_append_transfer(BankLedger *ledger, BankTransfer *transfer,
										BankAccount *from, BankAccount *to);
extern void bank_ledger_append_event(BankLedger *ledger, BankAccount *account,
									 BankAccountEvent *event);
extern void bank_ledger_append_hold(BankLedger *ledger, BankHold *hold);
extern void bank_ledger_write_journal(BankLedger *ledger);
extern void bank_ledger_write_accounts(BankLedger *ledger);
extern void bank_ledger_write(BankLedger *ledger);
extern void bank_ledger_forget(BankLedger *ledger);
extern void bank_ledger_create_account(BankLedger *ledger, BankAccount *account);
extern void bank_ledger_close_account(BankLedger *ledger, BankAccount *account);

/* ledger_account.c */
extern BankRelation *bank_ledger_account_table(BankLedger *ledger);
extern void bank_ledger_read_account(const BankRow *row, BankAccount *account);
extern bool bank_ledger_find_account(BankLedger *ledger, const pg_uuid_t *id,
									 BankAccount *account);
extern BankFindResult bank_ledger_find_unchanged_account(BankLedger *ledger,
														 const pg_uuid_t *id,
														 BankAccount *account);
extern TimestampTz bank_ledger_find_last_date(BankLedger *ledger, const pg_uuid_t *id);
extern bool bank_ledger_find_visible_account(BankLedger *ledger,
											 const pg_uuid_t *id,
											 BankAccount *account);
extern List *bank_ledger_find_accounts_of(BankLedger *ledger,
										  const pg_uuid_t *customer_id);
extern BankLockResult bank_ledger_lock_account(BankLedger *ledger,
											   BankAccount *account,
											   LockWaitPolicy policy);
extern void bank_ledger_write_account(BankLedger *ledger, BankAccount *account);
extern Datum bank_ledger_account_datum(const BankAccount *account,
									   TupleDesc descriptor);

/* ledger_transfer.c */
extern BankRelation *bank_ledger_transfer_table(BankLedger *ledger);
extern void bank_ledger_read_transfer(const BankRow *row, BankTransfer *transfer);
extern bool bank_ledger_find_transfer(BankLedger *ledger, const pg_uuid_t *id,
									  BankTransfer *transfer);
extern bool bank_ledger_find_visible_transfer(BankLedger *ledger,
											  const pg_uuid_t *id,
											  BankTransfer *transfer);
extern bool bank_ledger_find_waypoint(BankLedger *ledger,
									  const pg_uuid_t *account_id, int64 version,
									  BankTransfer *transfer);
extern bool bank_ledger_find_reversal(BankLedger *ledger, const pg_uuid_t *reversed,
									  BankTransfer *reversal);
extern const char *bank_ledger_transfer_kind_name(BankTransferKind kind);
extern void bank_ledger_write_transfers(BankLedger *ledger);
extern Datum bank_ledger_transfer_datum(const BankTransfer *transfer,
										TupleDesc descriptor);

/* ledger_event.c */
extern BankRelation *bank_ledger_event_table(BankLedger *ledger);
extern void bank_ledger_read_event(const BankRow *row, BankAccountEvent *event);
extern bool bank_ledger_find_event(BankLedger *ledger, const pg_uuid_t *account_id,
								   int64 version, BankAccountEvent *event);
extern bool bank_ledger_find_visible_event(BankLedger *ledger,
										   const pg_uuid_t *account_id,
										   int64 version, BankAccountEvent *event);
extern const char *bank_ledger_event_kind_name(BankAccountEventKind kind);
extern void bank_ledger_write_events(BankLedger *ledger);

/* ledger_hold.c */
extern BankRelation *bank_ledger_hold_table(BankLedger *ledger);
extern bool bank_ledger_find_hold(BankLedger *ledger, const pg_uuid_t *id,
								  BankHold *hold);
extern List *bank_ledger_find_holds_from(BankLedger *ledger,
										 const pg_uuid_t *account_id);
extern List *bank_ledger_find_visible_holds_from(BankLedger *ledger,
												 const pg_uuid_t *account_id);
extern List *bank_ledger_find_holds_to(BankLedger *ledger,
									   const pg_uuid_t *account_id);
extern void bank_ledger_visit_payers_due(BankLedger *ledger, TimestampTz at,
										 BankPayerVisitor visitor,
										 void *context);
extern const char *bank_ledger_hold_state_name(BankHoldState state);
extern void bank_ledger_set_hold_terms(const BankHold *hold, BankAccountEvent *event);
extern void bank_ledger_write_hold(BankLedger *ledger, BankHold *hold);

#endif
