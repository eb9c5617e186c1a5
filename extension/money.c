/*
 * Currencies and amounts for those who read SQL: which there are, and what a
 * number of minor units is in words.
 *
 * Raises:    22023 for a code that is no currency.
 * Not here:  the list itself, which the bridge shares (common/currency.c).
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "bank.h"
#include "currency.h"
#include "money.h"

PG_FUNCTION_INFO_V1(bank_currencies);
PG_FUNCTION_INFO_V1(bank_format_amount);

static void
raise_unknown_currency(const char *currency)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown currency \"%.16s\"", currency),
			 errhint("Give an ISO 4217 code of three capital letters, such as BRL.")));
}

/* Raises 22023 unless the code is one of bank.currency. */
void
bank_money_require_currency(const char *currency)
{
	int			exponent;

	if (!bank_currency_exponent(currency, &exponent))
		raise_unknown_currency(currency);
}

/* currencies() returns (code, exponent) of every currency. */
Datum
bank_currencies(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char		code[BANK_CURRENCY_SIZE];
	int			exponent;

	InitMaterializedSRF(fcinfo, 0);
	for (int place = 0; bank_currency_at(place, code, &exponent); place++)
	{
		Datum		values[] = {CStringGetTextDatum(code), Int32GetDatum(exponent)};
		bool		nulls[lengthof(values)] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* format_amount(amount, currency): 1050 of BRL are "10.50 BRL". */
Datum
bank_format_amount(PG_FUNCTION_ARGS)
{
	char	   *currency = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char		number[BANK_CURRENCY_TEXT_SIZE];

	if (!bank_currency_format(currency, PG_GETARG_INT64(0), number, sizeof(number)))
		raise_unknown_currency(currency);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s %s", number, currency)));
}
