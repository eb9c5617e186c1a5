-- The tables may grow columns and indexes; where one lost what the code needs,
-- functions say so.  None of it crashes the server or writes half a row.
BEGIN;
SELECT no_plan();
\ir setup/accounts.psql

CREATE TEMPORARY TABLE call_of (statement text);
INSERT INTO call_of VALUES
('SELECT bank.create_account(''c0000000-0000-4000-8000-000000000073'')'),
('SELECT bank.deposit({a}, 100)'),
('SELECT bank.withdraw({a}, 5)'),
('SELECT bank.transfer({a}, {b}, 10)'),
('SELECT bank.transfer({a}, {b}, 10, ''ee000000-0000-4000-8000-000000000004'')'),
('SELECT bank.inactivate_account({empty})'),
('SELECT bank.inactivate_customer(''c0000000-0000-4000-8000-000000000072'')'),
('SELECT bank.reactivate_customer(''c0000000-0000-4000-8000-000000000072'')'),
('SELECT bank.ledger_balance({a})'),
('SELECT bank.statement({a}, ''-infinity'', ''infinity'')'),
('SELECT bank.balance_at({a}, now())'),
('SELECT * FROM bank.verify()');

CREATE FUNCTION pg_temp.state_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.run(statement);
    RETURN '00000';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

