-- :accounts accounts of one holder, so that any two of them make a transfer,
-- each with more money than it can spend here.  Their ids count up from
-- :first_account, as time-ordered ids would.

SELECT count(*)
FROM generate_series(0, :accounts - 1) AS n,
     bank.create_account(:'holder', 'BRL', ('a0000000-0000-4000-8000-' || :first_account + n)::uuid);

SET bench.first_account = :first_account;
SET bench.accounts = :accounts;
DO $$
DECLARE
    first_account bigint := current_setting('bench.first_account');
BEGIN
    FOR n IN 0 .. current_setting('bench.accounts')::integer - 1 LOOP
        PERFORM bank.deposit(('a0000000-0000-4000-8000-' || first_account + n)::uuid, 1000000000);
        IF n % 100 = 99 THEN
            COMMIT;
        END IF;
    END LOOP;
END
$$;

VACUUM ANALYZE;
