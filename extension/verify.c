/*
 * The part of bank.verify() that reads the journal: all of it, what is dated
 * in a range, or one account through the chain of its entries.
 *
 * Promises:  reads with the snapshot of the running query and writes nothing,
 *            so it works on a standby and in a read-only transaction, and no
 *            writer waits for it.
 * Memory:    as entries.c says, however long the journal is.
 *
 * Not here: what an entry must be (chain.c), and what sets of rows show, which
 * is SQL (sql/verify.sql).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "bank.h"
#include "entries.h"
#include "progress.h"

PG_FUNCTION_INFO_V1(bank_verify_journal);

typedef struct Verification
{
	BankJournal journal;
	BankFindings findings;
	BankJudge	judge;
	BankEntries entries;
	bool		is_whole;		/* everything, of all accounts */
	bool		is_range;		/* what is dated from since, before until */
	TimestampTz since;
	TimestampTz until;
	MemoryContext row_context;
	int64		transfers;
	int64		accounts;
} Verification;

static void
tell_progress(Verification *verification, const BankJournalScan *scan)
{
	BlockNumber blocks;

	if (!bank_progress_is_due())
		return;
	blocks = RelationGetNumberOfBlocks(scan->table->relation);
	ereport(NOTICE,
			(errmsg("verified " INT64_FORMAT " transfers so far, %d %% of the journal",
					verification->transfers,
					(int) (100.0 * ItemPointerGetBlockNumber(&scan->next.place) /
						   Max(blocks, 1)))));
}

static void
report_account(Verification *verification, const pg_uuid_t *account_id,
			   const char *detail)
{
	bank_finding_add(&verification->findings, '2',
					 psprintf("account %s", bank_uuid_text(account_id)), detail);
}

/* The row is judged all the same, as far as it is understood. */
static void
report_fault(Verification *verification, const BankJournalRow *row)
{
	if (row->fault == NULL)
		return;
	if (row->is_transfer)
		bank_finding_add(&verification->findings, '2',
						 psprintf("transfer %s", bank_uuid_text(&row->transfer.transfer_id)),
						 row->fault);
	else
		report_account(verification, &row->event.account_id,
					   psprintf("at version " INT64_FORMAT " %s", row->event.version,
								row->fault));
}

/* The chain of a transfer's account, or one that has no entries. */
static const BankChain *
chain_of(Verification *verification, const pg_uuid_t *account_id)
{
	BankChain  *chain = bank_entries_find_chain(&verification->entries, account_id);
	BankAccount account;
	const char *fault;

	if (chain != NULL)
		return chain;
	chain = palloc(sizeof(BankChain));
	if (bank_reader_find_account(&verification->journal, account_id, &account, &fault))
		bank_chain_begin(chain, account_id, &account);
	else
		bank_chain_begin(chain, account_id, NULL);
	return chain;
}

static void
judge_transfer(Verification *verification, const BankJournalRow *row)
{
	const BankTransfer *transfer = &row->transfer;

	report_fault(verification, row);
	bank_chain_judge_transfer(&verification->judge, transfer,
							  chain_of(verification, &transfer->from_account),
							  chain_of(verification, &transfer->to_account));
	verification->transfers++;
}

static bool
is_in_range(const Verification *verification, TimestampTz dated)
{
	return dated >= verification->since && dated < verification->until;
}

/*
 * Entries of a part of the journal all go to the sort: which one is the first
 * of its account in the range is known at the end.
 */
static void
take_entry(Verification *verification, const BankJournalRow *row, bool is_payer)
{
	BankEntry	entry;

	bank_chain_entry_of(row, is_payer, &entry);
	if (verification->is_whole)
		bank_entries_take(&verification->entries, &entry);
	else
		bank_entries_sort(&verification->entries, &entry);
}

static void
take_row(Verification *verification, const BankJournalRow *row)
{
	if (!row->is_transfer)
	{
		if (!is_in_range(verification, row->event.occurred_at))
			return;
		report_fault(verification, row);
		take_entry(verification, row, false);
		return;
	}
	if (!is_in_range(verification, row->transfer.completed_at))
		return;
	judge_transfer(verification, row);
	take_entry(verification, row, true);
	take_entry(verification, row, false);
}

