-- bank.verify() of a part of the journal, and of rows in any order with next to
-- no memory.
BEGIN;
SELECT no_plan();

-- More accounts than there is room for, before those of the test.
SET LOCAL session_replication_role = replica;
INSERT INTO bank_ledger.account (account_id, customer_id, kind, currency, status, balance, held, version,
    opened_at, updated_at, digest, spent, spent_day)
SELECT format('fade0000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid,
       'cf000000-0000-4000-8000-000000000000', 'customer', 'BRL', 'active', 0, 0, 1, now(), now(),
       sha256(''), 0, current_date
FROM generate_series(1, 8000) AS n;
SET LOCAL session_replication_role = origin;
ALTER TABLE bank_ledger.account DROP CONSTRAINT account_kind_check;
ALTER TABLE bank_ledger.account_event DROP CONSTRAINT account_event_kind_check;
ALTER TABLE bank_ledger.transfer DROP CONSTRAINT transfer_kind_check;
\ir setup/accounts.psql

-- Findings of this test's accounts and transfers, one a line.
CREATE FUNCTION pg_temp.found(account_id uuid DEFAULT NULL, since timestamptz DEFAULT NULL,
                              until timestamptz DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(' ', v.invariant, v.subject, v.detail), E'\n'), 'sound')
    FROM bank.verify(found.account_id, found.since, found.until) AS v
    WHERE v.subject !~ 'account fade0000|customer cf000000|currency|table'
$$;

