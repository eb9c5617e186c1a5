/*
 * First attempts under way to BACEN.
 *
 * Memory:    one place an attempt, with its request, until its result is
 *            taken.
 * Not here:  what an answer means (common/bacen.c).
 */
#include "sending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bacen.h"
#include "clock.h"
#include "log.h"

typedef struct Place
{
	bool		taken;
	char		transfer_id[BANK_UUID_SIZE];
	BankBacenPost post;
} Place;

struct BridgeSending
{
	BankHttpPool *pool;
	BankBacenTarget target;
	int			size;
	int			count;
	Place		places[];
};

BridgeSending *
bridge_sending_create(const BridgeConfig *config)
{
	int			size = (int) config->bacen_parallel;
	BridgeSending *sending;

	sending = calloc(1, sizeof(BridgeSending) + (size_t) size * sizeof(Place));
	if (sending != NULL)
		sending->pool = bank_http_pool_create(size);
	if (sending == NULL || sending->pool == NULL)
	{
		bridge_log(BRIDGE_LOG_ERROR, "cannot prepare to send", NULL);
		free(sending);
		return NULL;
	}
	sending->target = (BankBacenTarget)
	{
		.url = config->bacen_url,
			.timeout_ms = (int) config->bacen_timeout_ms,
			.tls =
		{
			.ca = config->bacen_ca, .certificate = config->bacen_certificate,
				.key = config->bacen_key
		}
	};
	sending->size = size;
	srand48((long) bridge_clock_ms() ^ (long) getpid() << 16);
	return sending;
}

void
bridge_sending_destroy(BridgeSending *sending)
{
	if (sending == NULL)
		return;
	bank_http_pool_destroy(sending->pool);
	free(sending);
}

int
bridge_sending_count(const BridgeSending *sending)
{
	return sending->count;
}

int
bridge_sending_room(const BridgeSending *sending)
{
	return sending->size - sending->count;
}

static Place *
find_place(BridgeSending *sending)
{
	for (int i = 0; i < sending->size; i++)
		if (!sending->places[i].taken)
			return &sending->places[i];
	return NULL;
}

static bool
build(const BridgeSending *sending, const BridgeTransfer *transfer,
	  BankBacenPost *post)
{
	BankBacenNotification notification = {.amount = transfer->amount,
	.attempt = 1};

	memcpy(notification.transfer_id, transfer->transfer_id, BANK_UUID_SIZE);
	memcpy(notification.from_account, transfer->from_account, BANK_UUID_SIZE);
	memcpy(notification.to_account, transfer->to_account, BANK_UUID_SIZE);
	memcpy(notification.currency, transfer->currency,
		   sizeof(notification.currency));
	memcpy(notification.completed_at, transfer->completed_at, BANK_TIME_SIZE);
	return bank_bacen_build(post, &notification, &sending->target);
}

bool
bridge_sending_begin(BridgeSending *sending, const BridgeTransfer *transfer)
{
	Place	   *place = find_place(sending);

	if (place == NULL)
		return false;
	if (!build(sending, transfer, &place->post))
	{
		bridge_log(BRIDGE_LOG_ERROR, "transfer cannot be told to BACEN: its"
				   " currency is unknown", "transfer_id=%s currency=%s",
				   transfer->transfer_id, transfer->currency);
		return false;
	}
	if (!bank_http_pool_start(sending->pool, &place->post.request, place))
		return false;
	memcpy(place->transfer_id, transfer->transfer_id, BANK_UUID_SIZE);
	place->taken = true;
	sending->count++;
	return true;
}

void
bridge_sending_wait(BridgeSending *sending, int fd, int timeout_ms)
{
	bank_http_pool_wait(sending->pool, timeout_ms, fd);
}

static void
judge(const char *transfer_id, const BankHttpReply *reply, BridgeResult *result)
{
	const BankBacenOutcome *outcome = &result->outcome;

	bank_bacen_judge(&result->outcome, reply, transfer_id);
	memcpy(result->transfer_id, transfer_id, BANK_UUID_SIZE);
	result->delay_ms = 0;
	switch (outcome->verdict)
	{
		case BANK_BACEN_DELIVERED:
			result->state = "delivered";
			break;
		case BANK_BACEN_DEAD:
			result->state = "dead";
			break;
		case BANK_BACEN_LATER:
			result->state = "pending";
			result->delay_ms = bank_bacen_delay_ms(1, outcome->retry_after_s,
												   drand48());
			break;
	}
}

bool
bridge_sending_take(BridgeSending *sending, BridgeResult *result)
{
	void	   *tag;
	const BankHttpReply *reply = bank_http_pool_take(sending->pool, &tag);
	Place	   *place;

	if (reply == NULL)
		return false;
	place = tag;
	judge(place->transfer_id, reply, result);
	place->taken = false;
	sending->count--;
	return true;
}
