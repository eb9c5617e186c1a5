-- Every refusal has its SQLSTATE, one line for people, a detail, and leaves
-- nothing behind.
BEGIN;
SELECT no_plan();
\ir setup/accounts.psql

-- A payer and a payee with holds in every state, a transfer that was reversed,
-- and a limit of 100 of which 55 are paid.
INSERT INTO account_named
SELECT n.name, (bank.create_account('c0000000-0000-4000-8000-000000000070')).account_id
FROM (VALUES ('payer'), ('payee')) AS n (name);
SELECT lives_ok(pg_temp.with_ids(s.statement), s.statement)
FROM (VALUES
    ('SELECT bank.deposit({payer}, 500, ''ee000000-0000-4000-8000-000000000020'', ''salary'')'),
    ('SELECT bank.deposit({payer}, 7, ''ee000000-0000-4000-8000-000000000021'')'),
    ('SELECT bank.reverse(''ee000000-0000-4000-8000-000000000021'', ''ee000000-0000-4000-8000-000000000022'')'),
    ('SELECT bank.hold({payer}, {payee}, 50, ''infinity'', ''e1000000-0000-4000-8000-000000000001'')'),
    ('SELECT bank.hold({payer}, {payee}, 10, ''infinity'', ''e1000000-0000-4000-8000-000000000002'')'),
    ('SELECT bank.void_hold(''e1000000-0000-4000-8000-000000000002'')'),
    ('SELECT bank.hold({payer}, {payee}, 10, ''infinity'', ''e1000000-0000-4000-8000-000000000003'')'),
    ('SELECT bank.post_hold(''e1000000-0000-4000-8000-000000000003'', 5)'),
    ('SELECT bank.hold({payer}, {payee}, 3, clock_timestamp() + interval ''1 s'', ''e1000000-0000-4000-8000-000000000004'')'),
    ('SELECT bank.set_limit({payer}, 100)'),
    ('SELECT pg_sleep(1.002)')) AS s (statement);

CREATE TEMPORARY TABLE refused (code text, statement text, seen_code text,
                                message text, detail text, hint text);
