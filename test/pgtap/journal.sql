-- The journal is insert-only for everybody, also where triggers are off.
BEGIN;
SELECT no_plan();

SELECT throws_ok(role.prefix || change.statement, '42501', NULL, role.prefix || change.statement)
FROM (VALUES (''), ('SET LOCAL session_replication_role = replica; '),
             ('SET LOCAL session_replication_role = local; ')) AS role (prefix)
CROSS JOIN (
    SELECT format(any_change.form, journal.name)
    FROM (VALUES ('bank_ledger.account_event'), ('bank_ledger.transfer'),
                 ('bank_ledger.epoch'), ('bank_ledger.operator_act')) AS journal (name)
    CROSS JOIN (VALUES ('TRUNCATE %s'), ('TRUNCATE %s CASCADE'), ('DELETE FROM %s'),
                       ('DELETE FROM %s WHERE false')) AS any_change (form)
    UNION ALL VALUES
        ('UPDATE bank_ledger.account_event SET balance = 1'),
        ('UPDATE bank_ledger.transfer SET amount = 1'),
        ('UPDATE bank_ledger.epoch SET number = 7'),
        ('UPDATE bank_ledger.operator_act SET actor = ''me''')
) AS change (statement);

SELECT throws_ok(
    $$MERGE INTO bank_ledger.transfer AS t USING (VALUES (1)) AS v (x) ON true
      WHEN MATCHED THEN DELETE$$, '42501', NULL, 'MERGE is a change too');
SELECT throws_ok(
    $$INSERT INTO bank_ledger.epoch (number, system_identifier, timeline, at)
      SELECT number, system_identifier, timeline, at FROM bank_ledger.epoch
      ON CONFLICT (number) DO UPDATE SET at = excluded.at$$, '42501', NULL,
    'and so is ON CONFLICT DO UPDATE');

SELECT is(tgenabled, 'A', format('the trigger of %s fires always', tgrelid::regclass))
FROM pg_trigger WHERE tgname = 'insert_only' ORDER BY tgrelid::regclass::text;
SELECT is(count(*), 5::bigint, 'five tables are insert-only') FROM pg_trigger WHERE tgname = 'insert_only';

SELECT * FROM finish();
ROLLBACK;
