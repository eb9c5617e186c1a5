/*
 * A record of a topic, read from its JSON into a struct.
 *
 * Pure: knows neither Kafka nor a database.  Fields it does not know are let
 * pass, since topics may grow some; a field that is missing, of another type
 * or out of range is a problem, never a guess.
 */
#ifndef BRIDGE_RECORD_H
#define BRIDGE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis.h"

/* What is wrong with a record, one line. */
typedef struct BridgeProblem
{
	char		text[160];
} BridgeProblem;

/* Value of a record of bank.transfers, as far as consumers need it. */
typedef struct BridgeTransfer
{
	char		transfer_id[BANK_UUID_SIZE];
	char		customer_id[BANK_UUID_SIZE];
	char		from_account[BANK_UUID_SIZE];
	char		to_account[BANK_UUID_SIZE];
	char		kind[16];
	char		currency[4];
	char		completed_at[BANK_TIME_SIZE];
	int64_t		amount;
	int32_t		epoch;
} BridgeTransfer;

/*
 * Reads the value of a record of bank.balances.  False, and *problem, where
 * it is no such value; *balance is then undefined.
 */
extern bool bridge_record_balance(const void *value, size_t length,
								  BankRedisBalance *balance,
								  BridgeProblem *problem);

/* The same for bank.transfers. */
extern bool bridge_record_transfer(const void *value, size_t length,
								   BridgeTransfer *transfer,
								   BridgeProblem *problem);

/* True where BACEN is told of a transfer of this kind. */
extern bool bridge_record_is_notified(const BridgeTransfer *transfer);

#endif
