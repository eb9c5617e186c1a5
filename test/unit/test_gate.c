/*
 * The gate before BACEN: bucket, circuit and slowdowns.
 */
#include "gate.h"

#include <limits.h>

#include "tap.h"

#define S INT64_C(1000000)
#define START (1000 * S)

static const BankGateTerms unlimited = {.rate = 0, .probe_us = 10 * S};
static const BankGateAnswers success = {.answered = 1};
static const BankGateAnswers failure = {.failed = 1};

static void
check_bucket(void)
{
	BankGateTerms terms = {.rate = 10, .probe_us = 10 * S};
	BankGateTerms slow = {.rate = 0.5, .probe_us = 10 * S};
	BankGate	gate = {0};

	tap_ok(!bank_gate_is_free(&gate, &terms, START), "a rate limits");
	tap_is_int(bank_gate_admit(&gate, &terms, START, 64), 10, "a second's worth at first");
	tap_is_int(bank_gate_admit(&gate, &terms, START, 1), 0, "then none");
	tap_is_int(bank_gate_admit(&gate, &terms, START + S / 20, 1), 0, "half a token is none");
	tap_is_int(bank_gate_admit(&gate, &terms, START + S / 10, 5), 1, "and is not lost");
	tap_is_int(bank_gate_admit(&gate, &terms, START + 60 * S, 64), 10, "no burst is longer");
	tap_is_int(bank_gate_admit(&gate, &terms, START - 3600 * S, 64), 10,
			   "a clock that steps back stops nothing");
	gate = (BankGate)
	{
		0
	};
	tap_is_int(bank_gate_admit(&gate, &slow, START, 5), 1, "a slow rate begins with one");
	tap_is_int(bank_gate_admit(&gate, &slow, START + S, 5), 0, "is slow");
	tap_is_int(bank_gate_admit(&gate, &slow, START + 2 * S, 5), 1, "and goes on");
}

static void
fail_times(BankGate *gate, int times, int64_t now)
{
	for (int i = 0; i < times; i++)
		bank_gate_note(gate, &failure, now);
}

static void
check_many(void)
{
	const BankGateAnswers many = {.failed = INT_MAX};
	BankGate	gate = {0};

	fail_times(&gate, 1, START);
	bank_gate_note(&gate, &many, START);
	tap_is_int(bank_gate_admit(&gate, &unlimited, START, 64), 0,
			   "any number of failures opens");
}

static void
check_opening(void)
{
	BankGate	gate = {0};

	tap_ok(bank_gate_is_free(&gate, &unlimited, START), "without a rate nothing limits");
	tap_is_int(bank_gate_admit(&gate, &unlimited, START, 64), 64, "all of it");
	tap_ok(!bank_gate_note(&gate, &success, START), "a success changes nothing");
	fail_times(&gate, BANK_GATE_FAILURES - 1, START);
	tap_ok(bank_gate_note(&gate, &success, START), "a success ends a row of failures");
	fail_times(&gate, BANK_GATE_FAILURES - 1, START);
	tap_is_int(bank_gate_admit(&gate, &unlimited, START, 64), 64, "a few failures open nothing");
	fail_times(&gate, 1, START);
	tap_ok(!bank_gate_is_free(&gate, &unlimited, START), "one more does");
	tap_is_int(bank_gate_admit(&gate, &unlimited, START, 64), 0, "open, none is sent");
	fail_times(&gate, 50, START + S);
	tap_is_int(gate.opened_until, START + 5 * S, "those under way fail and count no more");
	tap_is_int(bank_gate_admit(&gate, &unlimited, START - 3600 * S, 64), 1,
			   "a clock that steps back does not keep it open");
}

