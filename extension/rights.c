/*
 * On whose behalf a call is made, and what he may beyond calling it.
 *
 * Superusers and members of bank_operator may all that a function does.
 * Anybody else is a customer, known by the claim customer_id of his token; a
 * claim counts only in sessions of bank.authenticator, since everybody can set
 * request.jwt.claims in his own.
 *
 * Raises: LG001 for what a customer may not know; 42501 where there is no
 * claim, or a customer asks for what only an operator may; 22023 for claims
 * that are not understood.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/uuid.h"

#include "account.h"
#include "bank.h"
#include "claims.h"
#include "rights.h"

#define OPERATOR_ROLE "bank_operator"

/* The claims of a web client; none where nobody vouches for them. */
static BankClaims
read_claims(void)
{
	BankClaims	claims = {{0}};
	const char *text;

	if (strcmp(GetUserNameFromId(GetSessionUserId(), false), bank_authenticator) != 0)
		return claims;
	text = GetConfigOption("request.jwt.claims", true, false);

	if (text == NULL || *text == '\0')
		return claims;
	if (!bank_claims_parse(text, &claims))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("request.jwt.claims is not understood"),
				 errhint("Its sub and customer_id are texts of at most %d bytes.",
						 BANK_CLAIM_SIZE - 1)));
	return claims;
}

/*
 * Who called, as the journal keeps it: the role and, of a web client, a slash
 * and his claim sub.  Inside SECURITY DEFINER functions the current user is
 * their owner, so the outer one is asked.
 */
const char *
bank_rights_actor(void)
{
	const char *role = GetUserNameFromId(GetOuterUserId(), false);
	BankClaims	claims = read_claims();

	return claims.sub[0] == '\0' ? role : psprintf("%s/%s", role, claims.sub);
}

static bool
is_operator(void)
{
	Oid			role = get_role_oid(OPERATOR_ROLE, true);

	return superuser_arg(GetOuterUserId()) ||
		(OidIsValid(role) && has_privs_of_role(GetOuterUserId(), role));
}

/*
 * Returns where the caller is an operator, or a claim says whose accounts he
 * may use.  To be asked before any is looked for, so that nobody else learns
 * which there are.
 */
void
bank_rights_require_known(void)
{
	BankClaims	claims;

	if (is_operator())
		return;
	claims = read_claims();
	if (claims.customer_id[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for accounts"),
				 errdetail("Role \"%s\" is no operator, and no claim says whose accounts it may use.",
						   GetUserNameFromId(GetOuterUserId(), false)),
				 errhint("Ask an operator, or for a token with the claim customer_id.")));
}

/*
 * Returns where the account is the caller's, who is known, or he is an
 * operator.  To anybody else there is no such account.
 */
void
bank_rights_require_own(const BankAccount *account)
{
	BankClaims	claims;

	if (is_operator())
		return;
	claims = read_claims();
	if (pg_strcasecmp(claims.customer_id, bank_uuid_text(&account->customer_id)) != 0)
		bank_account_raise_not_found(&account->account_id);
}

/* Raises 42501 unless an operator calls. */
void
bank_rights_require_operator(const char *act)
{
	if (!is_operator())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s", act),
				 errhint("Ask an operator.")));
}
