/* Strict readings of uuids, times and integers. */
#include "text.h"

#include "tap.h"

static void
test_uuid(void)
{
	tap_ok(bank_text_is_uuid("0192f0c1-2345-7abc-8def-0123456789ab"), "uuid");
	tap_ok(!bank_text_is_uuid("0192F0C1-2345-7abc-8def-0123456789ab"),
		   "upper case is no canonical uuid");
	tap_ok(!bank_text_is_uuid("0192f0c1-2345-7abc-8def-0123456789a"),
		   "too short");
	tap_ok(!bank_text_is_uuid("0192f0c1-2345-7abc-8def-0123456789abc"),
		   "too long");
	tap_ok(!bank_text_is_uuid("0192f0c1+2345-7abc-8def-0123456789ab"),
		   "another separator");
	tap_ok(!bank_text_is_uuid(""), "empty uuid");
}

static void
test_time(void)
{
	tap_ok(bank_text_is_time("2026-02-28T23:59:59.999999Z"), "time");
	tap_ok(bank_text_is_time("2024-02-29T00:00:00.000000Z"), "leap day");
	tap_ok(bank_text_is_time("2000-02-29T00:00:00.000000Z"),
		   "leap day of a century that has one");
	tap_ok(!bank_text_is_time("2026-02-29T00:00:00.000000Z"), "no leap year");
	tap_ok(!bank_text_is_time("2100-02-29T00:00:00.000000Z"),
		   "no leap year at a century");
	tap_ok(!bank_text_is_time("2026-04-31T00:00:00.000000Z"), "day 31 of 30");
	tap_ok(!bank_text_is_time("2026-13-01T00:00:00.000000Z"), "month 13");
	tap_ok(!bank_text_is_time("2026-00-01T00:00:00.000000Z"), "month 0");
	tap_ok(!bank_text_is_time("0000-01-01T00:00:00.000000Z"), "year 0");
	tap_ok(!bank_text_is_time("2026-01-01T24:00:00.000000Z"), "hour 24");
	tap_ok(!bank_text_is_time("2026-01-01T00:60:00.000000Z"), "minute 60");
	tap_ok(!bank_text_is_time("2026-01-01T00:00:60.000000Z"), "second 60");
	tap_ok(!bank_text_is_time("2026-01-01T00:00:00.000Z"), "three decimals");
	tap_ok(!bank_text_is_time("2026-01-01T00:00:00.000000"), "no zone");
	tap_ok(!bank_text_is_time("2026-01-01 00:00:00.000000Z"), "a blank for T");
	tap_ok(!bank_text_is_time("2026-01-01T00:00:00.000000Z "), "a blank after");
	tap_ok(!bank_text_is_time(""), "empty time");
}

static void
refuse_integer(const char *text, const char *name)
{
	int64_t		value = 42;

	tap_ok(!bank_text_to_int64(text, &value) && value == 42, name);
}

static void
test_integer(void)
{
	int64_t		value = 0;

	tap_ok(bank_text_to_int64("0", &value) && value == 0, "zero");
	tap_ok(bank_text_to_int64("-9007199254740991", &value) &&
		   value == -INT64_C(9007199254740991), "negative");
	tap_ok(bank_text_to_int64("9223372036854775807", &value) &&
		   value == INT64_MAX, "largest");
	refuse_integer("9223372036854775808", "beyond the largest");
	refuse_integer("", "empty");
	refuse_integer("-", "sign alone");
	refuse_integer("+1", "plus");
	refuse_integer(" 1", "blank before");
	refuse_integer("1 ", "blank after");
	refuse_integer("1.0", "decimal");
	refuse_integer("0x10", "hexadecimal");
}

static void
test_copy(void)
{
	char		buffer[4] = "?";

	tap_ok(bank_text_copy(buffer, sizeof(buffer), "abc"), "fits");
	tap_is_text(buffer, "abc", "copied");
	tap_ok(!bank_text_copy(buffer, sizeof(buffer), "abcd"), "does not fit");
}

int
main(void)
{
	test_uuid();
	test_time();
	test_integer();
	test_copy();
	return tap_done();
}
