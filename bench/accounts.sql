-- Twice :accounts accounts, each with more money than it can spend here: those
-- from :first_account have one holder, so that any two of them make a transfer;
-- those from :first_own_account have :holders, as many accounts each.  Ids count
-- up, as time-ordered ones would.

CREATE SCHEMA bench;
CREATE TABLE bench.account AS
SELECT ('a0000000-0000-4000-8000-' || :first_account + n)::uuid AS id, :'holder'::uuid AS holder
FROM generate_series(0, :accounts - 1) AS n
UNION ALL
SELECT ('a0000000-0000-4000-8000-' || :first_own_account + n)::uuid,
       ('c0000000-0000-4000-9000-' || 100000000000 + n / (:accounts / :holders))::uuid
FROM generate_series(0, :accounts - 1) AS n;

SELECT count(*)
FROM bench.account AS a, bank.create_account(a.holder, 'BRL', a.id);

DO $$
DECLARE
    account uuid;
    deposits integer := 0;
BEGIN
    FOR account IN SELECT id FROM bench.account ORDER BY id LOOP
        PERFORM bank.deposit(account, 1000000000);
        deposits := deposits + 1;
        IF deposits % 100 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END
$$;

VACUUM ANALYZE;
