/*
 * Money as decimal text: the exponent of its currency decides the point.
 */
#include "currency.h"

#include "tap.h"

static void
check_exponent(const char *code, int expected)
{
	int			exponent = -1;

	if (!bank_currency_exponent(code, &exponent))
		exponent = -1;
	tap_is_int(exponent, expected, code);
}

static void
check_format(const char *code, int64_t units, const char *expected)
{
	char		text[BANK_CURRENCY_TEXT_SIZE];

	if (tap_ok(bank_currency_format(code, units, text, sizeof(text)), expected))
		tap_is_text(text, expected, expected);
}

static void
check_refusals(void)
{
	char		text[BANK_CURRENCY_TEXT_SIZE];

	check_exponent("brl", -1);
	check_exponent("", -1);
	check_exponent("BR", -1);
	check_exponent("BRLX", -1);
	check_exponent("QQQ", -1);
	check_exponent("L B", -1);
	tap_ok(!bank_currency_format("QQQ", 1, text, sizeof(text)),
		   "an unknown currency is not written");
	tap_ok(!bank_currency_format("BRL", 1050, text, 5),
		   "a text that does not fit is not written");
	tap_ok(bank_currency_format("BRL", 1050, text, 6), "one that just fits is");
}

/* Every place has a code that is one, and each code has one place. */
static void
check_list(void)
{
	char		seen[1024] = "";
	char		code[BANK_CURRENCY_SIZE];
	int			listed;
	int			exponent;
	int			count = 0;
	int			wrong = 0;

	while (bank_currency_at(count, code, &listed))
	{
		if (!bank_currency_exponent(code, &exponent) || exponent != listed ||
			strstr(seen, code) != NULL)
			wrong++;
		snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s ", code);
		count++;
	}
	tap_is_int(wrong, 0, "every code of the list is found, once");
	tap_is_int(count, 165, "the list ends");
}

int
main(void)
{
	check_exponent("BRL", 2);
	check_exponent("JPY", 0);
	check_exponent("KWD", 3);
	check_exponent("CLF", 4);
	check_exponent("XAU", -1);
	check_list();
	check_refusals();
	check_format("BRL", 1050, "10.50");
	check_format("BRL", -5, "-0.05");
	check_format("BRL", 0, "0.00");
	check_format("BRL", INT64_C(9007199254740991), "90071992547409.91");
	check_format("BRL", INT64_MIN, "-92233720368547758.08");
	check_format("JPY", 1050, "1050");
	check_format("JPY", -1, "-1");
	check_format("KWD", 1050, "1.050");
	check_format("KWD", -1, "-0.001");
	check_format("CLF", 1050, "0.1050");
	return tap_done();
}
