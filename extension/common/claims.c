/*
 * Claims out of the JSON in which PostgREST hands them on.
 *
 * Memory: what jansson allocates is given back before the return.
 */
#include "claims.h"

#include <string.h>

#include <jansson.h>

static bool
copy_claim(const json_t *object, const char *name, char *text)
{
	const json_t *claim = json_object_get(object, name);
	size_t		length = json_string_length(claim);

	if (claim == NULL || json_is_null(claim))
		return true;
	if (!json_is_string(claim) || length >= BANK_CLAIM_SIZE ||
		length != strlen(json_string_value(claim)))
		return false;
	memcpy(text, json_string_value(claim), length + 1);
	return true;
}

bool
bank_claims_parse(const char *json, BankClaims *claims)
{
	json_t	   *object = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
	bool		is_understood;

	memset(claims, 0, sizeof(*claims));
	is_understood = json_is_object(object) &&
		copy_claim(object, "sub", claims->sub) &&
		copy_claim(object, "customer_id", claims->customer_id);
	json_decref(object);
	return is_understood;
}