INSERT INTO refused (code, statement) VALUES
-- accounts nobody has, and those nobody may name
('LG001', 'bank.transfer({unknown}, {b}, 1)'),
('LG001', 'bank.transfer({a}, {unknown}, 1)'),
('LG001', 'bank.deposit({unknown}, 1)'),
('LG001', 'bank.withdraw({unknown}, 1)'),
('LG001', 'bank.inactivate_account({unknown})'),
('LG001', 'bank.ledger_balance({unknown})'),
('LG001', 'bank.statement({unknown}, now(), now())'),
('LG001', 'bank.balance_at({unknown}, now())'),
('LG001', 'bank.transfer({settlement}, {b}, 1)'),
('LG001', 'bank.transfer({a}, {settlement}, 1)'),
('LG001', 'bank.deposit({settlement}, 1)'),
('LG001', 'bank.withdraw({settlement}, 1)'),
('LG001', 'bank.inactivate_account({settlement})'),
('LG001', 'bank.ledger_balance({settlement})'),
('LG001', 'bank.statement({settlement}, now(), now())'),
('LG001', 'bank.balance_at({settlement}, now())'),
('LG001', 'bank.hold({unknown}, {b}, 1, ''infinity'')'),
('LG001', 'bank.hold({a}, {settlement}, 1, ''infinity'')'),
('LG001', 'bank.set_limit({settlement}, 1)'),
('LG001', 'bank.set_limit({unknown}, NULL)'),
('LG001', 'bank.accept_clock({unknown})'),
-- customers as customer-api has them
('LG002', 'bank.create_account(''00000000-0000-4000-8000-000000000404'')'),
('LG002', 'bank.reactivate_customer(''00000000-0000-4000-8000-000000000404'')'),
('LG003', 'bank.create_account(''00000000-0000-4000-8000-000000000422'')'),
('LG003', 'bank.reactivate_customer(''00000000-0000-4000-8000-000000000422'')'),
('LG011', 'bank.create_account(''00000000-0000-4000-8000-000000000503'')'),
('LG011', 'bank.reactivate_customer(''00000000-0000-4000-8000-000000000503'')'),
-- states
('LG004', 'bank.transfer({closed}, {b}, 1)'),
('LG004', 'bank.transfer({a}, {closed}, 1)'),
('LG004', 'bank.deposit({closed}, 1)'),
('LG004', 'bank.withdraw({closed}, 1)'),
('LG005', 'bank.transfer({a}, {b}, 991)'),
('LG005', 'bank.transfer({a}, {b}, 9007199254740991)'),
('LG005', 'bank.transfer({empty}, {empty_too}, 1)'),
('LG005', 'bank.withdraw({a}, 991)'),
('LG005', 'bank.withdraw({empty}, 1)'),
('LG006', 'bank.transfer({a}, {foreign}, 1)'),
('LG006', 'bank.transfer({foreign}, {a}, 1)'),
('LG007', 'bank.transfer({a}, {dollars}, 1)'),
('LG007', 'bank.transfer({dollars}, {a}, 1)'),
('LG010', 'bank.inactivate_account({a})'),
('LG010', 'bank.inactivate_customer(''c0000000-0000-4000-8000-000000000070'')'),
('LG004', 'bank.hold({closed}, {b}, 1, ''infinity'')'),
('LG004', 'bank.hold({a}, {closed}, 1, ''infinity'')'),
('LG004', 'bank.set_limit({closed}, 1)'),
('LG004', 'bank.accept_clock({closed})'),
('LG005', 'bank.hold({a}, {b}, 991, ''infinity'')'),
('LG005', 'bank.transfer({payer}, {payee}, 446)'),
('LG005', 'bank.reverse(''ee000000-0000-4000-8000-000000000001'')'),
('LG006', 'bank.hold({a}, {foreign}, 1, ''infinity'')'),
('LG007', 'bank.hold({a}, {dollars}, 1, ''infinity'')'),
('LG010', 'bank.inactivate_account({payee})'),
('LG012', 'bank.transfer({payer}, {payee}, 46)'),
('LG012', 'bank.withdraw({payer}, 46)'),
('LG012', 'bank.hold({payer}, {payee}, 46, ''infinity'')'),
('LG014', 'bank.balance({unknown})'),
('LG015', 'bank.post_hold(''e1000000-0000-4000-8000-000000000002'')'),
('LG015', 'bank.post_hold(''e1000000-0000-4000-8000-000000000003'')'),
('LG015', 'bank.post_hold(''e1000000-0000-4000-8000-000000000003'', 6)'),
('LG015', 'bank.void_hold(''e1000000-0000-4000-8000-000000000003'')'),
('LG015', 'bank.post_hold(''e1000000-0000-4000-8000-000000000004'')'),
('LG015', 'bank.void_hold(''e1000000-0000-4000-8000-000000000004'')'),
('LG016', 'bank.post_hold(''ee000000-0000-4000-8000-000000000004'')'),
('LG016', 'bank.void_hold(''ee000000-0000-4000-8000-00000000ffff'')'),
('LG016', 'bank.reverse(''ee000000-0000-4000-8000-00000000ffff'')'),
('LG017', 'bank.reverse(''ee000000-0000-4000-8000-000000000021'')'),
('LG017', 'bank.reverse(''ee000000-0000-4000-8000-000000000021'', ''ee000000-0000-4000-8000-00000000ffff'')'),
('LG017', 'bank.reverse(''ee000000-0000-4000-8000-000000000022'')'),
('LG016', 'bank_report.requeue(''ee000000-0000-4000-8000-00000000ffff'')'),
-- keys that name something else
('LG008', 'bank.transfer({a}, {b}, 11, ''ee000000-0000-4000-8000-000000000004'')'),
('LG008', 'bank.transfer({b}, {a}, 10, ''ee000000-0000-4000-8000-000000000004'')'),
('LG008', 'bank.deposit({a}, 999, ''ee000000-0000-4000-8000-000000000001'')'),
('LG008', 'bank.deposit({b}, 1000, ''ee000000-0000-4000-8000-000000000001'')'),
('LG008', 'bank.withdraw({a}, 1000, ''ee000000-0000-4000-8000-000000000001'')'),
('LG008', 'bank.transfer({a}, {b}, 1000, ''ee000000-0000-4000-8000-000000000001'')'),
('LG008', 'bank.create_account(''c0000000-0000-4000-8000-000000000070'', ''USD'', {a})'),
('LG008', 'bank.create_account(''c0000000-0000-4000-8000-000000000071'', ''BRL'', {a})'),
('22023', 'bank.create_account(''c0000000-0000-4000-8000-000000000070'', ''BRL'', {settlement})'),
('LG008', 'bank.deposit({payer}, 500, ''ee000000-0000-4000-8000-000000000020'')'),
('LG008', 'bank.deposit({payer}, 500, ''ee000000-0000-4000-8000-000000000020'', ''wages'')'),
('LG008', 'bank.hold({payer}, {payee}, 51, ''infinity'', ''e1000000-0000-4000-8000-000000000001'')'),
('LG008', 'bank.hold({payer}, {payee}, 50, ''2100-01-01'', ''e1000000-0000-4000-8000-000000000001'')'),
('LG008', 'bank.hold({payee}, {payer}, 50, ''infinity'', ''e1000000-0000-4000-8000-000000000001'')'),
('LG008', 'bank.hold({payer}, {payee}, 50, ''infinity'', ''e1000000-0000-4000-8000-000000000001'', ''x'')'),
('LG008', 'bank.hold({a}, {b}, 10, ''infinity'', ''ee000000-0000-4000-8000-000000000004'')'),
('LG008', 'bank.reverse(''ee000000-0000-4000-8000-000000000004'', ''ee000000-0000-4000-8000-000000000001'')'),
('LG008', 'bank.reverse(''ee000000-0000-4000-8000-000000000004'', ''ee000000-0000-4000-8000-000000000022'')'),
-- null
('22004', 'bank.hold(NULL, {b}, 1, ''infinity'')'),
('22004', 'bank.hold({a}, NULL, 1, ''infinity'')'),
('22004', 'bank.hold({a}, {b}, NULL, ''infinity'')'),
('22004', 'bank.hold({a}, {b}, 1, NULL)'),
('22004', 'bank.post_hold(NULL)'),
('22004', 'bank.void_hold(NULL)'),
('22004', 'bank.expire_holds(NULL)'),
('22004', 'bank.reverse(NULL)'),
('22004', 'bank.set_limit(NULL, 1)'),
('22004', 'bank.accept_clock(NULL)'),
('22004', 'bank.transfer_batch(NULL, ''{}'', ''{}'')'),
('22004', 'bank.transfer_batch(''{}'', ''{}'', NULL)'),
('22004', 'bank.create_account(NULL)'),
('22004', 'bank.create_account(''c0000000-0000-4000-8000-000000000070'', NULL)'),
('22004', 'bank.inactivate_customer(NULL)'),
('22004', 'bank.inactivate_account(NULL)'),
('22004', 'bank.reactivate_customer(NULL)'),
('22004', 'bank.transfer(NULL, {b}, 1)'),
('22004', 'bank.transfer({a}, NULL, 1)'),
('22004', 'bank.transfer({a}, {b}, NULL)'),
('22004', 'bank.transfer(NULL, NULL, NULL, NULL)'),
('22004', 'bank.deposit(NULL, 1)'),
('22004', 'bank.deposit({a}, NULL)'),
('22004', 'bank.withdraw(NULL, 1)'),
('22004', 'bank.withdraw({a}, NULL)'),
('22004', 'bank.ledger_balance(NULL)'),
('22004', 'bank.statement(NULL, now(), now())'),
('22004', 'bank.statement({a}, NULL, now())'),
('22004', 'bank.statement({a}, now(), NULL)'),
('22004', 'bank.statement({a}, now(), now(), NULL, NULL)'),
('22023', 'bank.statement({a}, now(), now() - interval ''1 s'')'),
('22023', 'bank.statement({a}, now(), now(), -1)'),
('22023', 'bank.statement({a}, now(), now(), NULL, 0)'),
('22023', 'bank.statement({a}, now(), now(), NULL, 10001)'),
('22023', 'bank.verify(NULL, now(), now() - interval ''1 s'')'),
('22023', 'bank.verify({a}, now(), now())'),
('22023', 'bank.verify(since => ''infinity'')'),
('22023', 'bank.verify(until => ''-infinity'')'),
('22004', 'bank.balance_at(NULL, now())'),
('22004', 'bank.balance_at({a}, NULL)'),
('22023', 'bank.format_amount(1, ''XTS'')'),
('22004', 'bank.balance(NULL)'),
('22004', 'bank.balance({a}, NULL)'),
('22004', 'bank_report.requeue(NULL)'),
('22004', 'bank_report.schedule(NULL)'),
-- arguments that make no sense
('22023', 'bank.transfer({a}, {b}, 0)'),
('22023', 'bank.transfer({a}, {b}, -1)'),
('22023', 'bank.transfer({a}, {b}, -9223372036854775808)'),
('22023', 'bank.transfer({a}, {a}, 1)'),
('22023', 'bank.transfer({unknown}, {unknown}, 1)'),
('22023', 'bank.deposit({a}, 0)'),
('22023', 'bank.deposit({a}, -1)'),
('22023', 'bank.withdraw({a}, 0)'),
('22023', 'bank.withdraw({a}, -9223372036854775808)'),
('22023', 'bank.create_account(''c0000000-0000-4000-8000-000000000070'', ''XYZ'')'),
('22023', 'bank.create_account(''c0000000-0000-4000-8000-000000000070'', ''brl'')'),
('22023', 'bank.create_account(''c0000000-0000-4000-8000-000000000070'', '''')'),
('22023', 'bank.create_account(''c0000000-0000-4000-8000-000000000070'', ''BRL '')'),
('22023', 'bank.create_account(''c0000000-0000-4000-8000-000000000070'', repeat(''B'', 100000))'),
('22023', 'bank.balance({a}, -1)'),
('22023', 'bank_report.schedule(0)'),
('22023', 'bank_report.schedule(-5)'),
('22023', 'bank_report.schedule(7)'),
('22023', 'bank_report.schedule(61)'),
('22023', 'bank_report.schedule(2880)'),
('22023', 'bank_report.schedule(2147483647)'),
('22023', 'bank.transfer({a}, {b}, 1, NULL, repeat(''é'', 141))'),
('22023', 'bank.deposit({a}, 1, NULL, repeat(''x'', 141))'),
('22023', 'bank.hold({a}, {b}, 1, ''infinity'', NULL, repeat(''x'', 141))'),
('22023', 'bank.hold({a}, {b}, 0, ''infinity'')'),
('22023', 'bank.hold({a}, {a}, 1, ''infinity'')'),
('22023', 'bank.hold({a}, {b}, 1, ''2000-01-01'')'),
('22023', 'bank.hold({a}, {b}, 1, ''-infinity'')'),
('22023', 'bank.post_hold(''e1000000-0000-4000-8000-000000000001'', 51)'),
('22023', 'bank.post_hold(''e1000000-0000-4000-8000-000000000001'', 0)'),
('22023', 'bank.seal(5, 1)'),
('22023', 'bank.seal(0)'),
('22023', 'bank.seal(1, 1000000)'),
('22023', 'bank.expire_holds(0)'),
('22023', 'bank.expire_holds(10001)'),
('22023', 'bank.set_limit({a}, -1)'),
('22023', 'bank.transfer_batch(''{}'', ARRAY[{a}]::uuid[], ''{}'')'),
('22023', 'bank.transfer_batch(ARRAY[{a}]::uuid[], ARRAY[{b}]::uuid[], ''{1}'', ''{}'')'),
('22023', 'bank.transfer_batch(ARRAY[[{a}]]::uuid[], ARRAY[[{b}]]::uuid[], ''{{1}}'')'),
('22023', 'bank.transfer_batch(array_fill({a}::uuid, ARRAY[10001]), array_fill({b}::uuid, ARRAY[10001]), array_fill(1::bigint, ARRAY[10001]))'),
-- out of range
('22003', 'bank.hold({a}, {b}, 9007199254740992, ''infinity'')'),
('22003', 'bank.set_limit({a}, 9007199254740992)'),
('22003', 'bank.transfer({a}, {b}, 9007199254740992)'),
('22003', 'bank.deposit({a}, 9007199254740992)'),
('22003', 'bank.deposit({a}, 9223372036854775807)'),
('22003', 'bank.withdraw({a}, 9223372036854775807)'),
('22003', 'bank.deposit({a}, 9007199254740991)'),
('22003', 'bank.transfer({a}, {b}, ''99999999999999999999'')'),
-- not a uuid, not a number
('22P02', 'bank.create_account(''7'')'),
('22P02', 'bank.transfer(''x'', {b}, 1)'),
('22P02', 'bank.transfer({a}, {b}, 1, ''x'')'),
('22P02', 'bank.deposit({a}, ''10.50'')'),
('22P02', 'bank.inactivate_customer('''')'),
('22P02', 'bank.balance(''x'')');

