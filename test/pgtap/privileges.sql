-- Who may what, read from the catalogues and compared with the whole list: a
-- grant that is new, or gone, fails here.
BEGIN;
SELECT no_plan();

CREATE TEMPORARY VIEW ours AS
SELECT oid, nspname, nspacl, nspowner FROM pg_namespace
WHERE nspname IN ('bank', 'bank_ledger', 'bank_report', 'bank_search');

-- One row for every right anybody but the owner has, defaults included.
CREATE TEMPORARY VIEW held AS
SELECT coalesce(r.rolname, 'PUBLIC') AS grantee, a.privilege_type, g.object, a.is_grantable
FROM (
    SELECT 'schema ' || nspname AS object, nspowner AS owner, coalesce(nspacl, acldefault('n', nspowner)) AS acl
    FROM ours
    UNION ALL
    SELECT c.oid::regclass::text, c.relowner, coalesce(c.relacl,
           acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))
    FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S', 'f')
    UNION ALL
    SELECT format('%s.%s', c.oid::regclass, t.attname), c.relowner, t.attacl
    FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid JOIN ours ON ours.oid = c.relnamespace
    WHERE t.attacl IS NOT NULL
    UNION ALL
    SELECT p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc AS p JOIN ours ON ours.oid = p.pronamespace
) AS g
CROSS JOIN LATERAL aclexplode(g.acl) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE a.grantee <> g.owner;

SELECT is_empty($$SELECT * FROM held WHERE grantee = 'PUBLIC'$$, 'PUBLIC may nothing');
SELECT is_empty('SELECT * FROM held WHERE is_grantable', 'nobody may pass a right on');

SELECT set_eq(
    'SELECT grantee::text, privilege_type, object FROM held',
    $$VALUES
    ('bank_publish', 'USAGE', 'schema bank_ledger'),
    ('bank_publish', 'SELECT', 'bank_ledger.site'),
    ('bank_publish', 'SELECT', 'bank_ledger.epoch'),
    ('bank_publish', 'EXECUTE', 'bank_ledger.beat()'),
    ('bank_publish', 'EXECUTE', 'bank_ledger.seal_next()'),
    ('bank_publish', 'EXECUTE', 'bank_ledger.accounts_ahead()'),
    ('bank_project', 'USAGE', 'schema bank_search'),
    ('bank_project', 'SELECT', 'bank_search.balance'),
    ('bank_project', 'INSERT', 'bank_search.balance'),
    ('bank_project', 'UPDATE', 'bank_search.balance'),
    ('bank_project', 'SELECT', 'bank_search.consumer_offset'),
    ('bank_project', 'INSERT', 'bank_search.consumer_offset'),
    ('bank_project', 'UPDATE', 'bank_search.consumer_offset'),
    ('bank_project', 'SELECT', 'bank_search.consumer_generation'),
    ('bank_project', 'INSERT', 'bank_search.consumer_generation'),
    ('bank_project', 'UPDATE', 'bank_search.consumer_generation'),
    ('bank_report', 'USAGE', 'schema bank_report'),
    ('bank_report', 'SELECT', 'bank_report.notification'),
    ('bank_report', 'INSERT', 'bank_report.notification'),
    ('bank_report', 'UPDATE', 'bank_report.notification'),
    ('bank_report', 'SELECT', 'bank_report.consumer_offset'),
    ('bank_report', 'INSERT', 'bank_report.consumer_offset'),
    ('bank_report', 'UPDATE', 'bank_report.consumer_offset'),
    ('bank_report', 'SELECT', 'bank_report.consumer_generation'),
    ('bank_report', 'INSERT', 'bank_report.consumer_generation'),
    ('bank_report', 'UPDATE', 'bank_report.consumer_generation'),
    ('bank_report', 'SELECT', 'bank_report.gate'),
    ('bank_report', 'UPDATE', 'bank_report.gate'),
    ('bank_report', 'SELECT', 'bank_report.circuit'),
    ('bank_report', 'EXECUTE', 'bank_report.admit(integer)'),
    ('bank_report', 'EXECUTE', 'bank_report.note_answers(integer,integer,integer,integer)'),
    ('bank_report', 'EXECUTE', 'bank_report.retry(integer)'),
    ('bank_report', 'USAGE', 'schema bank_ledger'),
    ('bank_report', 'SELECT', 'bank_ledger.epoch.number'),
    ('bank_report', 'SELECT', 'bank_ledger.transfer.transfer_id'),
    ('bank_report', 'SELECT', 'bank_ledger.transfer.completed_at'),
    ('bank_report', 'USAGE', 'schema bank'),
    ('bank_report', 'EXECUTE', 'bank.expire_holds(integer)'),
    ('bank_operator', 'USAGE', 'schema bank'),
    ('bank_operator', 'EXECUTE', 'bank.set_limit(uuid,bigint)'),
    ('bank_operator', 'EXECUTE', 'bank.accept_clock(uuid)'),
    ('bank_customer', 'USAGE', 'schema bank'),
    ('bank_customer', 'EXECUTE', 'bank.set_limit(uuid,bigint)')$$,
    'every right is one that the list has');

