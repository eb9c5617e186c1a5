-- bank.verify() names each invariant that is broken, and of what.  Every case
-- breaks one thing behind the ledger's back and is undone.
BEGIN;
SELECT no_plan();
\ir setup/accounts.psql
SET LOCAL session_replication_role = origin;

-- Holds: 11 pending, 12 posted in part, 13 voided; a transfer and a deposit
-- reversed; a limit; a seal over all of it, and one more transfer.
SELECT lives_ok(pg_temp.with_ids(s.statement), s.statement)
FROM (VALUES
    ('SELECT bank.hold({a}, {b}, 20, now() + interval ''1 day'', ''ee000000-0000-4000-8000-000000000011'')'),
    ('SELECT bank.hold({a}, {b}, 30, now() + interval ''1 day'', ''ee000000-0000-4000-8000-000000000012'')'),
    ('SELECT bank.post_hold(''ee000000-0000-4000-8000-000000000012'', 25)'),
    ('SELECT bank.hold({a}, {b}, 40, now() + interval ''1 day'', ''ee000000-0000-4000-8000-000000000013'')'),
    ('SELECT bank.void_hold(''ee000000-0000-4000-8000-000000000013'')'),
    ('SELECT bank.transfer({a}, {b}, 15, ''ee000000-0000-4000-8000-000000000005'', ''rent'')'),
    ('SELECT bank.reverse(''ee000000-0000-4000-8000-000000000005'', ''ee000000-0000-4000-8000-000000000006'')'),
    ('SELECT bank.reverse(''ee000000-0000-4000-8000-000000000003'', ''ee000000-0000-4000-8000-000000000007'')'),
    ('SELECT bank.set_limit({a}, 5000)'),
    ('SELECT bank.set_limit({a}, 9000)'),
    ('SELECT bank.inactivate_customer(''c0000000-0000-4000-8000-000000000079'')'),
    ('INSERT INTO bank_ledger.seal (number, entries, root, previous, sealed_at)
      SELECT 1, r.entries, r.root, decode(repeat(''00'', 32), ''hex''), now()
      FROM bank_ledger.roots(1, 1) AS r'),
    ('UPDATE bank_ledger.sealing SET period = 2'),
    ('SELECT bank.transfer({b}, {a}, 5, ''ee000000-0000-4000-8000-000000000008'')')) AS s (statement);

-- What a superuser can take away is no hindrance to a breakage.
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT conrelid::regclass AS relation, conname FROM pg_constraint
             WHERE contype = 'c' AND connamespace = 'bank_ledger'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.relation, c.conname);
    END LOOP;
END
$$;

-- A journal row with some columns changed, as json says.
CREATE FUNCTION pg_temp.changed(event bank_ledger.account_event, change text)
RETURNS SETOF bank_ledger.account_event LANGUAGE sql AS $$
    SELECT * FROM jsonb_populate_record(changed.event, changed.change::jsonb)
$$;

-- What verify() says after a breakage; the breakage is rolled back.
CREATE FUNCTION pg_temp.found_after(breakage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    BEGIN
        ALTER TABLE bank_ledger.transfer DISABLE TRIGGER USER;
        ALTER TABLE bank_ledger.account_event DISABLE TRIGGER USER;
        ALTER TABLE bank_ledger.seal DISABLE TRIGGER USER;
        ALTER TABLE bank_ledger.epoch DISABLE TRIGGER USER;
        ALTER TABLE bank_ledger.operator_act DISABLE TRIGGER USER;
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
 'UPDATE bank_ledger.transfer SET to_account = from_account WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(1, 'transfer ee000000-0000-4000-8000-000000000004',
 'UPDATE bank_ledger.transfer SET amount = -amount WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
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
 'INSERT INTO bank_ledger.account_event SELECT c.* FROM bank_ledger.account_event AS e,
  pg_temp.changed(e, ''{"kind": "limit_set", "version": 2, "balance": 1000}'') AS c
  WHERE e.account_id = {a} AND e.version = 1'),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET customer_id = gen_random_uuid() WHERE account_id = {a} AND version = 1'),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET currency = ''USD'' WHERE account_id = {a} AND version = 1'),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET status = ''inactive'' WHERE account_id = {a} AND version = 1'),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET kind = ''limit_set'' WHERE account_id = {a} AND version = 1'),
