-- The owner of the ledger's tables can neither write them nor take away what
-- closes them; he keeps what does no harm.  A superuser can, and is named.
BEGIN;
SELECT no_plan();
\ir setup/accounts.psql

CREATE ROLE proprietor;
GRANT USAGE, CREATE ON SCHEMA bank_ledger, public TO proprietor;
GRANT SELECT ON account_named TO proprietor;
DO $$
DECLARE
    owned text;
BEGIN
    FOR owned IN SELECT c.relname FROM pg_class AS c
        WHERE c.relnamespace = 'bank_ledger'::regnamespace AND c.relkind = 'r'
    LOOP
        EXECUTE format('ALTER TABLE bank_ledger.%I OWNER TO proprietor', owned);
    END LOOP;
END
$$;
-- And may call what writes them.
GRANT EXECUTE ON FUNCTION bank_ledger.init(text, text), bank_ledger.begin_epoch(integer),
    bank_ledger.beat(), bank_ledger.seal_next() TO proprietor;

SELECT is_empty($$SELECT c.relname, g.name FROM pg_class AS c
    CROSS JOIN (VALUES ('functions_only'), ('functions_only_row')) AS g (name)
    LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname = g.name
    WHERE c.relnamespace = 'bank_ledger'::regnamespace AND c.relkind = 'r'
      AND t.tgenabled IS DISTINCT FROM 'A'$$, 'every table of the ledger is closed, whatever the session');

ALTER FUNCTION bank_ledger.refuse_change() OWNER TO proprietor;
ALTER FUNCTION bank_ledger.refuse_writer() OWNER TO proprietor;

SET LOCAL ROLE proprietor;