INSERT INTO account_named
SELECT 'empty_too', (bank.create_account('c0000000-0000-4000-8000-000000000072')).account_id;

CREATE FUNCTION pg_temp.state() RETURNS text LANGUAGE sql AS $$
    SELECT md5(concat((SELECT string_agg(t::text, ',' ORDER BY t::text) FROM bank_ledger.account AS t),
                      (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM bank_ledger.account_event AS t),
                      (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM bank_ledger.transfer AS t),
                      (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM bank_ledger.hold AS t),
                      (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM bank_ledger.customer AS t),
                      (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM bank_ledger.operator_act AS t),
                      (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM bank_report.notification AS t)))
$$;
CREATE TEMPORARY TABLE before AS SELECT pg_temp.state() AS state;

CREATE PROCEDURE pg_temp.try_all() LANGUAGE plpgsql AS $$
DECLARE
    attempt record;
    seen refused;
BEGIN
    FOR attempt IN SELECT r.statement FROM refused AS r LOOP
        seen := NULL;
        BEGIN
            PERFORM pg_temp.run('SELECT ' || attempt.statement);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS seen.seen_code = RETURNED_SQLSTATE,
                seen.message = MESSAGE_TEXT, seen.detail = PG_EXCEPTION_DETAIL,
                seen.hint = PG_EXCEPTION_HINT;
        END;
        UPDATE refused SET seen_code = coalesce(seen.seen_code, 'none'), message = seen.message,
            detail = seen.detail, hint = seen.hint
        WHERE statement = attempt.statement;
    END LOOP;
