/*
 * Currencies of ISO 4217, list one: every code in use that has minor units,
 * funds codes among them, with its number of decimals.  Codes without them
 * (precious metals, XDR, the test code) are left out: no amount can be told.
 */
#include "currency.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CODE_LENGTH (BANK_CURRENCY_SIZE - 1)

/* Codes by number of decimals, each three letters and a blank. */
static const char *const codes_by_exponent[] = {
	"BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ",
	"",
	"AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD "
	"BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP "
	"DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
	"IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL "
	"MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR "
	"NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
	"SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD "
	"USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG ",
	"BHD IQD JOD KWD LYD OMR TND ",
	"CLF UYW ",
};

#define EXPONENTS ((int) (sizeof(codes_by_exponent) / sizeof(codes_by_exponent[0])))

static bool
lists(const char *codes, const char *code)
{
	for (; *codes != '\0'; codes += CODE_LENGTH + 1)
		if (memcmp(codes, code, CODE_LENGTH) == 0)
			return true;
	return false;
}

/*
 * Gives the number of decimals of a currency; false when the code, which must
 * be exactly three capital letters, is none.
 */
bool
bank_currency_exponent(const char *code, int *exponent)
{
	if (strlen(code) != CODE_LENGTH)
		return false;
	for (int i = 0; i < EXPONENTS; i++)
		if (lists(codes_by_exponent[i], code))
		{
			*exponent = i;
			return true;
		}
	return false;
}

/*
 * Gives the code and the decimals of the currency in that place, from 0 on;
 * false beyond the last.
 */
bool
bank_currency_at(int place, char code[BANK_CURRENCY_SIZE], int *exponent)
{
	for (int i = 0; i < EXPONENTS; i++)
	{
		int			count = (int) strlen(codes_by_exponent[i]) / (CODE_LENGTH + 1);

		if (place < count)
		{
			memcpy(code, codes_by_exponent[i] + place * (CODE_LENGTH + 1), CODE_LENGTH);
			code[CODE_LENGTH] = '\0';
			*exponent = i;
			return true;
		}
		place -= count;
	}
	return false;
}

static uint64_t
power_of_ten(int exponent)
{
	uint64_t	power = 1;

	while (exponent-- > 0)
		power *= 10;
	return power;
}

/*
 * Writes minor units as a decimal number: 1050 BRL is 10.50.  False when the
 * code is no currency or the text does not fit.
 */
bool
bank_currency_format(const char *code, int64_t minor_units, char *text,
					 size_t size)
{
	uint64_t	units = minor_units < 0 ? -(uint64_t) minor_units : (uint64_t) minor_units;
	const char *sign = minor_units < 0 ? "-" : "";
	uint64_t	scale;
	int			exponent;
	int			length;

	if (!bank_currency_exponent(code, &exponent))
		return false;
	scale = power_of_ten(exponent);
	if (exponent == 0)
		length = snprintf(text, size, "%s%" PRIu64, sign, units);
	else
		length = snprintf(text, size, "%s%" PRIu64 ".%0*" PRIu64, sign,
						  units / scale, exponent, units % scale);
	return length > 0 && (size_t) length < size;
}
