/* How long ago was written what is not yet confirmed. */
#include "lag.h"

#include "tap.h"

static void
test_follows(void)
{
	BridgeLag	lag = {0};

	tap_is_int(bridge_lag_note(&lag, 1000, 50, 50), 0, "all is confirmed");
	tap_is_int(bridge_lag_note(&lag, 2000, 60, 50), 0, "written just now");
	tap_is_int(bridge_lag_note(&lag, 7000, 70, 50), 5000, "and not confirmed since");
	tap_is_int(bridge_lag_note(&lag, 9000, 80, 60), 2000, "what was written later is left");
	tap_is_int(bridge_lag_note(&lag, 9500, 80, 80), 0, "nothing is");
}

static void
test_is_bounded(void)
{
	BridgeLag	lag = {0};
	int64_t		found = 0;

	for (int i = 0; i < 10 * BRIDGE_LAG_SAMPLES; i++)
		found = bridge_lag_note(&lag, 1000 * i, 100 + (uint64_t) i, 99);
	tap_is_int(found, 1000 * (10 * BRIDGE_LAG_SAMPLES - 1), "the oldest is not forgotten");
	tap_ok(lag.count <= BRIDGE_LAG_SAMPLES, "nor is more kept than there is room for");
}

int
main(void)
{
	test_follows();
	test_is_bounded();
	return tap_done();
}
