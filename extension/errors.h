/*
 * Our SQLSTATEs, class LG, and those errors that several files raise.
 * README.md says when each is raised and which HTTP status it becomes.
 */
#ifndef BANK_ERRORS_H
#define BANK_ERRORS_H

#include "utils/elog.h"

#include "compat.h"

#define BANK_ERRCODE_ACCOUNT_NOT_FOUND		MAKE_SQLSTATE('L','G','0','0','1')
#define BANK_ERRCODE_CUSTOMER_NOT_FOUND		MAKE_SQLSTATE('L','G','0','0','2')
#define BANK_ERRCODE_CUSTOMER_NOT_ACTIVE	MAKE_SQLSTATE('L','G','0','0','3')
#define BANK_ERRCODE_ACCOUNT_INACTIVE		MAKE_SQLSTATE('L','G','0','0','4')
#define BANK_ERRCODE_INSUFFICIENT_FUNDS		MAKE_SQLSTATE('L','G','0','0','5')
#define BANK_ERRCODE_DIFFERENT_HOLDERS		MAKE_SQLSTATE('L','G','0','0','6')
#define BANK_ERRCODE_CURRENCY_MISMATCH		MAKE_SQLSTATE('L','G','0','0','7')
#define BANK_ERRCODE_KEY_REUSED				MAKE_SQLSTATE('L','G','0','0','8')
#define BANK_ERRCODE_TRANSACTION_IN_PROGRESS	MAKE_SQLSTATE('L','G','0','0','9')
#define BANK_ERRCODE_ACCOUNT_NOT_EMPTY		MAKE_SQLSTATE('L','G','0','1','0')
#define BANK_ERRCODE_CUSTOMER_API_UNAVAILABLE	MAKE_SQLSTATE('L','G','0','1','1')
#define BANK_ERRCODE_LIMIT_EXCEEDED			MAKE_SQLSTATE('L','G','0','1','2')
#define BANK_ERRCODE_CUSTOMER_CLOSING		MAKE_SQLSTATE('L','G','0','1','3')
#define BANK_ERRCODE_BALANCE_NOT_VISIBLE	MAKE_SQLSTATE('L','G','0','1','4')
#define BANK_ERRCODE_HOLD_NOT_PENDING		MAKE_SQLSTATE('L','G','0','1','5')
#define BANK_ERRCODE_TRANSFER_NOT_FOUND		MAKE_SQLSTATE('L','G','0','1','6')
#define BANK_ERRCODE_NOT_REVERSIBLE			MAKE_SQLSTATE('L','G','0','1','7')
#define BANK_ERRCODE_NO_LEDGER				MAKE_SQLSTATE('L','G','0','1','9')
#define BANK_ERRCODE_CLOCK_BEHIND			MAKE_SQLSTATE('L','G','0','2','0')

extern void bank_errors_raise_in_progress(const char *detail)
			pg_attribute_noreturn();
extern void bank_errors_raise_key_reused(const char *detail)
			pg_attribute_noreturn();
extern void bank_errors_raise_changed(const char *detail)
			pg_attribute_noreturn();
extern void bank_errors_raise_no_ledger(const char *detail)
			pg_attribute_noreturn();

#endif
