/* Highest versions by account, up to the limit of memory. */
#include "versions.h"

#include <inttypes.h>

#include "tap.h"

static BridgeVersions versions;

static const char *
account(int number)
{
	static char text[40];

	snprintf(text, sizeof(text), "%08x-0000-4000-8000-%012x", number, number);
	return text;
}

static void
test_highest(void)
{
	tap_is_int(bridge_versions_highest(&versions, account(1)), 0,
			   "an empty table knows no account");
	bridge_versions_raise(&versions, account(1), 7);
	bridge_versions_raise(&versions, account(1), 5);
	tap_is_int(bridge_versions_highest(&versions, account(1)), 7,
			   "a lower version changes nothing");
	bridge_versions_raise(&versions, account(1), 9);
	tap_is_int(bridge_versions_highest(&versions, account(1)), 9,
			   "a higher one does");
	tap_is_int(bridge_versions_highest(&versions, account(2)), 0,
			   "another account is another");
}

static void
test_growth(void)
{
	bool		kept = true;

	for (int i = 2; i <= BRIDGE_VERSIONS_MAX; i++)
		kept = bridge_versions_raise(&versions, account(i), i) && kept;
	for (int i = 2; i <= BRIDGE_VERSIONS_MAX; i++)
		kept = bridge_versions_highest(&versions, account(i)) == i && kept;
	tap_ok(kept, "as many accounts as it may hold are found again");
	tap_ok(!bridge_versions_raise(&versions, account(0), 1),
		   "one more is refused");
	tap_ok(bridge_versions_raise(&versions, account(2), 100),
		   "a known one is not");
	tap_is_int(bridge_versions_highest(&versions, account(2)), 100,
			   "and is raised");
}

int
main(void)
{
	test_highest();
	test_growth();
	bridge_versions_free(&versions);
	tap_is_int(bridge_versions_highest(&versions, account(1)), 0,
			   "freed, it is empty");
	return tap_done();
}