CREATE FUNCTION pg_temp.found_after(breakage text, account text DEFAULT NULL,
                                    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    BEGIN
        ALTER TABLE bank_ledger.transfer DISABLE TRIGGER USER;
        ALTER TABLE bank_ledger.account_event DISABLE TRIGGER USER;
        PERFORM pg_temp.run(breakage);
        found := pg_temp.found((SELECT n.id FROM account_named AS n WHERE n.name = account), since, until);
        RAISE SQLSTATE 'P0U00';
    EXCEPTION WHEN SQLSTATE 'P0U00' THEN
        NULL;
    END;
    RETURN found;
END
$$;

-- One account, through its chain.
SELECT is(pg_temp.found(id), 'sound', format('account %s by itself', name)) FROM account_named
WHERE name <> 'unknown';
SELECT matches(pg_temp.found(id), '^2 account .* there is no such account$', 'an account that is not there')
FROM account_named WHERE name = 'unknown';

CREATE TEMPORARY VIEW fourth AS
SELECT * FROM bank_ledger.transfer WHERE transfer_id = 'ee000000-0000-4000-8000-000000000004';
SELECT matches(pg_temp.found_after('UPDATE bank_ledger.transfer SET from_balance = from_balance + 1
                                    WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004''', 'a'),
               '2 account .* the balance is not', 'the payer''s balance is found with the payer');
SELECT is(pg_temp.found_after('UPDATE bank_ledger.transfer SET from_digest = sha256(from_digest)
                               WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004''', 'b'),
          'sound', 'and his digest not with the payee');
SELECT matches(pg_temp.found_after('DELETE FROM bank_ledger.transfer
                                    WHERE transfer_id = ''ee000000-0000-4000-8000-000000000001''', 'a'),
               '2 account .* transfer ee000000-0000-4000-8000-000000000001, which a later entry points to, is missing',
               'a missing link is named');
SELECT matches(pg_temp.found_after('UPDATE bank_ledger.transfer SET from_previous = transfer_id
                                    WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004''', 'a'),
               '2 account .* is not an earlier one of the account', 'a chain that turns in a circle ends');
SELECT matches(pg_temp.found_after('UPDATE bank_ledger.transfer SET from_previous = ''ee000000-0000-4000-8000-000000000002''
                                    WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004''', 'a'),
               '2 account .* is not an earlier one of the account', 'and so does one that leads elsewhere');
SELECT matches(pg_temp.found_after('UPDATE bank_ledger.account_event SET actor = ''nobody'' WHERE account_id = {empty}', 'empty'),
               '2 account .* the digest is not', 'an event is found with its account');

SELECT matches(pg_temp.found_after('UPDATE bank_ledger.transfer SET kind = ''gift''
                                    WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004''', 'a'),
               '2 transfer ee000000-0000-4000-8000-000000000004 "gift" is no known word', 'a transfer that is not understood');
SELECT matches(pg_temp.found_after('UPDATE bank_ledger.account SET kind = ''odd'' WHERE account_id = {a}', 'a'),
               '2 account .* "odd" is no known word', 'an account that is not');
SELECT matches(pg_temp.found_after('UPDATE bank_ledger.account_event SET kind = ''odd'' WHERE account_id = {empty}', 'empty'),
               '2 account .* at version 1 "odd" is no known word', 'and an event');

-- What is dated in a range: its first entries follow from those before it.
SELECT is(pg_temp.found(NULL, completed_at, NULL), 'sound', 'since a transfer') FROM fourth;
SELECT is(pg_temp.found(NULL, NULL, completed_at), 'sound', 'until a transfer') FROM fourth;
SELECT is(pg_temp.found(NULL, completed_at, completed_at + interval '1 us'), 'sound', 'that transfer alone') FROM fourth;
SELECT is(pg_temp.found(n.id, completed_at, completed_at + interval '1 us'), 'sound', 'of one account')
FROM fourth, account_named AS n WHERE n.name = 'a';
SELECT is(pg_temp.found(NULL, now() + interval '1 day', NULL), 'sound', 'since tomorrow');

CREATE TEMPORARY TABLE breakage AS SELECT completed_at AS at, statement, what FROM fourth, (VALUES
    ('UPDATE bank_ledger.transfer SET amount = amount + 1 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004''',
     'the balance is not'),
    ('UPDATE bank_ledger.transfer SET reference = ''x'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004''',
     'the digest is not'),
    ('UPDATE bank_ledger.transfer SET completed_at = completed_at - interval ''1 us''
      WHERE transfer_id = ''ee000000-0000-4000-8000-000000000001''', 'sound')) AS b (statement, what);
SELECT matches(pg_temp.found_after(statement, NULL, at), what, format('since: %s', what)) FROM breakage;
SELECT matches(pg_temp.found_after(statement, NULL, at, at + interval '1 us'), what, format('range: %s', what))
FROM breakage;
SELECT matches(pg_temp.found_after(statement, 'a', at), what, format('account: %s', what)) FROM breakage;
SELECT is(pg_temp.found_after(statement, NULL, NULL, at), 'sound', format('until: not %s', what))
FROM breakage WHERE what <> 'sound';

-- Any order of the rows, with hardly any memory: 20,000 entries of two accounts
-- and no room for the accounts themselves.
SELECT lives_ok(pg_temp.with_ids($$
    SELECT bank.transfer_batch(array_agg(CASE n % 2 WHEN 0 THEN {a}::uuid ELSE {b} END),
                               array_agg(CASE n % 2 WHEN 0 THEN {b}::uuid ELSE {a} END),
                               array_agg(1::bigint), array_agg(gen_random_uuid()))
    FROM generate_series(1, 10000) AS n$$), 'ten thousand transfers');
SELECT is(pg_temp.found(), 'sound', 'rows in order');
SELECT lives_ok(pg_temp.with_ids(s.statement), s.statement)
FROM (VALUES ('SELECT bank.set_limit({a}, 900000)'), ('SELECT bank.deposit({a}, 5)'),
             ('SELECT bank.deposit({a}, 6)')) AS s (statement);
SELECT is(pg_temp.found(NULL, (SELECT max(t.completed_at) FROM bank_ledger.transfer AS t)), 'sound',
          'a limit set before the range is no finding');
CLUSTER bank_ledger.transfer USING transfer_pkey;
SELECT is(pg_temp.found(), 'sound', 'rows in no order');
CREATE TEMPORARY TABLE middle AS
SELECT format('UPDATE bank_ledger.transfer SET %s WHERE transfer_id = %L', change, transfer_id) AS statement
FROM bank_ledger.transfer, (VALUES ('to_balance = to_balance + 1'), ('actor = ''nobody''')) AS c (change)
WHERE from_version IN (5000, 5001) AND from_account = (SELECT id FROM account_named WHERE name = 'a');
SELECT cmp_ok(count(*), '=', 2::bigint, 'one of them is changed in two ways') FROM middle;
SELECT matches(pg_temp.found_after(statement), '2 account .* version 500[01] ', 'found: ' || statement) FROM middle;
SET LOCAL maintenance_work_mem = '1MB';
SELECT is(pg_temp.found(), 'sound', 'and without memory');
SELECT matches(pg_temp.found_after(statement), '2 account .* version 500[01] ', 'found: ' || statement) FROM middle;
SELECT matches(pg_temp.found_after('DELETE FROM bank_ledger.account_event WHERE account_id = {empty}'),
               '2 account .* the account has no journal', 'an account without room and journal is found');
SELECT is(count(*), 8000::bigint, 'and each of those that were no accounts')
FROM bank.verify() AS v WHERE v.detail ~ '^the account has no journal' AND v.subject ~ '^account fade0000';
SELECT throws_ok('SELECT bank_ledger.is_counted(NULL, 1)', '22004', NULL, 'what is counted must be named');

SELECT * FROM finish();
ROLLBACK;
