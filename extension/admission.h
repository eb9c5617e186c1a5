/*
 * The row bank_report.gate, shared by the retry and bank-bridge report: how
 * many sends to BACEN may begin, and what its answers say of it.
 *
 * Both functions work within SPI and lock the row until the next commit, and
 * only where it limits or changes.  Who also locks notifications calls them
 * first.
 */
#ifndef BANK_ADMISSION_H
#define BANK_ADMISSION_H

#include "gate.h"

typedef struct BankAdmission
{
	int			admitted;
	bool		is_shut;		/* none, and none for some time to come */
} BankAdmission;

/* Takes leave for up to wanted sends. */
extern BankAdmission bank_admission_take(int wanted);

/* Takes note of answers. */
extern void bank_admission_note(const BankGateAnswers *answers);

#endif