static void
check_probe(void)
{
	BankGate	gate = {0};
	int64_t		now = START;

	fail_times(&gate, BANK_GATE_FAILURES, now);
	now += 5 * S;
	tap_is_int(bank_gate_admit(&gate, &unlimited, now, 64), 1, "half open, one is sent");
	tap_is_int(bank_gate_admit(&gate, &unlimited, now, 64), 0, "and no other");
	tap_is_int(bank_gate_admit(&gate, &unlimited, now + 10 * S, 64), 1,
			   "a probe nobody hears of is followed by another");
	now += 10 * S;
	fail_times(&gate, 1, now);
	tap_is_int(gate.opened_until, now + 10 * S, "a probe that fails opens for longer");
	for (int i = 0; i < 20; i++)
	{
		now = gate.opened_until;
		tap_is_int(bank_gate_admit(&gate, &unlimited, now, 64), 1, "a probe");
		fail_times(&gate, 1, now);
	}
	tap_is_int(gate.opened_until, now + 30 * S, "not for ever longer");
	bank_gate_admit(&gate, &unlimited, gate.opened_until, 64);
	tap_ok(bank_gate_note(&gate, &success, now), "a probe that is answered closes");
	tap_is_int(bank_gate_admit(&gate, &unlimited, now, 64), 64, "everything is sent");
	fail_times(&gate, BANK_GATE_FAILURES, now);
	tap_is_int(gate.opened_until, now + 5 * S, "and the next opening is short again");
}

static void
check_slowdown(void)
{
	const BankGateAnswers slowed = {.slowed = 1};
	const BankGateAnswers told = {.slowed = 1, .pause_s = 7};
	const BankGateAnswers absurd = {.slowed = 1, .pause_s = 3600};
	BankGate	gate = {0};
	int64_t		now = START;

	for (int i = 0; i < 30; i++)
		bank_gate_note(&gate, &slowed, now);
	tap_is_int(gate.opened_until, 0, "429 is no failure");
	tap_is_int(bank_gate_admit(&gate, &unlimited, now, 9), 0, "it pauses");
	tap_is_int(gate.paused_until, now + S, "by a second, however many say so");
	now += S;
	tap_is_int(bank_gate_admit(&gate, &unlimited, now, 9), 9, "and then goes on");
	bank_gate_note(&gate, &slowed, now);
	tap_is_int(gate.paused_until, now + 2 * S, "asked again, for longer");
	now += 2 * S;
	bank_gate_note(&gate, &told, now);
	tap_is_int(gate.paused_until, now + 7 * S, "Retry-After is obeyed");
	bank_gate_note(&gate, &absurd, now);
	tap_is_int(gate.paused_until, now + 60 * S, "within bounds");
	bank_gate_note(&gate, &success, now);
	tap_is_int(bank_gate_admit(&gate, &unlimited, now, 9), 0, "a success ends no pause");
	now += 60 * S;
	bank_gate_note(&gate, &slowed, now);
	tap_is_int(gate.paused_until, now + S, "but the next one is short again");
	fail_times(&gate, BANK_GATE_FAILURES - 1, now);
	bank_gate_note(&gate, &slowed, now);
	fail_times(&gate, 1, now);
	tap_is_int(gate.opened_until, 0, "and 429 ends a row of failures");
}

static void
check_counting(void)
{
	static const int answered[] = {200, 201, 400, 404, 408, 409, 422};
	static const int failed[] = {0, 500, 502, 503, 599};
	BankGateAnswers answers = {0};
	BankBacenOutcome outcome = {.status = 429, .retry_after_s = 9};

	bank_gate_count(&answers, &outcome);
	for (size_t i = 0; i < sizeof(answered) / sizeof(int); i++)
	{
		outcome.status = answered[i];
		bank_gate_count(&answers, &outcome);
	}
	for (size_t i = 0; i < sizeof(failed) / sizeof(int); i++)
	{
		outcome.status = failed[i];
		bank_gate_count(&answers, &outcome);
	}
	outcome.status = 429;
	outcome.retry_after_s = 3;
	bank_gate_count(&answers, &outcome);
	tap_is_int(answers.answered, 7, "answers of every kind are answers");
	tap_is_int(answers.failed, 5, "5xx and silence are failures");
	tap_is_int(answers.slowed, 2, "429 is neither");
	tap_is_int(answers.pause_s, 9, "the longest Retry-After counts");
}

int
main(void)
{
	check_bucket();
	check_opening();
	check_many();
	check_probe();
	check_slowdown();
	check_counting();
	return tap_done();
}
