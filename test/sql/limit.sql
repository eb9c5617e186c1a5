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

SELECT version, kind, amount, due_at > occurred_at AS later
FROM bank_ledger.account_event WHERE account_id = :a AND kind = 'limit_set' ORDER BY version;
SET client_min_messages = warning;
SELECT count(*) FROM bank.verify();
