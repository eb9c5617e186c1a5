/*
 * What may be null in a table.
 */
#ifndef BANK_OPTIONAL_H
#define BANK_OPTIONAL_H

#include "utils/date.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

typedef struct BankOptionalUuid
{
	bool		is_set;
	pg_uuid_t	value;
} BankOptionalUuid;

typedef struct BankOptionalAmount
{
	bool		is_set;
	int64		value;
} BankOptionalAmount;

typedef struct BankOptionalTime
{
	bool		is_set;
	TimestampTz value;
} BankOptionalTime;

typedef struct BankOptionalDate
{
	bool		is_set;
	DateADT		value;
} BankOptionalDate;

static inline bool
bank_optional_uuid_equal(const BankOptionalUuid *a, const BankOptionalUuid *b)
{
	return a->is_set == b->is_set &&
		(!a->is_set || memcmp(&a->value, &b->value, UUID_LEN) == 0);
}

static inline bool
bank_optional_amount_equal(const BankOptionalAmount *a, const BankOptionalAmount *b)
{
	return a->is_set == b->is_set && (!a->is_set || a->value == b->value);
}

static inline bool
bank_optional_time_equal(const BankOptionalTime *a, const BankOptionalTime *b)
{
	return a->is_set == b->is_set && (!a->is_set || a->value == b->value);
}

#endif
