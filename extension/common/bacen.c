/*
 * BACEN's side of a notification: request, verdict, pause.
 *
 * Promises:  every attempt for one transfer carries the same Idempotency-Key,
 *            so that BACEN accepts it once (invariant 11).  What may have been
 *            accepted is never dead.
 * Not here:  attempts and states; they belong to whoever stores the row.
 */
#include "bacen.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "currency.h"

/* The answers of a server that says little; a longer one is no answer. */
#define ANSWER_MAX (16 * 1024)

#define DELAY_FIRST_MS 2000

bool
bank_bacen_build(BankBacenPost *post, const BankBacenNotification *notification,
				 const BankBacenTarget *target)
{
	char		amount[BANK_CURRENCY_TEXT_SIZE];

	if (!bank_currency_format(notification->currency, notification->amount,
							  amount, sizeof(amount)))
		return false;
	snprintf(post->body, sizeof(post->body),
			 "{\"id\": \"%s\", \"valor\": %s, "
			 "\"conta\": {\"idOrigem\": \"%s\", \"idDestino\": \"%s\"}, "
			 "\"dataHora\": \"%s\"}",
			 notification->transfer_id, amount, notification->from_account,
			 notification->to_account, notification->completed_at);
	snprintf(post->idempotency_key, sizeof(post->idempotency_key),
			 BANK_HEADER_IDEMPOTENCY_KEY ": %s", notification->transfer_id);
	snprintf(post->attempt, sizeof(post->attempt), BANK_HEADER_ATTEMPT ": %d",
			 notification->attempt);
	post->headers[0] = "Content-Type: application/json";
	post->headers[1] = post->idempotency_key;
	post->headers[2] = post->attempt;
	post->headers[3] = NULL;
	post->request = (BankHttpRequest)
	{
		.method = "POST", .url = target->url, .body = post->body,
			.headers = post->headers, .connect_timeout_ms = target->timeout_ms,
			.timeout_ms = target->timeout_ms, .answer_max = ANSWER_MAX,
			.tls = target->tls
	};
	return true;
}

/* True where the body is an object whose id is the transfer's. */
static bool
names_transfer(const BankHttpReply *reply, const char *transfer_id)
{
	json_t	   *body = json_loadb(reply->body, reply->size, 0, NULL);
	const char *id = json_string_value(json_object_get(body, "id"));
	bool		names = id != NULL && strcasecmp(id, transfer_id) == 0;

	json_decref(body);
	return names;
}

/* A status of success counts even where the rest of the answer was lost. */
static BankBacenVerdict
verdict_of(const BankHttpReply *reply, const char *transfer_id)
{
	int			status = reply->status;

	if (status >= 200 && status <= 299)
		return BANK_BACEN_DELIVERED;
	if (status == 409 && names_transfer(reply, transfer_id))
		return BANK_BACEN_DELIVERED;
	if (reply->failed || status == 408 || status == 409 || status == 425 ||
		status == 429)
		return BANK_BACEN_LATER;
	return status >= 400 && status <= 499 ? BANK_BACEN_DEAD : BANK_BACEN_LATER;
}

/* Length of the UTF-8 character at text, 0 where there is none. */
static size_t
character_length(const unsigned char *text)
{
	size_t		length = *text < 0x80 ? 1 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;

	if (*text >= 0x80 && (*text < 0xc2 || *text > 0xf4))
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) ||	/* longer than need be */
		(text[0] == 0xf0 && text[1] < 0x90) ||
		(text[0] == 0xed && text[1] > 0x9f) ||	/* surrogates */
		(text[0] == 0xf4 && text[1] > 0x8f))	/* beyond Unicode */
		return 0;
	return length;
}

/* Appends text as one line of valid UTF-8, as much of it as there is room. */
static void
append_line(char *buffer, size_t size, const char *text)
{
	const unsigned char *from = (const unsigned char *) text;
	size_t		used = strlen(buffer);

	while (*from != '\0')
	{
		size_t		length = character_length(from);
		bool		plain = length > 1 || (length == 1 && *from >= ' ' && *from != 0x7f);

		if (used + (plain ? length : 1) >= size)
			break;
		if (plain)
			memcpy(buffer + used, from, length);
		else
			buffer[used] = length == 1 ? ' ' : '?';
		used += plain ? length : 1;
		from += length > 0 ? length : 1;
	}
	buffer[used] = '\0';
}

static void
write_error(BankBacenOutcome *outcome, const BankHttpReply *reply)
{
	const char *reason = reply->failed ? reply->error : reply->body;
	const char *separator = *reason != '\0' ? ": " : "";

	if (reply->status == 0)
		snprintf(outcome->error, sizeof(outcome->error), "no answer%s", separator);
	else
		snprintf(outcome->error, sizeof(outcome->error), "answered %d%s",
				 reply->status, separator);
	append_line(outcome->error, sizeof(outcome->error), reason);
}

void
bank_bacen_judge(BankBacenOutcome *outcome, const BankHttpReply *reply,
				 const char *transfer_id)
{
	outcome->verdict = verdict_of(reply, transfer_id);
	outcome->status = reply->status;
	outcome->retry_after_s = reply->retry_after_s;
	outcome->error[0] = '\0';
	if (outcome->verdict != BANK_BACEN_DELIVERED)
		write_error(outcome, reply);
}

int64_t
bank_bacen_delay_ms(int attempts, int retry_after_s, double chance)
{
	int64_t		longest = DELAY_FIRST_MS;
	int64_t		asked = retry_after_s * INT64_C(1000);
	int64_t		delay;

	for (int i = 1; i < attempts && longest < BANK_BACEN_DELAY_MAX_MS; i++)
		longest *= 2;
	if (longest > BANK_BACEN_DELAY_MAX_MS)
		longest = BANK_BACEN_DELAY_MAX_MS;
	delay = (int64_t) (chance * longest);
	return delay > asked ? delay : asked;
}
