/* The LSN safe to confirm, whatever order acknowledgements come in. */
#include "inflight.h"

#include <stdlib.h>

#include "tap.h"

static BridgeInflight inflight;

static uint64_t
send_transaction(int records, uint64_t end_lsn)
{
	bridge_inflight_begin(&inflight);
	for (int i = 0; i < records; i++)
		bridge_inflight_add(&inflight);
	bridge_inflight_commit(&inflight, end_lsn);
	return inflight.next - 1;
}

static void
test_order(void)
{
	uint64_t	first = send_transaction(2, 100);
	uint64_t	second = send_transaction(1, 200);

	tap_is_int((int64_t) inflight.safe_lsn, 0, "nothing is safe at first");
	bridge_inflight_acknowledge(&inflight, second);
	tap_is_int((int64_t) inflight.safe_lsn, 0,
			   "a later transaction alone moves nothing");
	bridge_inflight_acknowledge(&inflight, first);
	tap_is_int((int64_t) inflight.safe_lsn, 0,
			   "half of the oldest moves nothing");
	bridge_inflight_acknowledge(&inflight, first);
	tap_is_int((int64_t) inflight.safe_lsn, 200,
			   "the whole run is safe at once");
	tap_ok(bridge_inflight_empty(&inflight), "empty again");
	tap_is_int((int64_t) inflight.records, 0, "no record is outstanding");
}

static void
test_open(void)
{
	uint64_t	number;

	bridge_inflight_begin(&inflight);
	number = bridge_inflight_add(&inflight);
	bridge_inflight_acknowledge(&inflight, number);
	tap_is_int((int64_t) inflight.safe_lsn, 200,
			   "an open transaction is not safe, acknowledged or not");
	tap_ok(!bridge_inflight_empty(&inflight), "an open one is in flight");
	bridge_inflight_add(&inflight);
	bridge_inflight_withdraw(&inflight);
	bridge_inflight_commit(&inflight, 300);
	tap_is_int((int64_t) inflight.safe_lsn, 300, "its commit makes it safe");
}

static void
test_no_records(void)
{
	uint64_t	number = send_transaction(1, 400);

	send_transaction(0, 500);
	tap_is_int((int64_t) inflight.safe_lsn, 300,
			   "one without records waits for those before it");
	bridge_inflight_acknowledge(&inflight, number);
	tap_is_int((int64_t) inflight.safe_lsn, 500, "and goes with them");
}

static void
test_full(void)
{
	uint64_t	oldest = inflight.next;

	for (uint64_t i = 0; i < inflight.capacity; i++)
	{
		tap_ok(!bridge_inflight_full(&inflight), "there is room");
		send_transaction(1, 600 + i);
	}
	tap_ok(bridge_inflight_full(&inflight), "the ring is full");
	bridge_inflight_acknowledge(&inflight, oldest);
	tap_ok(!bridge_inflight_full(&inflight), "the oldest makes room");
	tap_is_int((int64_t) inflight.safe_lsn, 600, "and is safe");
}

#define RANDOM_TRANSACTIONS 2000

/* Acknowledges at random, and compares with the plain definition. */
static void
test_random(void)
{
	static int	left[RANDOM_TRANSACTIONS];
	BridgeInflight ring;
	int			sent = 0;
	int			done = 0;
	bool		equal = bridge_inflight_create(&ring, 64);

	srandom(1);
	while (done < RANDOM_TRANSACTIONS)
	{
		int			pick = done + (int) (random() % 64);

		if (sent < RANDOM_TRANSACTIONS && !bridge_inflight_full(&ring))
		{
			left[sent] = (int) (random() % 4);
			bridge_inflight_begin(&ring);
			for (int i = 0; i < left[sent]; i++)
				bridge_inflight_add(&ring);
			bridge_inflight_commit(&ring, (uint64_t) ++sent);
		}
		if (pick < sent && left[pick] > 0)
		{
			left[pick]--;
			bridge_inflight_acknowledge(&ring, (uint64_t) pick);
		}
		while (done < sent && left[done] == 0)
			done++;
		equal = equal && ring.safe_lsn == (uint64_t) done;
	}
	tap_ok(equal, "random acknowledgements: the longest unbroken run");
	bridge_inflight_free(&ring);
}

int
main(void)
{
	if (!tap_ok(bridge_inflight_create(&inflight, 8), "create"))
		return tap_done();
	test_order();
	test_open();
	test_no_records();
	test_full();
	bridge_inflight_free(&inflight);
	test_random();
	return tap_done();
}
