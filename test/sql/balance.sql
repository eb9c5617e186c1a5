-- Balances: from Redis, else from the search database, which repairs Redis.
SELECT gen_random_uuid() AS account \gset
\c bank_search
INSERT INTO bank_search.balance
VALUES (:'account', 'c0000000-0000-4000-8000-000000000001', 'BRL', 1050, 50, 'active', 1, 3,
        '2026-01-31 12:00:00.000001+00');
-- the database of the read model answers too
SELECT balance, held, version, source FROM bank.balance(:'account');
\c bank

-- Redis was repaired
SELECT account_id = :'account' AS asked, customer_id, currency, status, balance, held, version,
       updated_at, epoch, source
FROM bank.balance(:'account');

-- at least this version: what Redis has is passed over where it is older
SELECT version, source FROM bank.balance(:'account', 3);
\set VERBOSITY sqlstate
SELECT bank.balance(:'account', 4);
\c bank_search
UPDATE bank_search.balance SET version = 5, balance = 7 WHERE account_id = :'account';
\c bank
SELECT version, balance, source FROM bank.balance(:'account', 3);
SELECT version, balance, source FROM bank.balance(:'account', 4);
SELECT version, balance, source FROM bank.balance(:'account', 4);

-- an older row never replaces what Redis has
\c bank_search
UPDATE bank_search.balance SET version = 4, balance = 6 WHERE account_id = :'account';
\c bank
\set VERBOSITY sqlstate
SELECT bank.balance(:'account', 6);
SELECT version, balance, source FROM bank.balance(:'account', 5);

-- garbage in Redis counts as nothing, and is repaired
\setenv KEY bank:balance::account
\! redis-cli -u "$BANK_REDIS_URL" --no-auth-warning HSET "$KEY" balance ten
SELECT version, source FROM bank.balance(:'account');
SELECT version, source FROM bank.balance(:'account');
\! redis-cli -u "$BANK_REDIS_URL" --no-auth-warning HDEL "$KEY" epoch
SELECT version, source FROM bank.balance(:'account');
SELECT version, source FROM bank.balance(:'account');
\! redis-cli -u "$BANK_REDIS_URL" --no-auth-warning SET "$KEY" text
SELECT version, source FROM bank.balance(:'account');
SELECT version, source FROM bank.balance(:'account');

-- settlement has no customer
SELECT gen_random_uuid() AS settlement \gset
\c bank_search
INSERT INTO bank_search.balance
VALUES (:'settlement', NULL, 'JPY', -1050, 0, 'active', 2, 9, '2026-01-31 12:00:00+00');
\c bank
SELECT customer_id, balance, epoch, source FROM bank.balance(:'settlement');
SELECT customer_id, balance, epoch, source FROM bank.balance(:'settlement');

-- a read, also for who may only read
BEGIN READ ONLY;
SELECT version, source FROM bank.balance(:'account');
COMMIT;

-- an id in neither, and arguments that make no sense
\set VERBOSITY default
SELECT bank.balance('00000000-0000-4000-8000-000000000000');
SELECT bank.balance('00000000-0000-4000-8000-000000000000', 7);
SELECT bank.balance(NULL);
SELECT bank.balance(:'account', NULL);
SELECT bank.balance(:'account', -1);
SELECT bank.balance('no uuid');
