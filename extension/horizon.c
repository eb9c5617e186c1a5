/*
 * Up to which date the journal, as a snapshot has it, is complete: the start
 * of the oldest transaction that may still post.
 *
 * A posting is dated after its locks, and taking them gives its transaction
 * an id.  So what a snapshot does not have is dated after the start of one of
 * the transactions that had an id and ran when it was taken, or after that
 * moment.  The status of the backends has the starts of those that run now.
 *
 * Where it has not (a prepared transaction, a standby, a snapshot from before,
 * track_activities off), heartbeats bound the date: one that got its id before
 * another transaction was dated before anything that one did.
 *
 * Assumes:   the clock does not step back while a transaction runs.
 * Memory:    the list of who runs is in the current memory context.
 * Not here:  rights.  That somebody runs, and since when, is told to those who
 *            may call, without pg_read_all_stats.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#include "bank.h"
#include "compat.h"
#include "horizon.h"
#include "relation.h"

enum
{
	HEARTBEAT_ID,
	HEARTBEAT_AT
};

static const BankColumn heartbeat_columns[] = {
	[HEARTBEAT_ID] = {"beat_id", INT8OID},
	[HEARTBEAT_AT] = {"at", TIMESTAMPTZOID},
};

static const BankShape heartbeat_shape = {
	BANK_TABLE_HEARTBEAT, heartbeat_columns, lengthof(heartbeat_columns)
};

/*
 * Since when a backend may have posted; false: that is not known.  One without
 * a start had not begun when its status was read, so it got its id later; and
 * the caller sees what he posted himself.
 */
static bool
find_start(const PgBackendStatus *status, TimestampTz at, TimestampTz *began)
{
	if (status->st_databaseid != MyDatabaseId || status->st_procpid == MyProcPid)
		*began = DT_NOEND;
	else if (status->st_xact_start_timestamp != 0)
		*began = status->st_xact_start_timestamp;
	else if (status->st_state == STATE_DISABLED)
		return false;
	else
		*began = at;
	return true;
}

/* Looks who runs; to be called before the snapshot is taken. */
void
bank_horizon_look(BankHorizon *horizon)
{
	int			nbackends;

	horizon->at = GetCurrentTimestamp();
	horizon->next_xid = RecoveryInProgress() ? InvalidTransactionId :
		ReadNextTransactionId();
	/* the statuses are read once a transaction, unless they are let go */
	pgstat_clear_backend_activity_snapshot();
	nbackends = pgstat_fetch_stat_numbackends();
	horizon->running = palloc((nbackends + 1) * sizeof(BankRunning));
	horizon->nrunning = 0;
	for (int i = 0; i < nbackends; i++)
	{
		LocalPgBackendStatus *local = BANK_BACKEND_STATUS(i);
		BankRunning *running = &horizon->running[horizon->nrunning];

		running->xid = local->backend_xid;
		if (TransactionIdIsValid(running->xid) &&
			find_start(&local->backendStatus, horizon->at, &running->began))
			horizon->nrunning++;
	}
}

typedef struct LastBeat
{
	TransactionId xid;			/* beats of earlier ones count */
	TimestampTz at;
} LastBeat;

static TransactionId
xmin_of(const BankRow *row)
{
	return HeapTupleHeaderGetXmin(ExecFetchSlotHeapTuple(row->slot, false, NULL)->t_data);
}

static bool
take_beat(const BankRow *row, void *context)
{
	LastBeat   *last = context;
	TimestampTz at = DatumGetTimestampTz(row->values[HEARTBEAT_AT]);

	if (TransactionIdPrecedes(xmin_of(row), last->xid))
		last->at = Max(last->at, at);
	return true;
}

/* The newest heartbeat that got its id before a transaction did. */
static TimestampTz
beat_before(TransactionId xid)
{
	LastBeat	last = {.xid = xid, .at = DT_NOBEGIN};
	BankRelation heartbeat;

	bank_relation_open(&heartbeat, &heartbeat_shape, BANK_OPEN_READ);
	bank_relation_scan_visible(&heartbeat, take_beat, &last);
	bank_relation_close(&heartbeat);
	return last.at;
}

static bool
is_known(const BankHorizon *horizon, TransactionId xid)
{
	for (int i = 0; i < horizon->nrunning; i++)
		if (horizon->running[i].xid == xid)
			return true;
	return false;
}

static TransactionId
older_unknown(const BankHorizon *horizon, TransactionId xid, TransactionId oldest)
{
	return !is_known(horizon, xid) && TransactionIdPrecedes(xid, oldest) ? xid : oldest;
}

/*
 * The oldest transaction that ran when looked at and for the snapshot, but in
 * no backend that tells its start; next_xid: there is none.  A snapshot lists
 * those below its xmax only.  Of the others, whose ids follow each other, some
 * are subtransactions.
 */
static TransactionId
oldest_unknown(const BankHorizon *horizon, Snapshot snapshot)
{
	TransactionId oldest = horizon->next_xid;
	TransactionId xid = snapshot->xmax;

	for (uint32 i = 0; i < snapshot->xcnt; i++)
		oldest = older_unknown(horizon, snapshot->xip[i], oldest);
	while (TransactionIdPrecedes(xid, horizon->next_xid))
	{
		CHECK_FOR_INTERRUPTS();
		oldest = older_unknown(horizon, SubTransGetTopmostTransaction(xid), oldest);
		TransactionIdAdvance(xid);
	}
	return oldest;
}

/* The date before which the snapshot has every entry there will ever be. */
TimestampTz
bank_horizon_of(const BankHorizon *horizon, Snapshot snapshot)
{
	TimestampTz until = horizon->at;
	TransactionId unknown;

	if (IsolationUsesXactSnapshot() || snapshot->takenDuringRecovery)
		return Min(until, beat_before(snapshot->xmin));
	for (int i = 0; i < horizon->nrunning; i++)
		until = Min(until, horizon->running[i].began);
	unknown = oldest_unknown(horizon, snapshot);
	if (unknown != horizon->next_xid)
		until = Min(until, beat_before(unknown));
	return until;
}