SELECT throws_ok(pg_temp.with_ids(s.statement), '42501', NULL, s.statement)
FROM (VALUES
    -- writing
    ('UPDATE bank_ledger.account SET balance = balance + 1 WHERE account_id = {a}'),
    ('DELETE FROM bank_ledger.account WHERE account_id = {empty}'),
    ('TRUNCATE bank_ledger.account'),
    ('INSERT INTO bank_ledger.account SELECT * FROM bank_ledger.account'),
    ('INSERT INTO bank_ledger.transfer SELECT * FROM bank_ledger.transfer'),
    ('INSERT INTO bank_ledger.account_event SELECT * FROM bank_ledger.account_event'),
    ('UPDATE bank_ledger.customer SET status = ''open'''),
    ('UPDATE bank_ledger.transfer SET amount = 1'),
    ('DELETE FROM bank_ledger.transfer'),
    ('TRUNCATE bank_ledger.transfer'),
    ('INSERT INTO bank_ledger.site VALUES (true, ''ledger'', ''mine'')'),
    ('UPDATE bank_ledger.site SET role = ''search'''),
    ('DELETE FROM bank_ledger.site'),
    ('TRUNCATE bank_ledger.site'),
    ('MERGE INTO bank_ledger.site AS s USING (SELECT true) AS n ON true
      WHEN MATCHED THEN UPDATE SET name = ''mine'''),
    ('INSERT INTO bank_ledger.epoch SELECT max(number) + 1, 1, 1, now(), 1 FROM bank_ledger.epoch'),
    ('INSERT INTO bank_ledger.operator_act VALUES (gen_random_uuid(), ''customer_closing'',
      gen_random_uuid(), NULL, now(), ''somebody'', 1)'),
    ('INSERT INTO bank_ledger.seal VALUES (1000, 0, ''x'', ''x'', now())'),
    ('UPDATE bank_ledger.sealing SET period = period + 1'),
    ('UPDATE bank_ledger.sealing SET barrier = NULL'),
    ('DELETE FROM bank_ledger.sealing'),
    ('INSERT INTO bank_ledger.heartbeat (at) VALUES (''infinity'')'),
    ('DELETE FROM bank_ledger.heartbeat'),
    ('INSERT INTO bank_ledger.definition VALUES (''mine'', ''x'')'),
    ('UPDATE bank_ledger.definition SET digest = ''x'''),
    ('DELETE FROM bank_ledger.definition'),
    ('TRUNCATE bank_ledger.definition'),
    -- taking away what refuses
    ('ALTER TABLE bank_ledger.transfer DISABLE TRIGGER insert_only'),
    ('ALTER TABLE bank_ledger.transfer DISABLE TRIGGER ALL'),
    ('ALTER TABLE bank_ledger.transfer ENABLE REPLICA TRIGGER insert_only'),
    ('DROP TRIGGER insert_only ON bank_ledger.transfer'),
    ('DROP TRIGGER functions_only ON bank_ledger.account'),
    ('ALTER TRIGGER insert_only ON bank_ledger.transfer RENAME TO harmless'),
    ('CREATE OR REPLACE TRIGGER insert_only BEFORE UPDATE ON bank_ledger.transfer FOR EACH STATEMENT
      WHEN (false) EXECUTE FUNCTION bank_ledger.refuse_change()'),
    ('CREATE OR REPLACE FUNCTION bank_ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql
      AS ''BEGIN RETURN NULL; END'''),
    ('ALTER FUNCTION bank_ledger.refuse_change() SET search_path = public'),
    -- changing what is there without changing a row
    ('ALTER TABLE bank_ledger.customer ALTER COLUMN changed_at TYPE timestamptz USING now()'),
    ('ALTER TABLE bank_ledger.transfer DROP COLUMN actor'),
    ('ALTER TABLE bank_ledger.transfer ADD COLUMN extra text'),
    ('ALTER TABLE bank_ledger.transfer DROP CONSTRAINT transfer_pkey'),
    ('ALTER TABLE bank_ledger.transfer RENAME TO transfer_old'),
    ('ALTER TABLE bank_ledger.transfer SET SCHEMA public'),
    ('ALTER TABLE bank_ledger.transfer OWNER TO CURRENT_USER'),
    ('ALTER TABLE bank_ledger.transfer ENABLE ROW LEVEL SECURITY'),
    ('CREATE POLICY hide ON bank_ledger.transfer USING (false)'),
    ('CREATE RULE elsewhere AS ON INSERT TO bank_ledger.transfer DO INSTEAD NOTHING'),
    ('CREATE TABLE public.addition () INHERITS (bank_ledger.transfer)'),
    ('CREATE TRIGGER change BEFORE INSERT ON bank_ledger.transfer FOR EACH ROW
      EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
    -- hiding rows from who looks for them by an index
    ('ALTER INDEX bank_ledger.transfer_reverses_idx RENAME TO harmless'),
    ('ALTER TABLE bank_ledger.transfer_reverses_idx RENAME TO harmless'),
    ('ALTER INDEX bank_ledger.hold_pending_to_idx SET (fillfactor = 50)'),
    -- code of his that others would run when they write
    ('CREATE INDEX ON bank_ledger.heartbeat (pg_catalog.abs(beat_id))'),
    ('CREATE INDEX ON bank_ledger.heartbeat (at) WHERE pg_catalog.abs(beat_id) > 0')
) AS s (statement);
SELECT throws_ok('DROP INDEX ' || i.indexrelid::regclass, '42501', NULL, 'nor drop ' || i.indexrelid::regclass)
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
WHERE c.relnamespace = 'bank_ledger'::regnamespace AND c.relkind = 'r' AND NOT i.indisprimary;

-- Neither these nor the extension can be dropped by him at all.
SELECT throws_ok(s.statement, s.code, NULL, s.statement)
FROM (VALUES
    ('DROP TABLE bank_ledger.transfer', '2BP01'),
    ('DROP FUNCTION bank_ledger.refuse_change() CASCADE', '2BP01'),
    ('DROP EVENT TRIGGER bank_guard_change', '42501'),
    ('ALTER EXTENSION bank DROP TABLE bank_ledger.transfer', '42501'),
    ('DROP EXTENSION bank CASCADE', '42501')) AS s (statement, code);

SELECT lives_ok(s.statement, s.statement)
FROM (VALUES
    ('CREATE INDEX transfer_by_date ON bank_ledger.transfer (completed_at)'),
    ('DROP INDEX bank_ledger.transfer_by_date'),
    ('ANALYZE bank_ledger.transfer'),
    ('COMMENT ON TABLE bank_ledger.transfer IS ''mine'''),
    ('GRANT SELECT ON bank_ledger.transfer TO bank_report'),
    ('CREATE TABLE public.own (id int PRIMARY KEY)'),
    ('CREATE INDEX own_part ON public.own (pg_catalog.abs(id)) WHERE id > 0'),
    ('ALTER TABLE public.own ADD COLUMN note text'),
    ('CREATE RULE own_rule AS ON DELETE TO public.own DO INSTEAD NOTHING'),
    ('DROP RULE own_rule ON public.own'),
    ('DROP TABLE public.own'),
    ('SELECT bank_ledger.init(''ledger'', ''renamed'')'),
    ('SELECT bank_ledger.begin_epoch(0)'),
    ('SELECT bank_ledger.beat()'),
    ('SELECT bank_ledger.seal_next()')) AS s (statement);

-- A subscription writes row by row, and fires nothing by statement.
RESET ROLE;
ALTER TABLE bank_ledger.customer DISABLE TRIGGER functions_only;
SET LOCAL ROLE proprietor;
SELECT throws_ok(s.statement, '42501', NULL, s.statement || ', row by row')
FROM (VALUES ('INSERT INTO bank_ledger.customer VALUES (gen_random_uuid(), ''open'', now())'),
             ('UPDATE bank_ledger.customer SET status = ''open'''),
             ('DELETE FROM bank_ledger.customer')) AS s (statement);

RESET ROLE;
ALTER TABLE bank_ledger.customer ENABLE ALWAYS TRIGGER functions_only;
SELECT lives_ok(pg_temp.with_ids('SELECT bank.transfer({a}, {b}, 1)'),
                'the functions write what nobody else may');
SELECT lives_ok('ALTER TABLE bank_ledger.transfer ADD COLUMN extra text', 'a superuser may change a table');

-- Another role's own objects are none of the guard's business, even though it
-- may see nothing of the ledger.
CREATE ROLE neighbour;
GRANT CREATE ON SCHEMA public TO neighbour;
SET LOCAL ROLE neighbour;
CREATE TABLE public.near (id int);
ALTER TABLE public.near ADD COLUMN name text;
CREATE FUNCTION public.near_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER near_trigger BEFORE INSERT ON public.near FOR EACH ROW EXECUTE FUNCTION public.near_trigger();
SELECT lives_ok('DROP TRIGGER near_trigger ON public.near', 'a neighbour drops a trigger of his own');
RESET ROLE;

SELECT lives_ok('DROP EXTENSION bank CASCADE', 'the extension can be dropped');
SELECT is_empty($$SELECT evtname FROM pg_event_trigger WHERE evtname LIKE 'bank%'$$,
                'and its guards with it');

SELECT * FROM finish();
ROLLBACK;
