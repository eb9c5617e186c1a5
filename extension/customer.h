/*
 * What the ledger knows of a customer, and the lock that keeps a creation and
 * an inactivation apart.
 */
#ifndef BANK_CUSTOMER_H
#define BANK_CUSTOMER_H

#include "utils/uuid.h"

#include "relation.h"

typedef struct BankCustomer
{
	pg_uuid_t	customer_id;
	bool		is_known;		/* has a row */
	bool		is_closing;
	BankRelation table;
	ItemPointerData place;		/* of the row, where he has one */
} BankCustomer;

extern void bank_customer_lock(const pg_uuid_t *customer_id);
extern bool bank_customer_try_lock(const pg_uuid_t *customer_id);
extern void bank_customer_open(BankCustomer *customer, const pg_uuid_t *id,
							   BankOpenMode mode);
extern void bank_customer_close(BankCustomer *customer);
extern void bank_customer_make_known(BankCustomer *customer);
extern void bank_customer_set_closing(BankCustomer *customer, bool is_closing);

#endif
