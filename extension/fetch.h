/*
 * HTTP for a backend: pools that live as long as the session, and waits that
 * a cancel ends.
 */
#ifndef BANK_FETCH_H
#define BANK_FETCH_H

#include "http.h"

/* Gives *pool, made at first use; raises 53200 when memory is out. */
extern BankHttpPool *bank_fetch_pool(BankHttpPool **pool, int places);

/*
 * Waits up to 50 ms for a request to finish.  Where the query was cancelled
 * or the session ended, everything under way is given up first.
 */
extern void bank_fetch_wait(BankHttpPool *pool);

/* One request; the reply lasts until the next.  Raises 57014 on a cancel. */
extern const BankHttpReply *bank_fetch(const BankHttpRequest *request);

#endif
