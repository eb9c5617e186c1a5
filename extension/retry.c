/*
 * The retry that pg_cron calls: sends what is due to BACEN, several at once.
 *
 * Promises:  an attempt is committed before it is sent, and its result as soon
 *            as it is there; no snapshot and no lock on a row or table is held
 *            while the network is waited for; one retry at a time, and of a
 *            row one attempt a call.  What a cancel or crash leaves unsettled
 *            is due again when its lease ends.  Nothing begins against rate
 *            and circuit, nor after bank.bacen_retry_time, so that a call is
 *            gone before the next minute's.
 * Locks:     a session's advisory lock for the whole call; rows as
 *            admission.c and claim.c say, until the commit of each step.
 * Memory:    claims on the stack; the pool of connections stays with the
 *            session, emptied when the call ends.
 * Raises:    F0000 without bank.bacen_url; 2D000 inside a transaction block;
 *            22004, 22023, 57014; what caller.c raises.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lock.h"
#include "utils/timestamp.h"

#include "admission.h"
#include "advisory.h"
#include "bank.h"
#include "claim.h"
#include "fetch.h"

PG_FUNCTION_INFO_V1(bank_notification_retry);

/* Requests under way at once. */
#define PLACES 16

/* A claim and its request; free where is_sent is false. */
typedef struct Attempt
{
	BankClaim	claim;
	BankBacenPost post;
	bool		is_sent;
} Attempt;

typedef struct Retry
{
	BankHttpPool *pool;
	TimestampTz due;			/* rows due later are left to the next call */
	TimestampTz end;			/* nothing more is begun after it */
	int			left;			/* rows that may still be claimed */
	int			under_way;
	Attempt		attempts[PLACES];
} Retry;

static Attempt *
free_attempt(Retry *retry)
{
	Attempt    *attempt = retry->attempts;

	while (attempt->is_sent)
		attempt++;
	Assert(attempt < retry->attempts + PLACES);
	return attempt;
}

static void
settle(const BankClaim *claim, const BankBacenOutcome *outcome)
{
	bank_claim_settle(claim, outcome);
	SPI_commit();
}

/* The gate comes first, as everywhere: nobody waits for it with a row locked. */
static void
settle_answered(const BankClaim *claim, const BankBacenOutcome *outcome)
{
	BankGateAnswers answers = {0};

	bank_gate_count(&answers, outcome);
	bank_admission_note(&answers);
	settle(claim, outcome);
}

static void
settle_unknown_currency(const BankClaim *claim)
{
	BankBacenOutcome outcome = {.verdict = BANK_BACEN_DEAD};

	snprintf(outcome.error, sizeof(outcome.error),
			 "not sent: unknown currency %s", claim->notification.currency);
	settle(claim, &outcome);
}

static void
begin_attempt(Retry *retry, const BankClaim *claim)
{
	Attempt    *attempt = free_attempt(retry);

	const BankBacenTarget target = {
		.url = bank_bacen_url, .timeout_ms = bank_bacen_timeout,
		.tls = bank_bacen_tls
	};

	attempt->claim = *claim;
	if (!bank_bacen_build(&attempt->post, &attempt->claim.notification, &target))
	{
		settle_unknown_currency(claim);
		return;
	}
	attempt->is_sent = bank_http_pool_start(retry->pool, &attempt->post.request, attempt);
	Assert(attempt->is_sent);
	retry->under_way++;
}

/*
 * Claims as many of the wanted rows as are due and may be sent.  Where nothing
 * more is to come in this call, left becomes 0: no row is due, or the circuit
 * is open and no probe of ours is under way.
 */
static int
claim(Retry *retry, BankClaim *claims, int wanted)
{
	int			due = bank_claim_count_due(wanted, retry->due);
	BankAdmission admission = {0};
	int			count = 0;

	if (due > 0)
		admission = bank_admission_take(due);
	if (admission.admitted > 0)
		count = bank_claim_take(claims, admission.admitted, retry->due);
	if (due == 0 || (admission.is_shut && retry->under_way == 0) ||
		(count == 0 && admission.admitted > 0))
		retry->left = 0;
	else
		retry->left -= count;
	if (count > 0)
		SPI_commit();
	else
		SPI_rollback();			/* what was admitted and not used */
	return count;
}

/* Fills the free places with what is due. */
static void
claim_and_send(Retry *retry)
{
	BankClaim	claims[PLACES];
	int			wanted = Min(retry->left, bank_http_pool_free_places(retry->pool));
	int			count;

	if (wanted == 0)
		return;
	if (GetCurrentTimestamp() >= retry->end)
	{
		retry->left = 0;
		return;
	}
	count = claim(retry, claims, wanted);
	for (int i = 0; i < count; i++)
		begin_attempt(retry, &claims[i]);
}

static void
settle_finished(Retry *retry)
{
	const BankHttpReply *reply;
	void	   *tag;

	while ((reply = bank_http_pool_take(retry->pool, &tag)) != NULL)
	{
		Attempt    *attempt = tag;
		BankBacenOutcome outcome;

		bank_bacen_judge(&outcome, reply, attempt->claim.notification.transfer_id);
		settle_answered(&attempt->claim, &outcome);
		attempt->is_sent = false;
		retry->under_way--;
	}
}

static void
run(Retry *retry)
{
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	bank_claim_recall(retry->due);
	SPI_commit();
	do
	{
		claim_and_send(retry);
		if (retry->under_way > 0 || retry->left > 0)
			bank_fetch_wait(retry->pool);
		settle_finished(retry);
	} while (retry->under_way > 0 || retry->left > 0);
	SPI_finish();
}

static int
require_max_rows(FunctionCallInfo fcinfo)
{
	bank_require_argument(PG_ARGISNULL(0), "max_rows");
	bank_require_range("max_rows", PG_GETARG_INT32(0), 1, PG_INT32_MAX);
	return PG_GETARG_INT32(0);
}

static void
require_own_transactions(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("bank_report.retry() cannot run inside a transaction block"),
				 errhint("Call it as a statement of its own; it commits each step.")));
}

static void
require_bacen_url(void)
{
	if (bank_bacen_url == NULL || *bank_bacen_url == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("setting bank.bacen_url is empty"),
				 errhint("Set it to the address that takes notifications, and reload.")));
}

static void
run_alone(Retry *retry)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, BANK_LOCK_RETRY);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		ereport(NOTICE, (errmsg("another session is retrying")));
		return;
	}
	PG_TRY();
	{
		run(retry);
	}
	PG_FINALLY();
	{
		bank_http_pool_abort(retry->pool);
		LockRelease(&tag, ExclusiveLock, true);
	}
	PG_END_TRY();
}

/* Sends up to max_rows notifications that are due. */
Datum
bank_notification_retry(PG_FUNCTION_ARGS)
{
	static BankHttpPool *pool = NULL;
	Retry		retry = {0};

	bank_require_writer("bank_report.retry");
	retry.left = require_max_rows(fcinfo);
	require_own_transactions(fcinfo);
	require_bacen_url();
	retry.pool = bank_fetch_pool(&pool, PLACES);
	retry.due = GetCurrentTimestamp();
	retry.end = TimestampTzPlusMilliseconds(retry.due, bank_bacen_retry_time);
	run_alone(&retry);
	PG_RETURN_VOID();
}
