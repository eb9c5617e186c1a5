-- Daily limits: gross debits of a local day.
\set VERBOSITY terse
\set customer '''c0000000-0000-4000-8000-000000000056'''
\set a '''a0000000-0000-4000-8000-000000000056'''
\set b '''b0000000-0000-4000-8000-000000000056'''

SELECT currency FROM bank.create_account(:customer, 'BRL', :a);
SELECT currency FROM bank.create_account(:customer, 'BRL', :b);
SELECT to_balance FROM bank.deposit(:a, 10000);

-- what was paid before there was a limit counts
SELECT amount FROM bank.transfer(:a, :b, 100);
SELECT daily_amount, spent, next_amount FROM bank.set_limit(:a, 1000);
SELECT bank.transfer(:a, :b, 901);
SELECT amount FROM bank.transfer(:a, :b, 400);
SELECT amount FROM bank.withdraw(:a, 300);
SELECT bank.hold(:a, :b, 201, 'infinity');
SELECT held FROM bank.hold(:a, :b, 200, 'infinity', 'e0000000-0000-4000-8000-000000000081');
SELECT bank.withdraw(:a, 1);

-- a hold gives back what it releases, a reversal does not, and counts nothing
SELECT amount FROM bank.post_hold('e0000000-0000-4000-8000-000000000081', 150);
SELECT bank.withdraw(:a, 51);
SELECT amount FROM bank.withdraw(:a, 50, 'e0000000-0000-4000-8000-000000000082');
SELECT amount FROM bank.reverse('e0000000-0000-4000-8000-000000000082');
SELECT bank.withdraw(:a, 1);
SELECT result FROM bank.transfer_batch(ARRAY[:a, :b]::uuid[], ARRAY[:b, :a]::uuid[], ARRAY[1, 1]);

-- lower at once; higher, or none, from the next local day
SELECT daily_amount, spent, next_amount, next_day FROM bank.set_limit(:a, 10);
SELECT daily_amount, spent, next_amount, next_day - spent_day AS days FROM bank.set_limit(:a, 5000);
SELECT daily_amount, spent, next_amount, next_day - spent_day AS days FROM bank.set_limit(:a, NULL);
SELECT bank.withdraw(:a, 1);
SELECT daily_amount, spent, next_amount, next_day FROM bank.set_limit(:a, 10);

-- a day's debits are a number too
BEGIN;
UPDATE bank_ledger.account SET spent = 9223372036854775807 - 5 WHERE account_id = :b;
SELECT amount FROM bank.withdraw(:b, 5);
SELECT result FROM bank.transfer_batch(ARRAY[:b]::uuid[], ARRAY[:a]::uuid[], ARRAY[1]);
SAVEPOINT one;
SELECT bank.hold(:b, :a, 1, 'infinity');
ROLLBACK TO one;
UPDATE bank_ledger.account SET spent_day = spent_day - 1 WHERE account_id = :b;
SELECT amount FROM bank.withdraw(:b, 6);
ROLLBACK;

-- what has expired ends first, and is given back
SELECT clock_timestamp() + interval '1 s' AS soon \gset
SELECT held FROM bank.hold(:b, :a, 30, :'soon');
SELECT pg_sleep_until(:'soon'::timestamptz + interval '1 ms');
SELECT daily_amount, spent FROM bank.set_limit(:b, 1000);
SELECT kind, held FROM bank_ledger.account_event WHERE account_id = :b ORDER BY version;

SELECT version, kind, amount, due_at > occurred_at AS later
FROM bank_ledger.account_event WHERE account_id = :a AND kind = 'limit_set' ORDER BY version;
SET client_min_messages = warning;
SELECT count(*) FROM bank.verify();
