/* Claims: read, left out, refused. */
#include "claims.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"

static BankClaims claims;

static void
refuse(const char *json, const char *name)
{
	tap_ok(!bank_claims_parse(json, &claims), name);
}

static void
test_long(void)
{
	char		json[400];
	char		sub[300];

	memset(sub, 'x', sizeof(sub));
	sub[255] = '\0';
	snprintf(json, sizeof(json), "{\"sub\":\"%s\"}", sub);
	tap_ok(bank_claims_parse(json, &claims) && strlen(claims.sub) == 255,
		   "the longest claim");
	sub[255] = 'x';
	sub[256] = '\0';
	snprintf(json, sizeof(json), "{\"sub\":\"%s\"}", sub);
	refuse(json, "one byte more");
}

int
main(void)
{
	tap_ok(bank_claims_parse("{\"sub\":\"ana\",\"customer_id\":\"c\",\"exp\":7}", &claims),
		   "an object");
	tap_is_text(claims.sub, "ana", "sub");
	tap_is_text(claims.customer_id, "c", "customer_id");
	tap_ok(bank_claims_parse("{\"customer_id\":null}", &claims) &&
		   claims.sub[0] == '\0' && claims.customer_id[0] == '\0',
		   "claims that are not there are empty");
	refuse("", "nothing");
	refuse("[]", "an array");
	refuse("{\"sub\":7}", "a number");
	refuse("{\"sub\":\"a\",\"sub\":\"b\"}", "a claim twice");
	refuse("{\"sub\":\"a\\u0000b\"}", "a NUL");
	test_long();
	return tap_done();
}
