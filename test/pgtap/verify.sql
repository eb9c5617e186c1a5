-- bank.verify() names each invariant that is broken, and of what.  Every case
-- breaks one thing behind the ledger's back and is undone.
BEGIN;
SELECT no_plan();
\ir setup/accounts.psql
SET LOCAL session_replication_role = origin;

-- What verify() says after a breakage; the breakage is rolled back.
CREATE FUNCTION pg_temp.found_after(breakage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    BEGIN
        ALTER TABLE bank_ledger.transfer DISABLE TRIGGER USER;
        ALTER TABLE bank_ledger.account_event DISABLE TRIGGER USER;
        PERFORM pg_temp.run(breakage);
        PERFORM bank_ledger.init('ledger', 'test');
        SELECT string_agg(concat_ws(' ', v.invariant, v.subject, v.detail), E'\n') INTO found
        FROM bank.verify() AS v;
        RAISE SQLSTATE 'P0U00';
    EXCEPTION WHEN SQLSTATE 'P0U00' THEN
        NULL;
    END;
    RETURN coalesce(found, 'sound');
END
$$;

CREATE TEMPORARY TABLE breakage (invariant int, subject text, statement text);
INSERT INTO breakage VALUES
(1, 'currency BRL', 'UPDATE bank_ledger.account SET balance = balance + 1 WHERE account_id = {a}'),
(1, 'currency BRL', 'UPDATE bank_ledger.account SET balance = balance + 1 WHERE account_id = {settlement}'),
(1, 'transfer ee000000-0000-4000-8000-000000000004',
 'UPDATE bank_ledger.transfer SET currency = ''USD'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(1, 'transfer ee000000-0000-4000-8000-000000000004',
 'ALTER TABLE bank_ledger.transfer DROP CONSTRAINT transfer_check;
  UPDATE bank_ledger.transfer SET to_account = from_account WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(1, 'transfer ee000000-0000-4000-8000-000000000004',
 'ALTER TABLE bank_ledger.transfer DROP CONSTRAINT transfer_amount_check;
  UPDATE bank_ledger.transfer SET amount = -amount WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(1, 'transfer ee000000-0000-4000-8000-000000000004',
 'DELETE FROM bank_ledger.account WHERE account_id = {b}'),
(2, 'account {a}', 'UPDATE bank_ledger.account SET version = version + 1 WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account SET balance = balance - 1 WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account SET held = 1 WHERE account_id = {a}'),
(2, 'account {a}', 'DELETE FROM bank_ledger.account WHERE account_id = {a}'),
(2, 'account {a}', 'DELETE FROM bank_ledger.account_event WHERE account_id = {a}'),
(2, 'account {empty}', 'DELETE FROM bank_ledger.account_event WHERE account_id = {empty}'),
(2, 'account {a}', 'DELETE FROM bank_ledger.transfer WHERE transfer_id = ''ee000000-0000-4000-8000-000000000001'''),
(2, 'account {b}', 'DELETE FROM bank_ledger.transfer WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a}',
 'UPDATE bank_ledger.transfer SET from_balance = from_balance + 1 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {b}',
 'UPDATE bank_ledger.transfer SET to_balance = to_balance - 1 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a}',
 'UPDATE bank_ledger.transfer SET amount = amount + 1 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a}',
 'UPDATE bank_ledger.transfer SET to_version = 3 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000001'''),
(2, 'account {a}',
 'INSERT INTO bank_ledger.account_event (account_id, customer_id, kind, version, currency, status,
  balance, held, occurred_at, actor, digest, period)
  SELECT account_id, customer_id, ''limit_set'', 2, currency, status,
  1000, 0, occurred_at, actor, digest, period FROM bank_ledger.account_event WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET customer_id = gen_random_uuid() WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET currency = ''USD'' WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET status = ''inactive'' WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET kind = ''limit_set'' WHERE account_id = {a}'),
(2, 'account {a}',
 'UPDATE bank_ledger.transfer SET from_balance = 9223372036854775807 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {b}',
 'UPDATE bank_ledger.transfer SET to_held = 5 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(3, 'account {closed}', 'UPDATE bank_ledger.account_event SET held = 1 WHERE account_id = {closed} AND version = 1'),
(3, 'account {a}',
 'UPDATE bank_ledger.transfer SET from_held = from_balance + 1 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(3, 'account {a}',
 'UPDATE bank_ledger.transfer SET from_balance = -1 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(4, 'account {a}',
 'UPDATE bank_ledger.transfer SET completed_at = completed_at - interval ''1 day''
  WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(4, 'account {a}',
 'UPDATE bank_ledger.account_event SET occurred_at = occurred_at + interval ''1 day'' WHERE account_id = {a}'),
(4, 'account {a}',
 'UPDATE bank_ledger.account SET status = ''inactive'', balance = 0,
  closed_at = (SELECT completed_at FROM bank_ledger.transfer WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'')
  WHERE account_id = {a}'),
(4, 'account {a}', 'UPDATE bank_ledger.account SET updated_at = ''2000-01-01'' WHERE account_id = {a}'),
(4, 'account {closed}',
 'UPDATE bank_ledger.account SET closed_at = closed_at + interval ''1 hour'' WHERE account_id = {closed}'),
(4, 'account {closed}',
 'INSERT INTO bank_ledger.account_event (account_id, customer_id, kind, version, currency, status,
  balance, held, occurred_at, actor, digest, period)
  SELECT account_id, customer_id, kind, version + 1, currency, status,
  balance, held, occurred_at, actor, digest, period FROM bank_ledger.account_event
  WHERE account_id = {closed} AND kind = ''inactivated''; UPDATE bank_ledger.account SET version = version + 1
  WHERE account_id = {closed}'),
(6, 'customer c0000000-0000-4000-8000-000000000070', 'DELETE FROM bank_ledger.customer'),
(6, 'account {closed}',
 'UPDATE bank_ledger.account SET status = ''active'', closed_at = NULL WHERE account_id = {closed}'),
(6, 'account {empty}',
 'UPDATE bank_ledger.account SET status = ''inactive'', closed_at = now() WHERE account_id = {empty}'),
(6, 'account {closed}', 'DELETE FROM bank_ledger.account_event WHERE account_id = {closed} AND kind = ''inactivated'''),
(6, 'account {closed}',
 'UPDATE bank_ledger.account_event SET balance = 5 WHERE account_id = {closed} AND kind = ''inactivated'''),
(6, 'customer c0000000-0000-4000-8000-000000000070',
 'UPDATE bank_ledger.customer SET status = ''closing'' WHERE customer_id = ''c0000000-0000-4000-8000-000000000070'''),
(7, 'transfer ee000000-0000-4000-8000-000000000004',
 'UPDATE bank_ledger.account SET customer_id = ''c0000000-0000-4000-8000-000000000071'' WHERE account_id = {b}'),
(7, 'transfer ee000000-0000-4000-8000-000000000004',
 'UPDATE bank_ledger.transfer SET customer_id = ''c0000000-0000-4000-8000-000000000071''
  WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(7, 'transfer ee000000-0000-4000-8000-000000000004',
 'UPDATE bank_ledger.transfer SET kind = ''deposit'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(7, 'transfer ee000000-0000-4000-8000-000000000001',
 'UPDATE bank_ledger.transfer SET kind = ''transfer'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000001'''),
(7, 'transfer ee000000-0000-4000-8000-000000000001',
 'UPDATE bank_ledger.transfer SET kind = ''withdrawal'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000001''');

SELECT is(pg_temp.found_after('SELECT 1'), 'sound', 'before anything is broken');
SELECT matches(pg_temp.found_after(statement),
               format(E'(^|\n)%s %s ', invariant, replace(pg_temp.with_ids(subject), '''', '')),
               format('%s: %s', invariant, regexp_replace(statement, '\s+', ' ', 'g')))
FROM breakage ORDER BY invariant, statement;
SELECT is(pg_temp.found_after('SELECT 1'), 'sound', 'and after all was undone');

ALTER TABLE bank_ledger.transfer ENABLE TRIGGER insert_only_row;
SELECT results_eq('SELECT invariant, subject FROM bank.verify()',
                  $$VALUES ('2', 'table bank_ledger.transfer')$$, 'an open journal is named');

SELECT * FROM finish();
ROLLBACK;
