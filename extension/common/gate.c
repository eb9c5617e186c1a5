/*
 * Token bucket and circuit.
 *
 * Promises:  a burst is a second's worth at most; an open circuit lets one
 *            send through at a time, each after a longer pause; a 429 is no
 *            failure: it pauses all sends, by what it asks, within bounds.
 */
#include "gate.h"

#define SECOND_US INT64_C(1000000)
#define OPEN_FIRST_S 5
#define OPEN_MAX_S 30
#define SLOW_FIRST_S 1
#define SLOW_MAX_S 30

/* One transfer may be asked to wait longer than all of them together. */
#define PAUSE_MAX_S 60

/* Nothing is told apart beyond so many in a row. */
#define COUNT_MAX 1000

static int
least(int a, int b)
{
	return a < b ? a : b;
}

/* Doubles with each time, from the first. */
static int64_t
growing_us(int first_s, int max_s, int times)
{
	int			seconds = first_s;

	for (int i = 1; i < times && seconds < max_s; i++)
		seconds *= 2;
	return least(seconds, max_s) * SECOND_US;
}

static double
bucket_size(const BankGateTerms *terms)
{
	return terms->rate < 1 ? 1 : terms->rate;
}

static double
refilled(const BankGate *gate, const BankGateTerms *terms, int64_t now)
{
	double		passed_s = (double) (now - gate->refilled_at) / SECOND_US;
	double		tokens = gate->tokens + passed_s * terms->rate;

	return passed_s < 0 || tokens > bucket_size(terms) ? bucket_size(terms) : tokens;
}

/* A moment further ahead than any we set was left behind by a stepping clock. */
static bool
is_ahead(int64_t moment, int64_t longest_us, int64_t now)
{
	return moment > now && moment <= now + longest_us;
}

bool
bank_gate_is_shut(const BankGate *gate, const BankGateTerms *terms, int64_t now)
{
	return is_ahead(gate->opened_until, OPEN_MAX_S * SECOND_US + terms->probe_us, now) ||
		is_ahead(gate->paused_until, PAUSE_MAX_S * SECOND_US, now);
}

bool
bank_gate_is_free(const BankGate *gate, const BankGateTerms *terms, int64_t now)
{
	return terms->rate == 0 && gate->opened_until == 0 &&
		!bank_gate_is_shut(gate, terms, now);
}

/* The next one asked for is let through only when this one is not heard of. */
static void
begin_probe(BankGate *gate, const BankGateTerms *terms, int64_t now)
{
	gate->probing = true;
	gate->opened_until = now + terms->probe_us;
}

int
bank_gate_admit(BankGate *gate, const BankGateTerms *terms, int64_t now,
				int wanted)
{
	bool		half_open = gate->opened_until != 0;
	double		tokens;
	int			admitted = half_open ? least(wanted, 1) : wanted;

	if (bank_gate_is_shut(gate, terms, now) || wanted <= 0)
		return 0;
	if (terms->rate > 0)
	{
		tokens = refilled(gate, terms, now);
		if (tokens < admitted)
			admitted = (int) tokens;
		if (admitted == 0)
			return 0;
		gate->tokens = tokens - admitted;
		gate->refilled_at = now;
	}
	if (half_open)
		begin_probe(gate, terms, now);
	return admitted;
}

void
bank_gate_count(BankGateAnswers *answers, const BankBacenOutcome *outcome)
{
	if (outcome->status == 429)
	{
		answers->slowed++;
		if (outcome->retry_after_s > answers->pause_s)
			answers->pause_s = outcome->retry_after_s;
	}
	else if (outcome->status == 0 || outcome->status >= 500)
		answers->failed++;
	else
		answers->answered++;
}

static bool
note_life(BankGate *gate)
{
	bool		changed = gate->failures != 0 || gate->opened_until != 0;

	gate->failures = 0;
	gate->openings = 0;
	gate->opened_until = 0;
	gate->probing = false;
	return changed;
}

/* What was under way when the circuit opened fails too, and counts no more. */
static void
note_failures(BankGate *gate, int count, int64_t now)
{
	bool		is_open = gate->opened_until != 0 && !gate->probing;

	gate->failures = least(gate->failures + least(count, COUNT_MAX), COUNT_MAX);
	if (is_open || gate->failures < BANK_GATE_FAILURES)
		return;
	gate->probing = false;
	gate->openings = least(gate->openings + 1, COUNT_MAX);
	gate->opened_until = now + growing_us(OPEN_FIRST_S, OPEN_MAX_S, gate->openings);
}

/* Those sent before the pause began are told the same, and count as one. */
static void
note_slowdown(BankGate *gate, int pause_s, int64_t now)
{
	int64_t		pause = least(pause_s, PAUSE_MAX_S) * SECOND_US;
	int64_t		own;

	if (!is_ahead(gate->paused_until, PAUSE_MAX_S * SECOND_US, now))
	{
		gate->paused_until = 0;
		gate->slowdowns = least(gate->slowdowns + 1, COUNT_MAX);
	}
	own = growing_us(SLOW_FIRST_S, SLOW_MAX_S, gate->slowdowns);
	if (pause < own)
		pause = own;
	if (gate->paused_until < now + pause)
		gate->paused_until = now + pause;
}

bool
bank_gate_note(BankGate *gate, const BankGateAnswers *answers, int64_t now)
{
	bool		changed = answers->failed > 0 || answers->slowed > 0;

	if (answers->answered > 0 || answers->slowed > 0)
		changed = note_life(gate) || changed;
	else if (answers->failed > 0)
		note_failures(gate, answers->failed, now);
	if (answers->slowed > 0)
		note_slowdown(gate, answers->pause_s, now);
	else if (answers->answered > 0 && gate->slowdowns != 0)
	{
		gate->slowdowns = 0;
		changed = true;
	}
	return changed;
}