SELECT is_empty(
    $$SELECT d.defaclobjtype, d.defaclnamespace::regnamespace FROM pg_default_acl AS d
      LEFT JOIN ours ON ours.oid = d.defaclnamespace
      WHERE ours.oid IS NOT NULL OR d.defaclnamespace = 0$$,
    'no default right waits for what is made later');

-- The logins: no member of anything, nothing inherited, no power of their own.
SELECT is_empty(
    $$SELECT m.member::regrole, m.roleid::regrole FROM pg_auth_members AS m
      WHERE m.member IN ('bank_publish'::regrole, 'bank_project'::regrole, 'bank_report'::regrole)$$,
    'the bridge''s roles belong to no other role');
SELECT ok(NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls)
          AND rolreplication = (rolname = 'bank_publish'),
          format('%s has no power but what it needs', rolname))
FROM pg_roles WHERE rolname IN ('bank_publish', 'bank_project', 'bank_report') ORDER BY rolname;

-- What that means, tried: a stranger and each login against each object.
CREATE ROLE stranger;
CREATE TEMPORARY TABLE visitor AS
SELECT unnest(ARRAY['stranger', 'bank_publish', 'bank_project', 'bank_report']) AS name;

SELECT is(
    (SELECT count(*) FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f')
       AND has_table_privilege(visitor.name, c.oid, 'DELETE, TRUNCATE, REFERENCES, TRIGGER')),
    0::bigint, format('%s may delete, truncate or hook nothing', visitor.name))
FROM visitor;
SELECT is(
    (SELECT count(*) FROM pg_class AS c
     WHERE c.relnamespace = 'bank_ledger'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
       AND has_any_column_privilege(visitor.name, c.oid, 'INSERT, UPDATE')),
    0::bigint, format('%s may write no table of bank_ledger', visitor.name))
FROM visitor;
SELECT is(
    (SELECT count(*) FROM pg_proc AS p JOIN ours ON ours.oid = p.pronamespace
     WHERE has_function_privilege(visitor.name, p.oid, 'EXECUTE')
       AND has_schema_privilege(visitor.name, p.pronamespace, 'USAGE')),
    CASE visitor.name WHEN 'bank_publish' THEN 3 WHEN 'bank_report' THEN 4 ELSE 0 END::bigint,
    format('%s may call what the list says', visitor.name))
FROM visitor;
SELECT is(
    (SELECT count(*) FROM ours WHERE has_schema_privilege(visitor.name, oid, 'CREATE')),
    0::bigint, format('%s may make nothing in our schemas', visitor.name))
FROM visitor;

SET LOCAL ROLE bank_publish;
SELECT lives_ok('SELECT bank_ledger.beat()', 'bank_publish beats');
SELECT lives_ok('SELECT bank_ledger.seal_next()', 'and seals');
SELECT throws_ok('DELETE FROM bank_ledger.heartbeat', '42501', NULL, 'and prunes only by beating');
SELECT throws_ok($$SELECT bank.deposit('a0000000-0000-4000-8000-000000000001', 1)$$, '42501', NULL,
                 'and moves no money');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
