/*
 * The gate before BACEN: how many sends may begin now, given the rate that is
 * allowed, the circuit, and what BACEN answered last.
 *
 * Pure: whoever keeps the state (one row, shared by all that send) reads it,
 * asks, and writes it back.  Times are microseconds of one clock; 0 is never.
 */
#ifndef BANK_GATE_H
#define BANK_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "bacen.h"

/* Failures in a row that open the circuit. */
#define BANK_GATE_FAILURES 5

typedef struct BankGate
{
	double		tokens;			/* sends that may begin, at refilled_at */
	int64_t		refilled_at;
	int			failures;		/* in a row */
	int			openings;		/* of the circuit, in a row */
	int64_t		opened_until;	/* 0: the circuit is closed */
	bool		probing;		/* one send is to show whether BACEN is back */
	int			slowdowns;		/* times in a row that BACEN was asked less */
	int64_t		paused_until;	/* nothing begins before */
} BankGate;

typedef struct BankGateTerms
{
	double		rate;			/* sends a second; 0: no limit */
	int64_t		probe_us;		/* how long a probe is waited for */
} BankGateTerms;

/* Answers of BACEN, counted by what they mean for the gate. */
typedef struct BankGateAnswers
{
	int			answered;		/* BACEN works, whatever it said */
	int			failed;			/* no answer, or 5xx */
	int			slowed;			/* 429: BACEN works and wants less */
	int			pause_s;		/* longest Retry-After of those; 0: none */
} BankGateAnswers;

/* Nothing limits: what is wanted may begin, and nothing need be written. */
extern bool bank_gate_is_free(const BankGate *gate, const BankGateTerms *terms,
							  int64_t now);

/* Circuit or pause let nothing begin, whatever is in the bucket. */
extern bool bank_gate_is_shut(const BankGate *gate, const BankGateTerms *terms,
							  int64_t now);

/*
 * Lets up to wanted sends begin and takes them from the bucket; returns how
 * many.  0 changes nothing.  With the circuit half open it is one, the probe.
 */
extern int	bank_gate_admit(BankGate *gate, const BankGateTerms *terms,
							int64_t now, int wanted);

/* Counts an outcome among the answers. */
extern void bank_gate_count(BankGateAnswers *answers,
							const BankBacenOutcome *outcome);

/* Takes note of answers; false where that changes nothing. */
extern bool bank_gate_note(BankGate *gate, const BankGateAnswers *answers,
						   int64_t now);

#endif
