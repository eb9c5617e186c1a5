/*
 * One question at a time to another database, over a connection that the
 * backend keeps.
 */
#ifndef BANK_REMOTE_H
#define BANK_REMOTE_H

#include <libpq-fe.h>

#include "host_list.h"

typedef struct BankRemote
{
	const char *name;			/* of what is asked, for messages */
	PGconn	   *connection;		/* NULL: none */
	BankHostList hosts;			/* keeps what was not answered in time */
	char	   *dsn;			/* what it was made from */
	bool		is_busy;		/* connecting, or an answer is still to come */
} BankRemote;

typedef struct BankRemoteQuestion
{
	const char *dsn;
	const char *query;
	const char *parameter;		/* $1, as text */
	int			timeout_ms;		/* for connection and answer together */
} BankRemoteQuestion;

/*
 * Asks and returns rows of text, which the caller clears before anything is
 * raised.  Raises 08006 where the database cannot be reached in time, 58000
 * where it refuses the query, 57014 on a cancel.
 */
extern PGresult *bank_remote_ask(BankRemote *remote,
								 const BankRemoteQuestion *question);

#endif
