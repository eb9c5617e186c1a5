-- Money moves: in, between accounts of one holder, and out.
\set customer '''c0000000-0000-4000-8000-000000000010'''
\set a '''a0000000-0000-4000-8000-000000000010'''
\set b '''b0000000-0000-4000-8000-000000000010'''
\set usd '''d0000000-0000-4000-8000-000000000010'''
\set foreign '''f0000000-0000-4000-8000-000000000010'''
\set key1 '''e0000000-0000-4000-8000-000000000001'''
\set key2 '''e0000000-0000-4000-8000-000000000002'''
\set key3 '''e0000000-0000-4000-8000-000000000003'''
\set key9 '''e0000000-0000-4000-8000-000000000009'''

-- which of the settlement accounts is taken, and what was on it, is chance
CREATE VIEW posted AS
SELECT row_number() OVER (ORDER BY completed_at), kind, amount, currency,
       CASE WHEN kind <> 'deposit' THEN from_version END AS from_version,
       CASE WHEN kind <> 'withdrawal' THEN to_version END AS to_version,
       CASE WHEN kind <> 'deposit' THEN from_balance END AS from_balance,
       CASE WHEN kind <> 'withdrawal' THEN to_balance END AS to_balance,
       from_held, to_held
FROM bank_ledger.transfer WHERE customer_id = :customer;

SELECT currency FROM bank.create_account(:customer, 'BRL', :a);
SELECT currency FROM bank.create_account(:customer, 'BRL', :b);
SELECT currency FROM bank.create_account(:customer, 'USD', :usd);
SELECT currency FROM bank.create_account('c0000000-0000-4000-8000-000000000011', 'BRL', :foreign);

SELECT kind, customer_id, to_account, amount, currency, to_version, to_balance, to_held
FROM bank.deposit(:a, 1000, :key1);
SELECT kind, customer_id, from_account, to_account, amount, currency,
       from_version, to_version, from_balance, to_balance
FROM bank.transfer(:a, :b, 250, :key2);
SELECT kind, customer_id, from_account, amount, from_version, from_balance
FROM bank.withdraw(:b, 50, :key3);

-- repeated: the same rows, nothing posted
SELECT kind, to_balance FROM bank.deposit(:a, 1000, :key1);
SELECT kind, from_balance, to_balance FROM bank.transfer(:a, :b, 250, :key2);
SELECT kind, from_balance FROM bank.withdraw(:b, 50, :key3);
SELECT * FROM posted;

-- a key that names something else
SELECT bank.transfer(:a, :b, 251, :key2);
SELECT bank.transfer(:b, :a, 250, :key2);
SELECT bank.deposit(:a, 1000, :key2);
SELECT bank.deposit(:b, 1000, :key1);
SELECT bank.withdraw(:b, 50, :key1);

-- refusals
SELECT bank.transfer(:a, :b, 751);
SELECT bank.withdraw(:a, 751);
SELECT bank.transfer(:a, :foreign, 1);
SELECT bank.transfer(:a, :usd, 1);
SELECT bank.transfer(:a, 'a0000000-0000-4000-8000-00000000ffff', 1);
SELECT bank.transfer('a0000000-0000-4000-8000-00000000ffff', :b, 1);
SELECT bank.deposit('a0000000-0000-4000-8000-00000000ffff', 1);

-- settlement is not the caller's to name
DO $$
DECLARE
    settlement uuid;
BEGIN
    SELECT account_id INTO settlement FROM bank_ledger.account WHERE kind = 'settlement' LIMIT 1;
    PERFORM bank.transfer('a0000000-0000-4000-8000-000000000010', settlement, 1);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END
$$;

-- arguments
SELECT bank.transfer(:a, :b, 0);
SELECT bank.transfer(:a, :b, -1);
SELECT bank.transfer(:a, :a, 1);
SELECT bank.transfer(NULL, :b, 1);
SELECT bank.transfer(:a, NULL, 1);
SELECT bank.transfer(:a, :b, NULL);
SELECT bank.transfer(:a, :b, 9007199254740992);
SELECT bank.deposit(:a, 9223372036854775807);
SELECT bank.deposit(:a, 0);
SELECT bank.deposit(NULL, 1);
SELECT bank.withdraw(:a, NULL);
SELECT bank.withdraw(:a, -1);

-- no refusal changed anything
SELECT * FROM posted;
SELECT account_id, balance, version FROM bank_ledger.account
WHERE customer_id = :customer ORDER BY account_id;
-- and a refused key is free
SELECT bank.transfer(:a, :b, 751, :key9);
SELECT amount FROM bank.transfer(:a, :b, 1, :key9);

-- several in one statement and one transaction
SELECT sum(t.amount), max(t.from_version) FROM generate_series(1, 5), bank.transfer(:a, :b, generate_series) AS t;
BEGIN;
SELECT amount FROM bank.transfer(:b, :a, 2);
SAVEPOINT before;
SELECT amount FROM bank.transfer(:b, :a, 3);
ROLLBACK TO before;
SELECT amount FROM bank.transfer(:b, :a, 4);
COMMIT;
SELECT account_id, balance, version FROM bank_ledger.account
WHERE customer_id = :customer ORDER BY account_id;

-- the largest balance, and settlement that has room elsewhere
SELECT currency FROM bank.create_account(:customer, 'JPY', 'a0000000-0000-4000-8000-000000000012');
SELECT currency FROM bank.create_account(:customer, 'JPY', 'a0000000-0000-4000-8000-000000000013');
SELECT to_balance FROM bank.deposit('a0000000-0000-4000-8000-000000000012', 9007199254740991);
SELECT bank.deposit('a0000000-0000-4000-8000-000000000012', 1);
SELECT to_balance FROM bank.deposit('a0000000-0000-4000-8000-000000000013', 1);
SELECT bank.transfer('a0000000-0000-4000-8000-000000000013', 'a0000000-0000-4000-8000-000000000012', 1);
SELECT from_balance FROM bank.withdraw('a0000000-0000-4000-8000-000000000012', 9007199254740991);

-- sixteen settlement accounts at most, in balance with the customers
SELECT count(*) BETWEEN 1 AND 16 AS some, bool_and(customer_id IS NULL) AS of_nobody
FROM bank_ledger.account WHERE kind = 'settlement' AND currency = 'BRL';

-- the journal refuses what is not an insert
UPDATE bank_ledger.transfer SET amount = 1;
DELETE FROM bank_ledger.transfer;
TRUNCATE bank_ledger.transfer;
UPDATE bank_ledger.account_event SET balance = 1;
DELETE FROM bank_ledger.account_event;
TRUNCATE bank_ledger.account_event;

DROP VIEW posted;
SET client_min_messages = warning;
SELECT * FROM bank.verify();
