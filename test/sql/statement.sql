-- Statements and balances at a date.
\set customer '''c0000000-0000-4000-8000-0000000000a0'''
\set a '''a0000000-0000-4000-8000-0000000000a0'''
\set b '''b0000000-0000-4000-8000-0000000000a0'''
\set nobody '''a0000000-0000-4000-8000-00000000ffff'''

SELECT currency FROM bank.create_account(:customer, 'BRL', :a);
SELECT currency FROM bank.create_account(:customer, 'BRL', :b);
SELECT clock_timestamp() AS opened \gset
SELECT to_balance FROM bank.deposit(:a, 1000, NULL, 'salary');
SELECT from_balance FROM bank.transfer(:a, :b, 300, NULL, 'rent');
SELECT clock_timestamp() AS half \gset
SELECT from_balance FROM bank.transfer(:b, :a, 50);
SELECT from_balance FROM bank.withdraw(:a, 700, NULL, 'cash');
SELECT clock_timestamp() AS done \gset

-- whole
SELECT line, version, completed_at BETWEEN :'opened' AND :'done' AS dated, transfer_id IS NOT NULL AS named,
       kind, counterparty, amount, balance, held, reference
FROM bank.statement(:a, '-infinity', 'infinity');

-- in parts, by date: half-open
SELECT line, version, amount, balance FROM bank.statement(:a, :'opened', :'half');
SELECT line, version, amount, balance FROM bank.statement(:a, :'half', :'done');
SELECT line, version, amount, balance FROM bank.statement(:a, :'done', 'infinity');
SELECT line, version, amount, balance FROM bank.statement(:a, '-infinity', '2000-01-01');
SELECT line, version, amount, balance FROM bank.statement(:a, :'half', :'half');
SELECT s.line, s.version, s.amount, s.balance
FROM bank_ledger.transfer AS t,
     bank.statement(:a, t.completed_at, t.completed_at + interval '1 microsecond') AS s
WHERE t.reference = 'rent' AND t.from_account = :a;
SELECT s.line, s.version, s.amount, s.balance
FROM bank_ledger.transfer AS t,
     bank.statement(:a, t.completed_at - interval '1 microsecond', t.completed_at) AS s
WHERE t.reference = 'rent' AND t.from_account = :a;

-- in pages
SELECT line, version, amount, balance FROM bank.statement(:a, '-infinity', 'infinity', NULL, 2);
SELECT line, version, amount, balance FROM bank.statement(:a, '-infinity', 'infinity', 3, 2);
SELECT line, version, amount, balance FROM bank.statement(:a, '-infinity', 'infinity', 5, 2);
-- from since on, whatever was seen before
SELECT line, version, amount, balance FROM bank.statement(:a, :'half', 'infinity', 2);
-- beyond what there is
SELECT line, version, amount, balance FROM bank.statement(:a, '-infinity', 'infinity', 99);
SELECT line, version, amount, balance FROM bank.statement(:a, '-infinity', :'half', 5);

-- at a date
SELECT d.name, b.balance, b.version, b.complete_until > :'done' AS complete
FROM (VALUES (1, 'never', '-infinity'), (2, 'before', '2000-01-01'), (3, 'opened', :'opened'),
             (4, 'half', :'half'), (5, 'done', :'done'), (6, 'ever', 'infinity')) AS d (n, name, at),
     bank.balance_at(:a, d.at::timestamptz) AS b
ORDER BY d.n;
SELECT t.reference, b.balance, b.version, before.balance AS before, before.version AS version_before
FROM bank_ledger.transfer AS t, bank.balance_at(:a, t.completed_at) AS b,
     bank.balance_at(:a, t.completed_at - interval '1 microsecond') AS before
WHERE t.reference IN ('salary', 'rent', 'cash') AND :a IN (t.from_account, t.to_account)
ORDER BY b.version;

-- a closed account keeps its statement; its closing is a version and no line
SELECT from_balance FROM bank.withdraw(:a, 50);
SELECT status, version FROM bank.inactivate_account(:a);
SELECT line, version, amount, balance FROM bank.statement(:a, :'done', 'infinity');

-- arguments
SELECT * FROM bank.statement(NULL, '-infinity', 'infinity');
SELECT * FROM bank.statement(:a, NULL, 'infinity');
SELECT * FROM bank.statement(:a, '-infinity', NULL);
SELECT * FROM bank.statement(:a, '-infinity', 'infinity', NULL, NULL);
SELECT * FROM bank.statement(:a, '2026-01-02Z', '2026-01-01Z');
SELECT * FROM bank.statement(:a, '-infinity', 'infinity', -1);
SELECT * FROM bank.statement(:a, '-infinity', 'infinity', NULL, 0);
SELECT * FROM bank.statement(:a, '-infinity', 'infinity', NULL, 10001);
SELECT count(*) FROM bank.statement(:a, '-infinity', 'infinity', NULL, 10000);
SELECT * FROM bank.statement(:nobody, '-infinity', 'infinity');
SELECT * FROM bank.balance_at(:nobody, now());
SELECT * FROM bank.balance_at(NULL, now());
SELECT * FROM bank.balance_at(:a, NULL);

-- settlement is not the caller's to name
DO $$
DECLARE
    settlement uuid;
BEGIN
    SELECT account_id INTO settlement FROM bank_ledger.account WHERE kind = 'settlement' LIMIT 1;
    BEGIN
        PERFORM bank.statement(settlement, '-infinity', 'infinity');
    EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE '% %', SQLSTATE, SQLERRM;
    END;
    PERFORM bank.balance_at(settlement, now());
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END
$$;
