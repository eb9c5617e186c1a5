/*
 * The hosts of a libpq connection string, resolved before libpq would do it:
 * libpq waits for a silent name server without limit.
 *
 * The questions that were not answered in time stay in the list for the next
 * attempt, so that silence never piles up threads.
 */
#ifndef BANK_HOST_LIST_H
#define BANK_HOST_LIST_H

#include "resolve.h"

#define BANK_HOST_LIST_MAX 8
#define BANK_PORT_SIZE 8

typedef struct BankHost
{
	char		name[BANK_HOST_SIZE];
	char		address[BANK_ADDRESS_SIZE]; /* empty: none was given */
	char		port[BANK_PORT_SIZE];
	bool		is_name;		/* must be resolved */
	BankResolve *question;		/* NULL: none, or answered */
	BankAddresses addresses;
} BankHost;

/* Begins as zeros; count 0: nothing of the connection string is a name. */
typedef struct BankHostList
{
	int			count;
	BankHost	hosts[BANK_HOST_LIST_MAX];
	const char *error;			/* why a name has no address, one line */
} BankHostList;

/* For libpq's keywords host, hostaddr and port; empty: as the string says. */
#define BANK_HOST_TEXT_SIZE (BANK_HOST_LIST_MAX * BANK_RESOLVE_MAX * BANK_HOST_SIZE)
typedef struct BankHostTexts
{
	char		hosts[BANK_HOST_TEXT_SIZE];
	char		addresses[BANK_HOST_LIST_MAX * BANK_RESOLVE_MAX * BANK_ADDRESS_SIZE];
	char		ports[BANK_HOST_LIST_MAX * BANK_RESOLVE_MAX * BANK_PORT_SIZE];
} BankHostTexts;

/*
 * Asks for the names of a connection string, all at once; questions about the
 * same names go on.  NULL, or why that cannot be.  A string that libpq will
 * refuse has no names.
 */
extern const char *bank_host_list_begin(BankHostList *list, const char *dsn);

/*
 * Waits up to timeout_ms for the next answer.  PENDING while one is missing;
 * FAILED where all are there and no host can be reached.
 */
extern BankResolveState bank_host_list_wait(BankHostList *list, int timeout_ms);

/* The hosts known by now; false where there is none. */
extern bool bank_host_list_texts(const BankHostList *list, BankHostTexts *texts);

/* Gives all questions up. */
extern void bank_host_list_release(BankHostList *list);

#endif
