/*
 * What BACEN is told of a transfer, what its answer means, and how long to
 * wait before the next attempt.
 */
#ifndef BANK_BACEN_H
#define BANK_BACEN_H

#include <stdbool.h>
#include <stdint.h>

#include "contract.h"
#include "http.h"
#include "text.h"

#define BANK_BACEN_ERROR_SIZE 512

/* The longest limit of an attempt that anybody may set; a lease is twice it. */
#define BANK_BACEN_TIMEOUT_MAX_MS 300000

/* No attempt is put off for longer, whatever BACEN asks for. */
#define BANK_BACEN_DELAY_MAX_MS (BANK_HTTP_RETRY_AFTER_MAX * INT64_C(1000))

typedef struct BankBacenNotification
{
	char		transfer_id[BANK_UUID_SIZE];
	char		from_account[BANK_UUID_SIZE];
	char		to_account[BANK_UUID_SIZE];
	char		currency[4];
	char		completed_at[BANK_TIME_SIZE];	/* RFC 3339, UTC */
	int64_t		amount;			/* minor units */
	int			attempt;		/* sends begun, this one among them */
} BankBacenNotification;

/* Where notifications go, and how. */
typedef struct BankBacenTarget
{
	const char *url;
	int			timeout_ms;
	BankHttpTls tls;
} BankBacenTarget;

/* A request and the texts it points to: not to be copied. */
typedef struct BankBacenPost
{
	BankHttpRequest request;
	const char *headers[4];
	char		idempotency_key[64];
	char		attempt[32];
	char		body[384];
} BankBacenPost;

typedef enum BankBacenVerdict
{
	BANK_BACEN_DELIVERED,
	BANK_BACEN_LATER,
	BANK_BACEN_DEAD				/* no use in sending it again */
} BankBacenVerdict;

typedef struct BankBacenOutcome
{
	BankBacenVerdict verdict;
	int			status;			/* HTTP status; 0: no answer */
	int			retry_after_s;	/* asked for by BACEN; 0: nothing */
	char		error[BANK_BACEN_ERROR_SIZE];	/* UTF-8; empty when delivered */
} BankBacenOutcome;

/* Builds the POST; false when the currency is unknown. */
extern bool bank_bacen_build(BankBacenPost *post,
							 const BankBacenNotification *notification,
							 const BankBacenTarget *target);

/* Says what the answer to a notification means. */
extern void bank_bacen_judge(BankBacenOutcome *outcome,
							 const BankHttpReply *reply,
							 const char *transfer_id);

/*
 * Milliseconds until the next attempt, after so many (1 or more): doubling up
 * to an hour, the whole of it random, but not before BACEN asked to.  chance
 * is a random number from 0 up to 1.
 */
extern int64_t bank_bacen_delay_ms(int attempts, int retry_after_s,
								   double chance);

#endif