-- The SQLSTATEs of all calls after a change, each once, and the answer of a
-- question; all undone.
CREATE FUNCTION pg_temp.after(change text, question text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    states text;
    answer text;
BEGIN
    BEGIN
        PERFORM pg_temp.run(change);
        SELECT string_agg(DISTINCT s.state, ' ') INTO states
        FROM (SELECT pg_temp.state_of(statement) AS state FROM call_of) AS s;
        IF question IS NOT NULL THEN
            EXECUTE pg_temp.with_ids(question) INTO answer;
        END IF;
        RAISE SQLSTATE 'P0U00';
    EXCEPTION WHEN SQLSTATE 'P0U00' THEN
        NULL;
    END;
    RETURN concat_ws(' ', states, answer);
END
$$;

CREATE TEMPORARY TABLE journal AS
SELECT unnest(ARRAY['account', 'account_event', 'transfer', 'customer']) AS name;

SELECT is(pg_temp.after('SELECT 1'), '00000', 'as it is, every call works');

-- Columns that came later.
SELECT is(pg_temp.after(format(change.form, journal.name)), '00000', format(change.form, journal.name))
FROM journal CROSS JOIN (VALUES
    ('ALTER TABLE bank_ledger.%s ADD COLUMN note text'),
    ('ALTER TABLE bank_ledger.%s ADD COLUMN note text DEFAULT ''none'''),
    ('ALTER TABLE bank_ledger.%s ADD COLUMN note text NOT NULL DEFAULT repeat(''n'', 4000)'),
    ('ALTER TABLE bank_ledger.%s ADD COLUMN seen timestamptz DEFAULT clock_timestamp()'),
    ('ALTER TABLE bank_ledger.%s ADD COLUMN row_id uuid NOT NULL DEFAULT gen_random_uuid()'),
    ('ALTER TABLE bank_ledger.%s ADD COLUMN number bigserial'),
    ('ALTER TABLE bank_ledger.%s ADD COLUMN tags text[] DEFAULT ''{}'', ADD COLUMN more jsonb'),
    ('ALTER TABLE bank_ledger.%1$s ADD COLUMN note text; ALTER TABLE bank_ledger.%1$s DROP COLUMN note'),
    ('ALTER TABLE bank_ledger.%1$s ADD COLUMN note text NOT NULL DEFAULT ''''; ALTER TABLE bank_ledger.%1$s DROP COLUMN note;
      ALTER TABLE bank_ledger.%1$s ADD COLUMN again bigint NOT NULL DEFAULT 7')
) AS change (form);

SELECT is(pg_temp.after('ALTER TABLE bank_ledger.transfer ADD COLUMN note text NOT NULL DEFAULT ''none''',
                        'SELECT count(*) FROM bank_ledger.transfer WHERE note <> ''none'''),
          '00000 0', 'a default fills the column of new transfers');
SELECT is(pg_temp.after('ALTER TABLE bank_ledger.transfer ADD COLUMN number bigserial',
                        'SELECT count(*) - count(DISTINCT number) FROM bank_ledger.transfer'),
          '00000 0', 'a default is computed for each row');
SELECT is(pg_temp.after('ALTER TABLE bank_ledger.account_event ADD COLUMN note text DEFAULT ''none''',
                        'SELECT count(*) FROM bank_ledger.account_event WHERE note IS DISTINCT FROM ''none'''),
          '00000 0', 'and that of new events');
SELECT is(pg_temp.after('ALTER TABLE bank_ledger.account ADD COLUMN note text;
                         UPDATE bank_ledger.account SET note = ''kept'' WHERE account_id = {a}',
                        'SELECT note FROM bank_ledger.account WHERE account_id = {a}'),
          '00000 kept', 'an update keeps columns it does not know');
SELECT is(pg_temp.after('ALTER TABLE bank_ledger.account ADD COLUMN seen int',
                        'SELECT count(*) FROM bank_ledger.account WHERE seen IS NOT NULL'),
          '00000 0', 'a column without a default stays null');

-- Indexes that came later: looked through, they answer as the table does.
SELECT is(pg_temp.after(index.statement, format(
              'SELECT (SELECT count(*) FROM %1$s WHERE %2$s) - (SELECT count(*) FROM (SELECT * FROM %1$s OFFSET 0) AS t WHERE %2$s)
               FROM set_config(''enable_seqscan'', ''off'', true)', index.relation, index.condition)),
          '00000 0', index.statement)
FROM (VALUES
    ('CREATE INDEX ON bank_ledger.account (balance)', 'bank_ledger.account', 'balance > 0'),
    ('CREATE INDEX ON bank_ledger.account (status) WHERE balance > 0', 'bank_ledger.account', 'balance > 0 AND status >= ''a'''),
    ('CREATE INDEX ON bank_ledger.transfer (completed_at)', 'bank_ledger.transfer', 'completed_at > ''2000-01-01'''),
    ('CREATE INDEX ON bank_ledger.transfer ((amount * 2))', 'bank_ledger.transfer', 'amount * 2 > 0'),
    ('CREATE INDEX ON bank_ledger.account_event (occurred_at)', 'bank_ledger.account_event', 'occurred_at > ''2000-01-01''')
) AS index (statement, relation, condition);

-- The views would keep their columns from being dropped.
DO $$
DECLARE
    seen regclass;
BEGIN
    FOR seen IN SELECT oid FROM pg_class WHERE relkind = 'v' AND relnamespace = 'bank'::regnamespace LOOP
        EXECUTE format('ALTER EXTENSION bank DROP VIEW %1$s; DROP VIEW %1$s', seen);
    END LOOP;
END
$$;

-- What the code cannot fill or find: refused, and by a code of its own.
-- Columns that are VIRTUAL came with 18.
SELECT alike(pg_temp.after(change.statement), '%' || change.code || '%', change.statement)
FROM (
    SELECT format(c.form, journal.name), c.code
    FROM journal CROSS JOIN (VALUES
        ('ALTER TABLE bank_ledger.%1$s ADD COLUMN note text NOT NULL DEFAULT ''x'';
          ALTER TABLE bank_ledger.%1$s ALTER COLUMN note DROP DEFAULT', '42804'),
        ('ALTER TABLE bank_ledger.%1$s ADD COLUMN twice text GENERATED ALWAYS AS (''x'') STORED', '42804'),
        ('ALTER TABLE bank_ledger.%1$s ADD COLUMN twice text GENERATED ALWAYS AS (''x'') VIRTUAL', '42804')
    ) AS c (form, code)
    WHERE c.form NOT LIKE '%VIRTUAL' OR current_setting('server_version_num')::integer >= 180000
    UNION ALL VALUES
    ('ALTER TABLE bank_ledger.account RENAME COLUMN balance TO money', '42703'),
    ('ALTER TABLE bank_ledger.account DROP COLUMN held', '42703'),
    ('ALTER TABLE bank_ledger.account DROP COLUMN version', '42703'),
    ('ALTER TABLE bank_ledger.account ALTER COLUMN balance TYPE numeric', '42804'),
    ('ALTER TABLE bank_ledger.account ALTER COLUMN status TYPE varchar', '42804'),
    ('ALTER TABLE bank_ledger.transfer RENAME COLUMN amount TO value', '42703'),
    ('ALTER TABLE bank_ledger.transfer DROP COLUMN actor', '42703'),
    ('ALTER TABLE bank_ledger.transfer ALTER COLUMN actor TYPE varchar', '42804'),
    ('ALTER TABLE bank_ledger.account_event RENAME COLUMN version TO number', '42703'),
    ('ALTER TABLE bank_ledger.account_event DROP COLUMN actor', '42703'),
    ('ALTER TABLE bank_ledger.account_event ALTER COLUMN actor TYPE varchar', '42804'),
    ('ALTER TABLE bank_ledger.customer DROP COLUMN changed_at', '42703'),
    ('ALTER TABLE bank_ledger.transfer ALTER COLUMN amount TYPE numeric', '42804'),
    ('ALTER TABLE bank_ledger.account_event DROP COLUMN version', '42703'),
    ('ALTER TABLE bank_ledger.account ALTER status DROP NOT NULL;
      UPDATE bank_ledger.account SET status = NULL WHERE account_id = {a}', '23502'),
    ('ALTER TABLE bank_ledger.account ALTER balance DROP NOT NULL;
      UPDATE bank_ledger.account SET balance = NULL WHERE account_id = {a}', '23502'),
    ('ALTER TABLE bank_ledger.account DROP CONSTRAINT account_check;
      UPDATE bank_ledger.account SET customer_id = NULL WHERE account_id = {a}', 'XX001'),
    ('ALTER TABLE bank_ledger.site RENAME TO place; CREATE VIEW bank_ledger.site AS TABLE bank_ledger.place', '42809'),
    ('ALTER TABLE bank_ledger.transfer RENAME TO transfers;
      CREATE TABLE bank_ledger.transfer (LIKE bank_ledger.transfers, PRIMARY KEY (transfer_id)) PARTITION BY HASH (transfer_id);
      CREATE TABLE bank_ledger.transfer_0 PARTITION OF bank_ledger.transfer FOR VALUES WITH (MODULUS 1, REMAINDER 0)', '42809'),
    ('ALTER TABLE bank_ledger.transfer ADD UNIQUE (transfer_id, amount) DEFERRABLE', '0A000'),
    ('ALTER TABLE bank_ledger.account_event DROP CONSTRAINT account_event_pkey,
      ADD PRIMARY KEY (account_id, version) DEFERRABLE', '0A000'),
    ('CREATE UNIQUE INDEX ON bank_ledger.transfer (from_account) WHERE amount < 6 AND from_account = {a};
      SELECT bank.withdraw({a}, 1)', '23000'),
    ('ALTER TYPE bank.transfer_row ADD ATTRIBUTE more text', '42804'),
    ('ALTER TABLE bank_ledger.account RENAME TO accounts', '42P01'),
    ('ALTER TABLE bank_ledger.transfer RENAME TO transfers', '42P01'),
    ('ALTER TABLE bank_ledger.site RENAME TO place', '42P01')
) AS change (statement, code);

SELECT alike(pg_temp.after('ALTER TABLE bank_ledger.account ADD COLUMN twice bigint GENERATED ALWAYS AS (balance * 2) STORED',
                           'SELECT count(*) FROM bank_ledger.account WHERE twice <> balance * 2'),
             '% 0', 'a generated column of an account is never wrong');

-- Nothing else came out of any of these.
CREATE TEMPORARY TABLE lost AS
SELECT change.statement, pg_temp.after(change.statement) AS states
FROM (
    SELECT format('ALTER TABLE bank_ledger.%I RENAME COLUMN %I TO gone', c.relname, a.attname)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.oid IN ('bank_ledger.account'::regclass, 'bank_ledger.account_event'::regclass,
                    'bank_ledger.transfer'::regclass, 'bank_ledger.customer'::regclass,
                    'bank_ledger.site'::regclass, 'bank_ledger.operator_act'::regclass)
      AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT format('ALTER TABLE bank_ledger.%I DROP CONSTRAINT %I CASCADE', c.relname, k.conname)
    FROM pg_class AS c JOIN pg_constraint AS k ON k.conrelid = c.oid
    WHERE c.relnamespace = 'bank_ledger'::regnamespace AND k.contype = 'p'
) AS change (statement);
SELECT is_empty(
    $$SELECT statement, states FROM lost
      WHERE EXISTS (SELECT FROM unnest(string_to_array(states, ' ')) AS s
                    WHERE s NOT IN ('00000', '42703', '42804', '42P01', '42704'))$$,
    'a column or key that is gone is named, never an internal error');

SELECT is(pg_temp.after('SELECT 1'), '00000', 'and in the end every call works');

SELECT * FROM finish();
ROLLBACK;
