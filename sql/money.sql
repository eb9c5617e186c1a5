-- Currencies, and amounts for people to read.

CREATE FUNCTION bank_ledger.currencies(OUT code text, OUT exponent integer)
RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 170 AS 'MODULE_PATHNAME', 'bank_currencies';
COMMENT ON FUNCTION bank_ledger.currencies() IS
'The currencies the ledger knows, and what bank.currency shows.';

CREATE VIEW bank.currency WITH (security_invoker = true) AS
SELECT c.code, c.exponent FROM bank_ledger.currencies() AS c;
COMMENT ON VIEW bank.currency IS 'Currencies of ISO 4217: every code in use that has minor units.';
COMMENT ON COLUMN bank.currency.code IS 'Three capital letters, such as BRL.';
COMMENT ON COLUMN bank.currency.exponent IS 'Number of decimals: 1050 minor units are 10.50 at exponent 2, 1050 at 0 and 1.050 at 3.';

CREATE FUNCTION bank.format_amount(amount bigint, currency text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'bank_format_amount';
COMMENT ON FUNCTION bank.format_amount(bigint, text) IS
'Minor units as people read them: 1050 of BRL are "10.50 BRL". Exact for every amount; null where an argument is. Raises 22023.';