static void
read_journal(Verification *verification)
{
	BankJournal *journal = &verification->journal;
	MemoryContext caller = MemoryContextSwitchTo(verification->row_context);
	BankJournalScan *scan;

	while ((scan = bank_reader_earliest(journal)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		tell_progress(verification, scan);
		take_row(verification, &scan->next);
		bank_reader_advance(scan);
		MemoryContextReset(verification->row_context);
	}
	MemoryContextSwitchTo(caller);
}

static void
begin_chain(const BankAccount *account, const char *fault, void *context)
{
	Verification *verification = context;

	bank_progress_count("accounts");
	if (fault != NULL)
		report_account(verification, &account->account_id, fault);
	bank_entries_add_account(&verification->entries, account);
}

static void
finish_chain(const BankAccount *account, const char *fault, void *context)
{
	Verification *verification = context;
	BankChain  *chain;

	bank_progress_count("accounts by their entries");
	chain = bank_entries_find_chain(&verification->entries,
									&account->account_id);
	if (chain != NULL && bank_entries_end_chain(&verification->entries, chain, account))
		verification->accounts++;
}

static void
verify_tables(Verification *verification)
{
	BankJournal *journal = &verification->journal;

	bank_reader_scan_accounts(journal, begin_chain, verification);
	bank_reader_begin_scans(journal);
	read_journal(verification);
	bank_reader_end_scans(journal);
	bank_entries_finish(&verification->entries);
	bank_reader_scan_accounts(journal, finish_chain, verification);
	verification->accounts += verification->entries.accounts;
}

static void
take_event(const BankJournalRow *row, void *context)
{
	take_row(context, row);
}

/*
 * Reads one link of an account's chain of transfers.  False: it does not
 * exist, or does not lead back.
 */
static bool
read_link(Verification *verification, const BankAccount *account,
		  const pg_uuid_t *transfer_id, int64 below_version,
		  BankJournalRow *row, BankEntry *entry)
{
	if (!bank_reader_find_transfer(&verification->journal, transfer_id, row))
	{
		report_account(verification, &account->account_id,
					   psprintf("transfer %s, which a later entry points to, is missing",
								bank_uuid_text(transfer_id)));
		return false;
	}
	bank_chain_entry_of(row, bank_uuid_compare(&row->transfer.from_account,
											   &account->account_id) == 0, entry);
	if (bank_uuid_compare(&entry->account_id, &account->account_id) == 0 &&
		entry->version < below_version)
		return true;
	report_account(verification, &account->account_id,
				   psprintf("transfer %s, which a later entry points to, is not an earlier one of the account",
							bank_uuid_text(transfer_id)));
	return false;
}

/* Takes an account's transfers from the newest back to the range's begin. */
static void
take_transfers(Verification *verification, const BankAccount *account)
{
	MemoryContext caller = MemoryContextSwitchTo(verification->row_context);
	BankOptionalUuid next = account->last_transfer;
	int64		version = account->version + 1;

	while (next.is_set)
	{
		BankJournalRow row;
		BankEntry	entry;

		CHECK_FOR_INTERRUPTS();
		bank_progress_count("transfers of the account");
		if (!read_link(verification, account, &next.value, version, &row, &entry) ||
			entry.dated < verification->since)
			break;
		if (is_in_range(verification, entry.dated))
		{
			judge_transfer(verification, &row);
			bank_entries_sort(&verification->entries, &entry);
		}
		version = entry.version;
		next = *entry.previous;
		MemoryContextReset(verification->row_context);
	}
	MemoryContextSwitchTo(caller);
}

static void
verify_account(Verification *verification, const pg_uuid_t *account_id)
{
	BankAccount account;
	const char *fault;

	if (!bank_reader_find_account(&verification->journal, account_id, &account, &fault))
	{
		report_account(verification, account_id, "there is no such account");
		return;
	}
	if (fault != NULL)
		report_account(verification, account_id, fault);
	take_transfers(verification, &account);
	bank_reader_scan_events(&verification->journal, account_id, take_event,
							verification);
	bank_entries_finish(&verification->entries);
}

static void
open_verification(Verification *verification, FunctionCallInfo fcinfo)
{
	memset(verification, 0, sizeof(*verification));
	verification->since = PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1);
	verification->until = PG_ARGISNULL(2) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2);
	verification->is_range = !PG_ARGISNULL(1) || !PG_ARGISNULL(2);
	verification->is_whole = PG_ARGISNULL(0) && !verification->is_range;
	verification->row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "bank verify row",
													  ALLOCSET_SMALL_SIZES);
	bank_finding_open(&verification->findings, fcinfo);
	bank_reader_open(&verification->journal);
	verification->judge = (BankJudge)
	{
		.journal = &verification->journal,
			.findings = &verification->findings,
			.open_period = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3)
	};
	bank_entries_open(&verification->entries, &verification->judge,
					  verification->since, verification->until);
}

static void
close_verification(Verification *verification)
{
	bank_entries_close(&verification->entries);
	bank_reader_close(&verification->journal);
	MemoryContextDelete(verification->row_context);
}

/*
 * The invariants that bank.verify() checks with what it is given.  A part of
 * the journal shows neither sums nor customers nor keys of the rest, and a
 * range no hold from its begin to its end.
 */
static const char *
checked_invariants(const Verification *verification)
{
	if (verification->is_whole)
		return "1, 2, 3, 4, 5, 6, 7, 8";
	return verification->is_range ? "2, 4, 5, 7, and in part 1, 3, 6, 8" :
		"2, 3, 4, 5, 7, and in part 1, 6, 8";
}

/* Arguments: account_id, since, until, open_period, epoch. */
Datum
bank_verify_journal(PG_FUNCTION_ARGS)
{
	Verification verification;

	open_verification(&verification, fcinfo);
	if (!PG_ARGISNULL(0))
		verify_account(&verification, PG_GETARG_UUID_P(0));
	else
		verify_tables(&verification);
	ereport(NOTICE,
			(errmsg("verified " INT64_FORMAT " transfers, " INT64_FORMAT " accounts, epoch %s, invariants %s",
					verification.transfers, verification.accounts,
					PG_ARGISNULL(4) ? "none" : psprintf("%d", PG_GETARG_INT32(4)),
					checked_invariants(&verification))));
	close_verification(&verification);
	return (Datum) 0;
}
