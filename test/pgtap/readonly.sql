-- Every function that writes refuses where writing is not allowed, before it
-- looks at anything else: in a read-only transaction and in a parallel worker.
-- Table access methods would not stop it.
BEGIN;
SELECT no_plan();
\ir setup/accounts.psql

CREATE TEMPORARY TABLE writer (name text, call text);
INSERT INTO writer VALUES
('bank.create_account', 'SELECT bank.create_account(''c0000000-0000-4000-8000-000000000070'')'),
('bank.create_account', 'SELECT bank.create_account(''c0000000-0000-4000-8000-000000000070'', ''BRL'', {a})'),
('bank.inactivate_customer', 'SELECT bank.inactivate_customer(''c0000000-0000-4000-8000-000000000072'')'),
('bank.inactivate_account', 'SELECT bank.inactivate_account({empty})'),
('bank.inactivate_account', 'SELECT bank.inactivate_account({closed})'),
('bank.reactivate_customer', 'SELECT bank.reactivate_customer(''c0000000-0000-4000-8000-000000000070'')'),
('bank.transfer', 'SELECT bank.transfer({a}, {b}, 1)'),
('bank.transfer', 'SELECT bank.transfer({a}, {b}, 10, ''ee000000-0000-4000-8000-000000000004'')'),
('bank.deposit', 'SELECT bank.deposit({a}, 1)'),
('bank.withdraw', 'SELECT bank.withdraw({a}, 1)'),
('bank.transfer_batch', 'SELECT bank.transfer_batch(ARRAY[{a}]::uuid[], ARRAY[{b}]::uuid[], ARRAY[1])'),
('bank.transfer_batch', 'SELECT bank.transfer_batch(''{}'', ''{}'', ''{}'')'),
('bank.hold', 'SELECT bank.hold({a}, {b}, 1, ''infinity'')'),
('bank.post_hold', 'SELECT bank.post_hold(''ee000000-0000-4000-8000-000000000005'')'),
('bank.void_hold', 'SELECT bank.void_hold(''ee000000-0000-4000-8000-000000000005'')'),
('bank.expire_holds', 'SELECT bank.expire_holds()'),
('bank.schedule_expiry', 'SELECT bank.schedule_expiry()'),
('bank.unschedule_expiry', 'SELECT bank.unschedule_expiry()'),
('bank.reverse', 'SELECT bank.reverse(''ee000000-0000-4000-8000-000000000004'')'),
('bank.set_limit', 'SELECT bank.set_limit({a}, 1)'),
('bank.accept_clock', 'SELECT bank.accept_clock({a})'),
('bank_report.requeue', 'SELECT bank_report.requeue(''ee000000-0000-4000-8000-000000000004'')'),
('bank_report.admit', 'SELECT bank_report.admit(1)'),
('bank_report.note_answers', 'SELECT bank_report.note_answers(0, 1, 0, 0)'),
('bank_report.schedule', 'SELECT bank_report.schedule()'),
('bank_report.unschedule', 'SELECT bank_report.unschedule()'),
('bank_ledger.init', 'SELECT bank_ledger.init(''ledger'', ''elsewhere'')'),
('bank_ledger.publish', 'SELECT bank_ledger.publish()'),
('bank_ledger.begin_epoch', 'SELECT bank_ledger.begin_epoch(1)'),
('bank_ledger.beat', 'SELECT bank_ledger.beat()'),
('bank_ledger.open_period', 'SELECT bank_ledger.open_period()'),
('bank_ledger.seal_next', 'SELECT bank_ledger.seal_next()');

-- A function that writes and is not in the list is not tested.
SELECT set_eq(
    $$SELECT p.oid::regproc::text FROM pg_proc AS p
      WHERE p.pronamespace IN ('bank'::regnamespace, 'bank_ledger'::regnamespace, 'bank_report'::regnamespace)
        AND p.prokind = 'f' AND p.provolatile = 'v' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
        AND p.oid NOT IN ('bank.balance'::regproc, 'bank.balance_at'::regproc)$$,
    'SELECT DISTINCT name FROM writer', 'the list of writers is complete');
SELECT is_empty(
    'SELECT name FROM writer JOIN pg_proc ON oid = name::regproc WHERE proparallel <> ''u''',
    'none of them is marked safe for workers');

CREATE TEMPORARY TABLE before AS
SELECT (SELECT sum(version) FROM bank_ledger.account) AS versions,
       (SELECT count(*) FROM bank_ledger.customer) AS customers;

SELECT throws_ok('SET LOCAL transaction_read_only = on; ' || pg_temp.with_ids(call), '25006', NULL,
                 'read only: ' || call)
FROM writer;

-- Marked safe by someone who did not know better, they are run by a worker.
CREATE FUNCTION pg_temp.in_worker(name text, call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER FUNCTION %s PARALLEL SAFE', name::regproc);
    RETURN throws_ok(
        format('SET LOCAL %I = on; %s',
               (SELECT s.name FROM pg_settings AS s
                WHERE s.name IN ('force_parallel_mode', 'debug_parallel_query')),
               pg_temp.with_ids(call)),
        '25000', NULL, 'worker: ' || call);
END
$$;
SELECT pg_temp.in_worker(name, call) FROM writer
WHERE name IN (SELECT p.oid::regproc::text FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
               WHERE l.lanname = 'c');

SELECT results_eq(
    'SELECT (SELECT sum(version) FROM bank_ledger.account), (SELECT count(*) FROM bank_ledger.customer)',
    'SELECT versions, customers FROM before', 'nothing was written');

-- What only reads goes on, in both.
SELECT lives_ok('SET LOCAL transaction_read_only = on; ' || pg_temp.with_ids(call), 'read only: ' || call)
FROM (VALUES ('SELECT bank.ledger_balance({a})'), ('SELECT * FROM bank.verify()')) AS reader (call);

SELECT * FROM finish();
ROLLBACK;