END
$$;
CALL pg_temp.try_all();

SELECT is(seen_code, code, left(statement, 90)) FROM refused;
SELECT is(pg_temp.state(), state, 'none of them left anything') FROM before;

-- How they read.  Messages of types and their input are the server's own.
SELECT is_empty(
    $$SELECT statement, message FROM refused WHERE message ~ E'\n' OR message ~ '^[A-Z]' OR message ~ '\.$'$$,
    'messages are one line, in lower case, without a full stop');
SELECT is_empty(
    $$SELECT statement, detail, hint FROM refused
      WHERE detail <> '' AND detail !~ '^([A-Z][^\n]*\.(\n|$))+$'
         OR hint <> '' AND hint !~ '^[A-Zb][^\n]*\.$'$$,
    'details are sentences, one a line; hints are one');
SELECT is_empty($$SELECT statement, message FROM refused WHERE message ~ '[0-9]' AND message !~ 'type '$$,
                'ids and numbers are in the detail');
SELECT is_empty(
    $$SELECT statement FROM refused
      WHERE (code LIKE 'LG%' OR code IN ('22003', '22023')) AND detail = '' AND message !~ 'currency|type'$$,
    'which every refusal of ours has');
SELECT is_empty(
    $$SELECT statement, detail FROM refused
      WHERE code IN ('LG001', 'LG002', 'LG003', 'LG004', 'LG005', 'LG006', 'LG007', 'LG010', 'LG012', 'LG014', 'LG015', 'LG016', 'LG017')
        AND detail !~ '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'$$,
    'and names the id it is about');
