/*
 * HTTP for a backend; the only file where libcurl meets cancels and errors.
 *
 * Promises:  a cancel is answered within 200 ms, also while a name server is
 *            silent; no error is raised while libcurl is on the stack.
 * Memory:    pools are malloc'd, one for each use, kept until the backend
 *            ends; what an error left under way is given up before the next.
 * Raises:    57014; 53200.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "fetch.h"

#define WAIT_MS 50

BankHttpPool *
bank_fetch_pool(BankHttpPool **pool, int places)
{
	if (*pool == NULL)
		*pool = bank_http_pool_create(places);
	if (*pool == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not initialize the HTTP client")));
	return *pool;
}

/* Interrupts of other kinds, such as a reload, end no request. */
static bool
is_interrupted(void)
{
	return QueryCancelPending || ProcDiePending;
}

void
bank_fetch_wait(BankHttpPool *pool)
{
	bank_http_pool_wait(pool, WAIT_MS, -1);
	if (is_interrupted())
		bank_http_pool_abort(pool);
	CHECK_FOR_INTERRUPTS();
}

/* Other interrupts, which the whole cluster may wait for, are served too. */
const BankHttpReply *
bank_fetch(const BankHttpRequest *request)
{
	static BankHttpPool *kept = NULL;
	BankHttpPool *pool = bank_fetch_pool(&kept, 1);
	const BankHttpReply *reply;
	void	   *tag;

	bank_http_pool_abort(pool);
	bank_http_pool_start(pool, request, NULL);
	while ((reply = bank_http_pool_take(pool, &tag)) == NULL)
	{
		if (bank_http_pool_free_places(pool) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("canceling an HTTP request")));
		bank_fetch_wait(pool);
	}
	return reply;
}
