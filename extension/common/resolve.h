/*
 * Host names into addresses, without ever waiting longer than the caller
 * wants to: a name server may be silent for half a minute, and getaddrinfo
 * knows no limit.
 *
 * A question that was not answered in time is kept by its owner and waited
 * for again, so that silence never piles up threads.
 */
#ifndef BANK_RESOLVE_H
#define BANK_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

/* Addresses of one name that are kept, and the size of one as text. */
#define BANK_RESOLVE_MAX 4
#define BANK_ADDRESS_SIZE 64
#define BANK_HOST_SIZE 256

typedef struct BankAddresses
{
	int			count;
	char		text[BANK_RESOLVE_MAX][BANK_ADDRESS_SIZE];
} BankAddresses;

typedef enum BankResolveState
{
	BANK_RESOLVE_PENDING,
	BANK_RESOLVE_DONE,			/* *addresses is set */
	BANK_RESOLVE_FAILED			/* no such name, or no name server */
} BankResolveState;

typedef struct BankResolve BankResolve;

/* Asks; NULL where memory or threads are out.  An address answers itself. */
extern BankResolve *bank_resolve_start(const char *host);

/* True where the question is about this host. */
extern bool bank_resolve_is_about(const BankResolve *question, const char *host);

/* Waits up to timeout_ms for the answer; 0 only looks. */
extern BankResolveState bank_resolve_wait(BankResolve *question, int timeout_ms,
										  BankAddresses *addresses);

/* Why it failed, one line. */
extern const char *bank_resolve_error(const BankResolve *question);

/* Gives the question up; NULL is let pass. */
extern void bank_resolve_release(BankResolve *question);

/* True for a text that is an address itself. */
extern bool bank_resolve_is_address(const char *text);

#endif
