/*
 * On whose behalf a call is made, and what he may.
 */
#ifndef BANK_RIGHTS_H
#define BANK_RIGHTS_H

#include "ledger.h"

extern const char *bank_rights_actor(void);
extern void bank_rights_require_known(void);
extern void bank_rights_require_own(const BankAccount *account);
extern void bank_rights_require_operator(const char *act);

#endif