SELECT is_empty(
    $$SELECT statement, message FROM refused
      WHERE code ~ '^(LG|22)' AND hint = '' AND message !~ 'type '$$,
    'the hint of every refusal of ours says what to do');

-- A key that was refused is free, and a replay outlives the closing.
SELECT throws_ok(pg_temp.with_ids($$SELECT bank.transfer({a}, {b}, 5000, 'ee000000-0000-4000-8000-000000000009')$$),
                 'LG005', NULL, 'a key is refused');
SELECT lives_ok(pg_temp.with_ids($$SELECT bank.transfer({b}, {a}, 7, 'ee000000-0000-4000-8000-000000000009')$$),
                'and then used for something else');
SELECT lives_ok(pg_temp.with_ids(s.statement), s.statement)
FROM (VALUES ('SELECT bank.withdraw({dollars}, 100, ''ee000000-0000-4000-8000-000000000010'')'),
             ('SELECT bank.inactivate_account({dollars})'),
             ('SELECT bank.withdraw({dollars}, 100, ''ee000000-0000-4000-8000-000000000010'')'),
             ('SELECT bank.deposit({dollars}, 100, ''ee000000-0000-4000-8000-000000000003'')')) AS s (statement);
SELECT is(version, 4::bigint, 'a replay posts nothing')
FROM bank_ledger.account JOIN account_named ON id = account_id WHERE name = 'dollars';

