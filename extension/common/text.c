/*
 * Strict readings of the texts that travel between the parts.
 *
 * Promises:  no result depends on locale or time zone; nothing is allocated.
 */
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Compares with a pattern: x is a hexadecimal digit, 9 a decimal one. */
static bool
matches(const char *text, const char *pattern)
{
	for (; *pattern != '\0'; text++, pattern++)
	{
		bool		ok = *text == *pattern;

		if (*pattern == '9')
			ok = is_digit(*text);
		else if (*pattern == 'x')
			ok = is_digit(*text) || (*text >= 'a' && *text <= 'f');
		if (!ok)
			return false;
	}
	return *text == '\0';
}

static int
two_digits(const char *text)
{
	return (text[0] - '0') * 10 + (text[1] - '0');
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool
bank_text_is_uuid(const char *text)
{
	return matches(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
}

bool
bank_text_is_time(const char *text)
{
	int			year;
	int			month;
	int			day;

	if (!matches(text, "9999-99-99T99:99:99.999999Z"))
		return false;
	year = two_digits(text) * 100 + two_digits(text + 2);
	month = two_digits(text + 5);
	day = two_digits(text + 8);
	return year > 0 && month >= 1 && month <= 12 &&
		day >= 1 && day <= days_of_month(year, month) &&
		two_digits(text + 11) < 24 && two_digits(text + 14) < 60 &&
		two_digits(text + 17) < 60;
}

bool
bank_text_to_int64(const char *text, int64_t *value)
{
	const char *digits = *text == '-' ? text + 1 : text;
	char	   *end;
	long long	number;

	if (!is_digit(*digits))
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0')
		return false;
	*value = number;
	return true;
}

bool
bank_text_copy(char *buffer, size_t size, const char *text)
{
	size_t		length = strlen(text);

	if (length >= size)
		return false;
	memcpy(buffer, text, length + 1);
	return true;
}
