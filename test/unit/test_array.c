/* Text of PostgreSQL arrays. */
#include "array.h"

#include "tap.h"

int
main(void)
{
	BridgeArray array = {0};
	char		longer[5000];

	bridge_array_reset(&array);
	tap_is_text(bridge_array_finish(&array), "{}", "empty");

	bridge_array_reset(&array);
	bridge_array_add(&array, "a");
	bridge_array_add(&array, "");
	bridge_array_add(&array, NULL);
	bridge_array_add_int64(&array, INT64_MIN);
	tap_is_text(bridge_array_finish(&array), "{a,NULL,NULL,-9223372036854775808}",
				"words, nulls and a number");

	bridge_array_reset(&array);
	bridge_array_add_quoted(&array, "a \"b\" \\ {c,d}");
	bridge_array_add_quoted(&array, "");
	bridge_array_add_quoted(&array, NULL);
	tap_is_text(bridge_array_finish(&array),
				"{\"a \\\"b\\\" \\\\ {c,d}\",\"\",NULL}", "quoted texts");

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	bridge_array_reset(&array);
	bridge_array_add(&array, longer);
	bridge_array_add(&array, longer);
	tap_is_int((int64_t) strlen(bridge_array_finish(&array)),
			   2 * (int64_t) strlen(longer) + 3, "grows");
	bridge_array_free(&array);
	tap_ok(array.text == NULL && array.size == 0, "freed");
	return tap_done();
}
