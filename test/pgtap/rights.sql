-- Who may what of limits, and who is said to have done it.
BEGIN;
SELECT no_plan();
\ir setup/accounts.psql

-- As the web server does: its own login, and a role and claims for each request.
CREATE ROLE bank_web NOINHERIT;
GRANT bank_customer, bank_operator TO bank_web;
CREATE FUNCTION pg_temp.as_web(role text, claims text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL SESSION AUTHORIZATION bank_web;
    PERFORM set_config('role', role, true), set_config('request.jwt.claims', claims, true);
    EXECUTE statement;
    SET LOCAL SESSION AUTHORIZATION DEFAULT;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

CREATE TEMPORARY TABLE tried (role text, claims text, statement text, outcome text);
INSERT INTO tried VALUES
('bank_operator', '{"sub": "oda"}', 'SELECT bank.set_limit({a}, 500)', 'done'),
('bank_customer', '{"sub": "ana", "customer_id": "c0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.set_limit({a}, 400)', 'done'),
-- again, as after an answer that was lost
('bank_customer', '{"sub": "ana", "customer_id": "c0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.set_limit({a}, 400)', 'done'),
-- and what takes a raise back that has not begun
('bank_operator', '{"sub": "oda"}', 'SELECT bank.set_limit({a}, 600)', 'done'),
('bank_customer', '{"sub": "ana", "customer_id": "c0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.set_limit({a}, 400)', 'done'),
-- none where there is none raises nothing
('bank_customer', '{"sub": "ana", "customer_id": "c0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.set_limit({b}, NULL)', 'done'),
('bank_customer', '{"sub": "ana", "customer_id": "C0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.set_limit({b}, 1)', 'done'),
('bank_customer', '{"sub": "ana", "customer_id": "c0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.set_limit({a}, 401)', '42501'),
('bank_customer', '{"sub": "ana", "customer_id": "c0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.set_limit({a}, NULL)', '42501'),
('bank_customer', '{"sub": "ana", "customer_id": "c0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.set_limit({foreign}, 1)', 'LG001'),
('bank_customer', '{"sub": "ana", "customer_id": "c0000000-0000-4000-8000-000000000070"}',
 'SELECT bank.accept_clock({a})', '42501'),
('bank_customer', '{"sub": "ana"}', 'SELECT bank.set_limit({a}, 1)', '42501'),
('bank_customer', '', 'SELECT bank.set_limit({a}, 1)', '42501'),
('bank_customer', '', 'SELECT bank.set_limit(''a0000000-0000-4000-8000-00000000ffff'', 1)', '42501'),
('bank_customer', 'no JSON', 'SELECT bank.set_limit({a}, 1)', '22023'),
('bank_operator', '{"sub": "oda"}', 'SELECT bank.accept_clock({a})', 'done');
SELECT is(pg_temp.as_web(role, claims, pg_temp.with_ids(statement)), outcome,
          format('%s %s: %s', role, claims, statement))
FROM tried;

SELECT results_eq(
    $$SELECT e.actor FROM bank_ledger.account_event AS e JOIN account_named ON id = account_id
      WHERE name = 'a' AND kind = 'limit_set' ORDER BY version$$,
    ARRAY['bank_operator/oda', 'bank_customer/ana', 'bank_customer/ana', 'bank_operator/oda', 'bank_customer/ana'],
    'the journal says who it was');
SELECT ok(daily_limit = 400 AND next_limit_day IS NULL, 'a customer''s limit stands, and no raise of it')
FROM bank_ledger.account JOIN account_named ON id = account_id WHERE name = 'a';

-- Anybody may set a setting: claims count only where the web server vouches.
SELECT pg_temp.with_ids('SELECT bank.set_limit({a}, 1)') AS by_customer \gset
SET LOCAL request.jwt.claims = '{"sub": "eve", "customer_id": "c0000000-0000-4000-8000-000000000070"}';
SET LOCAL ROLE bank_customer;
SELECT throws_ok(:'by_customer', '42501', NULL, 'no claim of one''s own making');
RESET ROLE;
SELECT lives_ok(pg_temp.with_ids('SELECT bank.deposit({a}, 1, ''ee000000-0000-4000-8000-000000000030'')'), 'a deposit');
SELECT is(actor, current_user::text, 'by a role alone') FROM bank_ledger.transfer
WHERE transfer_id = 'ee000000-0000-4000-8000-000000000030';

SELECT * FROM finish();
ROLLBACK;
