-- Many transfers in one call: each item its own result.
\set customer '''c0000000-0000-4000-8000-000000000050'''
\set a '''a0000000-0000-4000-8000-000000000050'''
\set b '''b0000000-0000-4000-8000-000000000050'''
\set usd '''d0000000-0000-4000-8000-000000000050'''
\set closed '''d1000000-0000-4000-8000-000000000050'''
\set foreign '''f0000000-0000-4000-8000-000000000050'''

SELECT count(*) FROM (VALUES (:customer::uuid, 'BRL', :a::uuid), (:customer, 'BRL', :b), (:customer, 'USD', :usd),
    (:customer, 'BRL', :closed), ('c0000000-0000-4000-8000-000000000051', 'BRL', :foreign)) AS n (c, currency, id),
    LATERAL bank.create_account(n.c, n.currency, n.id);
SELECT to_balance FROM bank.deposit(:a, 1000);
SELECT status FROM bank.inactivate_account(:closed);
SELECT amount FROM bank.transfer(:a, :b, 5, 'e0000000-0000-4000-8000-000000000050');

CREATE VIEW sides AS
SELECT transfer_id, amount, from_version, to_version, from_balance, to_balance, reference
FROM bank_ledger.transfer WHERE kind = 'transfer' AND :a IN (from_account, to_account);

-- chained: each item sees those before it
SELECT * FROM bank.transfer_batch(
    ARRAY[:a, :a, :b, :a]::uuid[], ARRAY[:b, :b, :a, :b]::uuid[], ARRAY[100, 895, 1000, 1001],
    ARRAY['e2000000-0000-4000-8000-000000000053', 'e2000000-0000-4000-8000-000000000052',
          'e2000000-0000-4000-8000-000000000051', 'e2000000-0000-4000-8000-000000000054']::uuid[],
    ARRAY['first', NULL, 'third', NULL]);
SELECT * FROM sides ORDER BY from_version;

-- keys: used before, twice in the batch, refused and then free
SELECT * FROM bank.transfer_batch(
    ARRAY[:a, :a, :a, :a, :a, :a, :a]::uuid[], ARRAY[:b, :b, :b, :b, :b, :b, :foreign]::uuid[],
    ARRAY[5, 6, 1, 1, 5000, 2, 5],
    ARRAY['e0000000-0000-4000-8000-000000000050', 'e0000000-0000-4000-8000-000000000050',
          'e2000000-0000-4000-8000-000000000055', 'e2000000-0000-4000-8000-000000000055',
          'e2000000-0000-4000-8000-000000000056', 'e2000000-0000-4000-8000-000000000056',
          'e0000000-0000-4000-8000-000000000050']::uuid[]);

-- one bad item of each kind
SELECT * FROM bank.transfer_batch(
    ARRAY[:a, NULL, :a, :a, :a, :a, :a, :a, :a, 'a0000000-0000-4000-8000-00000000ffff', :a]::uuid[],
    ARRAY[:a, :b, :b, :b, :b, :foreign, :usd, :closed, '62616e6b-0000-8000-8000-0042524c0001', :b, :b]::uuid[],
    ARRAY[1, 1, 0, NULL, 9007199254740992, 1, 1, 1, 1, 1, 1],
    ARRAY['e2000000-0000-4000-8000-000000000057', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
          'e2000000-0000-4000-8000-000000000058']::uuid[]);
SELECT * FROM bank.transfer_batch(ARRAY[:a]::uuid[], ARRAY[:b]::uuid[], ARRAY[1], NULL, ARRAY[repeat('x', 141)]);

-- made keys, and nothing at all
SELECT item, transfer_id IS NOT NULL AS made, result
FROM bank.transfer_batch(ARRAY[:a, :b]::uuid[], ARRAY[:b, :a]::uuid[], ARRAY[1, 1]);
SELECT * FROM bank.transfer_batch('{}', '{}', '{}');

-- with the caller's transaction
BEGIN;
SELECT count(*) FROM bank.transfer_batch(ARRAY[:a]::uuid[], ARRAY[:b]::uuid[], ARRAY[1]);
SAVEPOINT s;
SELECT count(*) FROM bank.transfer_batch(ARRAY[:a]::uuid[], ARRAY[:b]::uuid[], ARRAY[1]);
ROLLBACK TO s;
SELECT count(*) FROM bank.transfer_batch(ARRAY[:b, :b]::uuid[], ARRAY[:a, :a]::uuid[], ARRAY[1, 1]);
COMMIT;
SELECT count(*), max(from_version) FROM sides;
SELECT balance, version FROM bank.ledger_balance(:a);

-- a hold that is due ends once, whatever else is held and however often paid
SELECT clock_timestamp() + interval '1 s' AS soon \gset
SELECT held FROM bank.hold(:a, :b, 7, :'soon');
SELECT held FROM bank.hold(:a, :b, 900, 'infinity', 'e2000000-0000-4000-8000-000000000059');
SELECT 1 AS later FROM pg_sleep_until(:'soon'::timestamptz + interval '1 ms');
SELECT result FROM bank.transfer_batch(ARRAY[:a, :a, :a]::uuid[], ARRAY[:b, :b, :b]::uuid[], ARRAY[1, 96, 1]);
SELECT balance, held, available FROM bank.ledger_balance(:a);
SELECT held FROM bank.void_hold('e2000000-0000-4000-8000-000000000059');

-- an error that is no item's fails the call alone, not what comes after it
CREATE UNIQUE INDEX added ON bank_ledger.transfer (amount) WHERE amount = 43;
SELECT * FROM bank.transfer_batch(ARRAY[:b, :b]::uuid[], ARRAY[:a, :a]::uuid[], ARRAY[43, 43]);
SELECT result FROM bank.transfer_batch(ARRAY[:b]::uuid[], ARRAY[:a]::uuid[], ARRAY[43]);
DROP INDEX bank_ledger.added;

-- as many as there may be
SELECT result, count(*) FROM bank.transfer_batch(
    (SELECT array_agg(CASE WHEN g % 2 = 0 THEN :a ELSE :b END::uuid) FROM generate_series(1, 10000) AS g),
    (SELECT array_agg(CASE WHEN g % 2 = 0 THEN :b ELSE :a END::uuid) FROM generate_series(1, 10000) AS g),
    array_fill(1::bigint, ARRAY[10000])) GROUP BY result ORDER BY result;
SET client_min_messages = warning;
SELECT count(*) FROM bank.verify();
DROP VIEW sides;