(2, 'account {a}',
 'UPDATE bank_ledger.transfer SET from_balance = 9223372036854775807 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {b}',
 'UPDATE bank_ledger.transfer SET to_held = 5 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a}', 'UPDATE bank_ledger.account SET daily_limit = 6000 WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account SET next_limit = NULL WHERE account_id = {a}'),
(2, 'account {a}',
 'UPDATE bank_ledger.account SET next_limit_day = next_limit_day - 3 WHERE account_id = {a}'),
(2, 'account {a}',
 'UPDATE bank_ledger.account SET daily_limit = next_limit, next_limit = NULL, next_limit_day = NULL
  WHERE account_id = {a}'),
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
(4, 'account {a}',
 'UPDATE bank_ledger.account SET opened_at = opened_at - interval ''1 hour'' WHERE account_id = {a}'),
(4, 'account {closed}',
 'INSERT INTO bank_ledger.account_event SELECT c.* FROM bank_ledger.account_event AS e,
  pg_temp.changed(e, ''{"version": 3}'') AS c WHERE e.account_id = {closed} AND e.kind = ''inactivated'';
  UPDATE bank_ledger.account SET version = version + 1 WHERE account_id = {closed}'),
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
 'UPDATE bank_ledger.transfer SET kind = ''withdrawal'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000001'''),
-- Digests and chains: what nothing else shows.
(2, 'account {a}', 'UPDATE bank_ledger.transfer SET reference = ''food'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000005'''),
(2, 'account {b}', 'UPDATE bank_ledger.transfer SET actor = ''somebody'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {b}', 'UPDATE bank_ledger.transfer SET actor = repeat(''x'', 5000) WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a}', 'UPDATE bank_ledger.account_event SET actor = ''somebody'' WHERE account_id = {a} AND version = 1'),
(2, 'account {a}',
 'UPDATE bank_ledger.account_event SET due_at = due_at + interval ''1 s'' WHERE account_id = {a} AND kind = ''limit_set'''),
(2, 'account {a}', 'UPDATE bank_ledger.transfer SET period = 2 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a}', 'UPDATE bank_ledger.transfer SET period = 3 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000008'''),
(2, 'account {a}',
 'UPDATE bank_ledger.transfer SET from_digest = to_digest WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a}',
 'UPDATE bank_ledger.transfer SET from_previous = NULL WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a}',
 'UPDATE bank_ledger.account_event SET previous_transfer = NULL WHERE account_id = {a} AND kind = ''limit_set'''),
(2, 'account {a}', 'UPDATE bank_ledger.account SET last_transfer = NULL WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account SET digest = sha256(digest) WHERE account_id = {a}'),
-- The creation of a hold missing, all later rows and the account made to agree.
(2, 'account {a}',
 'DELETE FROM bank_ledger.account_event WHERE account_id = {a} AND version = 4;
  DELETE FROM bank_ledger.hold WHERE hold_id = ''ee000000-0000-4000-8000-000000000011'';
  UPDATE bank_ledger.account_event SET version = version - 1, held = held - 20 WHERE account_id = {a} AND version > 4;
  UPDATE bank_ledger.hold SET created_version = created_version - 1, ended_version = ended_version - 1
  WHERE from_account = {a};
  UPDATE bank_ledger.transfer SET from_version = from_version - 1, from_held = from_held - 20
  WHERE from_account = {a} AND from_version > 4;
  UPDATE bank_ledger.transfer SET to_version = to_version - 1, to_held = to_held - 20
  WHERE to_account = {a} AND to_version > 4;
  UPDATE bank_ledger.account SET version = version - 1, held = held - 20 WHERE account_id = {a}'),
-- Two deposits swapped: each amount is where the other was, all balances agree.
(2, 'account {a}',
 'UPDATE bank_ledger.transfer SET transfer_id = CASE transfer_id
      WHEN ''ee000000-0000-4000-8000-000000000001'' THEN ''ee000000-0000-4000-8000-0000000000aa''::uuid
      ELSE ''ee000000-0000-4000-8000-0000000000bb'' END
  WHERE transfer_id IN (''ee000000-0000-4000-8000-000000000001'', ''ee000000-0000-4000-8000-000000000002'');
  UPDATE bank_ledger.transfer SET transfer_id = CASE transfer_id
      WHEN ''ee000000-0000-4000-8000-0000000000aa'' THEN ''ee000000-0000-4000-8000-000000000002''::uuid
      ELSE ''ee000000-0000-4000-8000-000000000001'' END
  WHERE transfer_id IN (''ee000000-0000-4000-8000-0000000000aa'', ''ee000000-0000-4000-8000-0000000000bb'')'),
-- Limits
(2, 'account {a}', 'UPDATE bank_ledger.account SET daily_limit = 9000, next_limit_day = NULL WHERE account_id = {a}'),
(2, 'account {a}', 'UPDATE bank_ledger.account SET next_limit = 8000, next_limit_day = current_date + 1 WHERE account_id = {a}'),
(2, 'account {b}', 'UPDATE bank_ledger.account SET daily_limit = 9000 WHERE account_id = {b}'),
(4, 'account {b}', 'UPDATE bank_ledger.account SET clock_accepted_at = now() WHERE account_id = {b}'),
-- Holds
(3, 'account {a}', 'UPDATE bank_ledger.account_event SET held = held + 1 WHERE account_id = {a} AND kind = ''hold_voided'''),
(3, 'hold ee000000-0000-4000-8000-000000000011', 'DELETE FROM bank_ledger.hold WHERE state = ''pending'''),
(3, 'account {a}', 'DELETE FROM bank_ledger.hold WHERE state = ''pending'''),
(3, 'hold ee000000-0000-4000-8000-000000000011',
 'UPDATE bank_ledger.hold SET state = ''voided'', ended_version = 4 WHERE state = ''pending'''),
(3, 'hold ee000000-0000-4000-8000-000000000011', 'UPDATE bank_ledger.hold SET amount = 21 WHERE state = ''pending'''),
(3, 'hold ee000000-0000-4000-8000-000000000011', 'UPDATE bank_ledger.hold SET reference = ''food'' WHERE state = ''pending'''),
(3, 'hold ee000000-0000-4000-8000-000000000012', 'UPDATE bank_ledger.hold SET posted_amount = 24 WHERE state = ''posted'''),
(3, 'hold ee000000-0000-4000-8000-000000000012',
 'UPDATE bank_ledger.transfer SET kind = ''transfer'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000012'''),
(3, 'hold ee000000-0000-4000-8000-000000000013', 'UPDATE bank_ledger.hold SET state = ''expired'' WHERE state = ''voided'''),
(3, 'hold ee000000-0000-4000-8000-000000000013',
 'UPDATE bank_ledger.hold SET state = ''pending'', ended_version = NULL WHERE state = ''voided'''),
(3, 'hold ee000000-0000-4000-8000-000000000013',
 'UPDATE bank_ledger.account_event SET transfer_id = ''ee000000-0000-4000-8000-000000000011''
  WHERE account_id = {a} AND kind = ''hold_voided'''),
(3, 'transfer ee000000-0000-4000-8000-000000000004',
 'UPDATE bank_ledger.transfer SET kind = ''hold_posted'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
-- The clock, and money after the closing
(4, 'account {empty}', 'UPDATE bank_ledger.account SET updated_at = now() + interval ''1 h'' WHERE account_id = {empty};
  UPDATE bank_ledger.account_event SET occurred_at = now() + interval ''1 h'' WHERE account_id = {empty}'),
(5, 'account {closed}',
 'UPDATE bank_ledger.transfer SET to_account = {closed}, to_version = 3, to_balance = 5
  WHERE transfer_id = ''ee000000-0000-4000-8000-000000000008'''),
-- Keys and reversals
(8, 'table bank_ledger.transfer', 'ALTER TABLE bank_ledger.transfer DROP CONSTRAINT transfer_pkey'),
(8, 'table bank_ledger.hold', 'ALTER TABLE bank_ledger.hold DROP CONSTRAINT hold_pkey'),
(8, 'table bank_ledger.hold', 'DROP INDEX bank_ledger.hold_pending_to_idx;
  CREATE INDEX hold_pending_to_idx ON bank_ledger.hold (to_account) WHERE state = ''posted'''),
(8, 'table bank_ledger.transfer', 'DROP INDEX bank_ledger.transfer_reverses_idx;
  CREATE UNIQUE INDEX transfer_reverses_idx ON bank_ledger.transfer (reverses) WHERE amount < 0'),
(8, 'transfer ee000000-0000-4000-8000-000000000005',
 'DROP INDEX bank_ledger.transfer_reverses_idx; UPDATE bank_ledger.transfer
  SET reverses = ''ee000000-0000-4000-8000-000000000005'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000007'''),
(8, 'transfer ee000000-0000-4000-8000-000000000006',
 'UPDATE bank_ledger.transfer SET amount = 14 WHERE transfer_id = ''ee000000-0000-4000-8000-000000000006'''),
(8, 'transfer ee000000-0000-4000-8000-000000000006',
 'UPDATE bank_ledger.transfer SET reverses = gen_random_uuid() WHERE transfer_id = ''ee000000-0000-4000-8000-000000000006'''),
(8, 'transfer ee000000-0000-4000-8000-000000000007',
 'UPDATE bank_ledger.transfer SET reverses = ''ee000000-0000-4000-8000-000000000006''
  WHERE transfer_id = ''ee000000-0000-4000-8000-000000000007'''),
-- Seals kept here
(2, 'seal 1', 'DELETE FROM bank_ledger.seal; UPDATE bank_ledger.sealing SET period = 3'),
(2, 'seal 1', 'UPDATE bank_ledger.seal SET entries = entries + 1'),
(2, 'seal 1', 'UPDATE bank_ledger.seal SET root = sha256(root)'),
(2, 'seal 1', 'UPDATE bank_ledger.seal SET previous = sha256(previous)'),
(2, 'seal 1', 'UPDATE bank_ledger.sealing SET period = 1'),
(2, 'seal 2', 'UPDATE bank_ledger.seal SET number = 2; UPDATE bank_ledger.sealing SET period = 3'),
-- Rows that are not as the functions write them
(2, 'transfer ee000000-0000-4000-8000-000000000004 a digest has 1 bytes',
 'UPDATE bank_ledger.transfer SET from_digest = ''\x00'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'transfer ee000000-0000-4000-8000-000000000004 "BRLX"',
 'UPDATE bank_ledger.transfer SET currency = ''BRLX'' WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'''),
(2, 'account {a} at version 1 "odd"',
 'UPDATE bank_ledger.account_event SET status = ''odd'' WHERE account_id = {a} AND version = 1'),
(2, 'account {a} at version 1 a digest has 0 bytes',
 'UPDATE bank_ledger.account_event SET digest = '''' WHERE account_id = {a} AND version = 1'),
(2, 'account {a} "odd"', 'UPDATE bank_ledger.account SET kind = ''odd'' WHERE account_id = {a}'),
(2, 'account {closed} "odd"', 'UPDATE bank_ledger.account SET status = ''odd'' WHERE account_id = {closed}'),
(2, 'account {a} "BRLX"', 'UPDATE bank_ledger.account SET currency = ''BRLX'' WHERE account_id = {a}'),
(2, 'account {a} a digest has 64 bytes', 'UPDATE bank_ledger.account SET digest = digest || digest WHERE account_id = {a}'),
(2, 'account {a} the account.s kind and holder', 'UPDATE bank_ledger.account SET customer_id = NULL WHERE account_id = {a}'),
-- Epochs and acts, which the seals cover, and acts by what they did
(2, 'seal 1', 'DELETE FROM bank_ledger.epoch'),
(2, 'seal 1', 'UPDATE bank_ledger.epoch SET timeline = 7'),
(2, 'seal 1', 'UPDATE bank_ledger.epoch SET at = at - interval ''1 us'''),
(2, 'seal 1', 'INSERT INTO bank_ledger.epoch (number, system_identifier, timeline, at, period)
  SELECT number + 1, system_identifier, timeline, at, 1 FROM bank_ledger.epoch'),
(2, 'seal 1', 'UPDATE bank_ledger.operator_act SET actor = ''somebody'''),
(2, 'seal 1', 'DELETE FROM bank_ledger.operator_act; UPDATE bank_ledger.customer SET status = ''open'''),
(6, 'customer c0000000-0000-4000-8000-000000000079', 'DELETE FROM bank_ledger.operator_act'),
(6, 'customer c0000000-0000-4000-8000-000000000079', 'UPDATE bank_ledger.customer SET status = ''gone'''),
(6, 'customer c0000000-0000-4000-8000-000000000070',
 'INSERT INTO bank_ledger.operator_act (act_id, act, customer_id, occurred_at, actor)
  VALUES (gen_random_uuid(), ''customer_reactivated'', ''c0000000-0000-4000-8000-000000000070'', now(), ''me'')'),
(6, 'customer c0000000-0000-4000-8000-000000000099',
 'INSERT INTO bank_ledger.operator_act (act_id, act, customer_id, occurred_at, actor)
  VALUES (gen_random_uuid(), ''customer_closing'', ''c0000000-0000-4000-8000-000000000099'', now(), ''me'')'),
(2, 'act ea000000-0000-4000-8000-000000000001',
 'INSERT INTO bank_report.notification (transfer_id, customer_id, from_account, to_account, amount, currency,
      completed_at, state, attempts)
  SELECT transfer_id, customer_id, from_account, to_account, amount, currency, completed_at, ''dead'', 7
  FROM bank_ledger.transfer WHERE transfer_id = ''ee000000-0000-4000-8000-000000000004'';
  INSERT INTO bank_ledger.operator_act (act_id, act, customer_id, transfer_id, occurred_at, actor)
  VALUES (''ea000000-0000-4000-8000-000000000001'', ''notification_requeued'',
          ''c0000000-0000-4000-8000-000000000070'', ''ee000000-0000-4000-8000-000000000004'', now(), ''me'')'),
(2, 'act ea000000-0000-4000-8000-000000000002',
 'INSERT INTO bank_ledger.operator_act (act_id, act, customer_id, occurred_at, actor)
  VALUES (''ea000000-0000-4000-8000-000000000002'', ''customer_thanked'',
          ''c0000000-0000-4000-8000-000000000070'', now(), ''me'')'),
-- The date of a seal that another follows
(2, 'seal 2', 'INSERT INTO bank_ledger.seal (number, entries, root, previous, sealed_at)
  SELECT 2, r.entries, r.root, bank_ledger.seal_chain(s), now() FROM bank_ledger.roots(2, 2) AS r, bank_ledger.seal AS s;
  UPDATE bank_ledger.sealing SET period = 3;
  UPDATE bank_ledger.seal SET sealed_at = sealed_at - interval ''1 us'' WHERE number = 1'),
-- What closes the journal, and the functions
(2, 'function bank_ledger.refuse_change\(\)', 'CREATE OR REPLACE FUNCTION bank_ledger.refuse_change() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS ''BEGIN RETURN NEW; END'''),
(2, 'function bank_ledger.refuse_writer\(\)', 'ALTER FUNCTION bank_ledger.refuse_writer() SET search_path = public'),
(2, 'function bank_ledger.guard_drop\(\)', 'ALTER FUNCTION bank_ledger.guard_drop() RESET ALL'),
(2, 'function bank.void_hold\(uuid\)', 'ALTER EXTENSION bank DROP FUNCTION bank.void_hold(uuid)'),
(2, 'function bank_ledger.own\(\)', 'CREATE FUNCTION bank_ledger.own() RETURNS int LANGUAGE sql AS ''SELECT 1'';
  ALTER EXTENSION bank ADD FUNCTION bank_ledger.own()'),
(2, 'table bank_ledger.transfer', 'DROP TRIGGER insert_only ON bank_ledger.transfer'),
(2, 'table bank_ledger.sealing', 'DROP TRIGGER tell_backends ON bank_ledger.sealing'),
(2, 'table bank_ledger.transfer', 'CREATE OR REPLACE TRIGGER insert_only_row BEFORE UPDATE OR DELETE ON bank_ledger.transfer
  FOR EACH ROW WHEN (false) EXECUTE FUNCTION bank_ledger.refuse_change()'),
(2, 'table bank_ledger.account', 'DROP TRIGGER functions_only ON bank_ledger.account'),
(2, 'table bank_ledger.account_event', 'CREATE TABLE bank_ledger.more () INHERITS (bank_ledger.account_event)'),
(2, 'event trigger bank_guard_change', 'ALTER EVENT TRIGGER bank_guard_change DISABLE'),
(2, 'event trigger bank_guard_drop', 'ALTER EVENT TRIGGER bank_guard_drop ENABLE REPLICA'),
(2, 'event trigger bank_guard_drop', 'ALTER EXTENSION bank DROP EVENT TRIGGER bank_guard_drop;
  DROP EVENT TRIGGER bank_guard_drop;
  CREATE FUNCTION public.let_pass() RETURNS event_trigger LANGUAGE plpgsql AS ''BEGIN END'';
  CREATE EVENT TRIGGER bank_guard_drop ON sql_drop EXECUTE FUNCTION public.let_pass();
  ALTER EVENT TRIGGER bank_guard_drop ENABLE ALWAYS');

SELECT is(pg_temp.found_after('SELECT 1'), 'sound', 'before anything is broken');
SELECT is(pg_temp.found_after('INSERT INTO bank_ledger.seal (number, entries, root, previous, sealed_at)
              SELECT 2, r.entries, r.root, bank_ledger.seal_chain(s), now()
              FROM bank_ledger.roots(2, 2) AS r, bank_ledger.seal AS s;
              UPDATE bank_ledger.sealing SET period = 3'), 'sound', 'a second seal');
SELECT results_eq(
    $$SELECT k.moved, v.detail IS NOT NULL
      FROM (VALUES (interval '0'), (interval '1 us')) AS k (moved)
      CROSS JOIN bank.seal(1, 1) AS s
      LEFT JOIN LATERAL bank.verify(seal => ROW(s.first_period, s.last_period, s.entries, s.root, s.previous,
                                                s.sealed_at + k.moved)::bank.seal_row) AS v
          ON v.subject = 'seal 1 to 1' AND v.detail ~ '^the seal here was made at'
      ORDER BY k.moved$$,
    $$VALUES (interval '0', false), (interval '1 us', true)$$, 'a seal kept elsewhere says when it was made');
SELECT matches(pg_temp.found_after(statement),
               format(E'(^|\n)%s %s ', invariant, replace(pg_temp.with_ids(subject), '''', '')),
               format('%s: %s', invariant, regexp_replace(statement, '\s+', ' ', 'g')))
FROM breakage ORDER BY invariant, statement;
SELECT is(pg_temp.found_after('SELECT 1'), 'sound', 'and after all was undone');

-- A row that is not understood hides no other finding, before it or after.
SELECT matches(pg_temp.found_after($$
    UPDATE bank_ledger.transfer SET kind = 'gift' WHERE transfer_id = 'ee000000-0000-4000-8000-000000000004';
    UPDATE bank_ledger.transfer SET amount = 14 WHERE transfer_id = 'ee000000-0000-4000-8000-000000000006'$$),
    E'^(?=(.|\n)*2 transfer ee000000-0000-4000-8000-000000000004 "gift" is no known word)'
    '(?=(.|\n)*8 transfer ee000000-0000-4000-8000-000000000006 )', 'a row not understood, and another');

ALTER TABLE bank_ledger.transfer ENABLE TRIGGER insert_only_row;
SELECT results_eq('SELECT invariant, subject FROM bank.verify()',
                  $$VALUES ('2', 'table bank_ledger.transfer')$$, 'an open journal is named');

SELECT * FROM finish();
ROLLBACK;
