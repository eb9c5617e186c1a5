/*
 * The only row of a table, kept by a backend between calls.
 */
#ifndef BANK_KEPT_H
#define BANK_KEPT_H

#include "relation.h"

typedef struct BankKept
{
	const BankShape *shape;
	BankRowCallback take;		/* takes what is kept, into value */
	void	   *value;

	/* the rest is kept.c's */
	bool		is_known;		/* value is what the row says */
	Oid			relation_id;
	uint64		changes;		/* that were told of */
	struct BankKept *next;
} BankKept;

extern bool bank_kept_find(BankKept *kept, BankOpenMode mode);

#endif