-- LG013: closing
SELECT lives_ok($$SELECT bank.inactivate_customer('c0000000-0000-4000-8000-000000000072')$$, 'a customer leaves');
SELECT throws_ok($$SELECT bank.create_account('c0000000-0000-4000-8000-000000000072')$$, 'LG013', NULL,
                 'and gets no account');

-- LG019: a database that is no ledger, or does not say what it is
CREATE FUNCTION pg_temp.without_ledger(how text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    writer text;
BEGIN
    FOREACH writer IN ARRAY ARRAY[
        'bank.create_account(''c0000000-0000-4000-8000-000000000070'')',
        'bank.inactivate_customer(''c0000000-0000-4000-8000-000000000070'')',
        'bank.inactivate_account({b})',
        'bank.reactivate_customer(''c0000000-0000-4000-8000-000000000070'')',
        'bank.transfer({a}, {b}, 1)', 'bank.deposit({a}, 1)', 'bank.withdraw({a}, 1)',
        'bank.transfer_batch(''{}'', ''{}'', ''{}'')', 'bank.hold({a}, {b}, 1, ''infinity'')',
        'bank.post_hold(''e1000000-0000-4000-8000-000000000001'')',
        'bank.void_hold(''e1000000-0000-4000-8000-000000000001'')', 'bank.expire_holds()',
        'bank.reverse(''ee000000-0000-4000-8000-000000000004'')', 'bank.set_limit({a}, 1)',
        'bank.accept_clock({a})',
        'bank_report.requeue(''ee000000-0000-4000-8000-000000000004'')',
        'bank_report.schedule()', 'bank_report.unschedule()']
    LOOP
        RETURN NEXT throws_ok(pg_temp.with_ids('SELECT ' || writer), 'LG019', NULL, how || ': ' || writer);
    END LOOP;
END
$$;
SELECT lives_ok($$SELECT bank_ledger.init('search', 'test')$$, 'this is a search database now');
SELECT pg_temp.without_ledger('search');
SELECT lives_ok('DELETE FROM bank_ledger.site', 'and now it is nothing');
SELECT pg_temp.without_ledger('no site');

SELECT * FROM finish();
ROLLBACK;
