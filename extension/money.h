/*
 * Currencies as callers name them.
 */
#ifndef BANK_MONEY_H
#define BANK_MONEY_H

extern void bank_money_require_currency(const char *currency);

#endif
