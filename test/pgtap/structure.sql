-- What others rely on is there: schemas, tables, columns, functions, and a
-- comment on everything.  Further columns may come; none of these may go.
BEGIN;
SELECT no_plan();

SELECT is(n.nspname, s.name::name, format('schema %s is there', s.name))
FROM (VALUES ('bank'), ('bank_ledger'), ('bank_report'), ('bank_search')) AS s (name)
LEFT JOIN pg_namespace AS n ON n.nspname = s.name;

CREATE TEMPORARY TABLE promised (relation text, columns text);
INSERT INTO promised VALUES
('bank_ledger.customer', 'customer_id uuid, status text'),
('bank_ledger.account',
 'account_id uuid, customer_id uuid, kind text, currency text, status text, balance bigint, '
 'held bigint, version bigint, opened_at timestamp with time zone, '
 'closed_at timestamp with time zone'),
('bank_ledger.account_event',
 'account_id uuid, customer_id uuid, kind text, version bigint, currency text, status text, '
 'balance bigint, held bigint, transfer_id uuid, occurred_at timestamp with time zone, actor text'),
('bank_ledger.transfer',
 'transfer_id uuid, kind text, customer_id uuid, from_account uuid, to_account uuid, '
 'amount bigint, currency text, from_version bigint, to_version bigint, from_balance bigint, '
 'to_balance bigint, from_held bigint, to_held bigint, completed_at timestamp with time zone, '
 'actor text'),
('bank_ledger.epoch',
 'number integer, system_identifier bigint, timeline integer, at timestamp with time zone'),
('bank_ledger.heartbeat', 'at timestamp with time zone'),
('bank_ledger.site', 'role text, name text'),
('bank_ledger.operator_act', 'act text, actor text'),
('bank_report.notification',
 'transfer_id uuid, state text, attempts integer, first_attempt_at timestamp with time zone, '
 'next_attempt_at timestamp with time zone, delivered_at timestamp with time zone, '
 'last_status integer, last_error text'),
('bank_search.balance',
 'account_id uuid, customer_id uuid, currency text, balance bigint, held bigint, status text, '
 'epoch integer, version bigint, updated_at timestamp with time zone'),
-- what functions return
('bank.account_row',
 'account_id uuid, customer_id uuid, kind text, currency text, status text, balance bigint, '
 'held bigint, version bigint, opened_at timestamp with time zone, '
 'closed_at timestamp with time zone'),
('bank.transfer_row',
 'transfer_id uuid, kind text, customer_id uuid, from_account uuid, to_account uuid, '
 'amount bigint, currency text, from_version bigint, to_version bigint, from_balance bigint, '
 'to_balance bigint, from_held bigint, to_held bigint, completed_at timestamp with time zone'),
('bank.ledger_balance_row',
 'account_id uuid, customer_id uuid, currency text, status text, balance bigint, held bigint, '
 'available bigint, version bigint, updated_at timestamp with time zone'),
('bank.balance_row',
 'account_id uuid, customer_id uuid, currency text, status text, balance bigint, held bigint, '
 'version bigint, updated_at timestamp with time zone, epoch integer, source text'),
('bank.accounts',
 'account_id uuid, customer_id uuid, kind text, currency text, status text, balance bigint, '
 'held bigint, version bigint, opened_at timestamp with time zone, '
 'updated_at timestamp with time zone, closed_at timestamp with time zone'),
('bank.holds',
 'hold_id uuid, customer_id uuid, from_account uuid, to_account uuid, amount bigint, currency text, '
 'expires_at timestamp with time zone, state text, live boolean, posted_amount bigint, reference text'),
('bank.statement_row',
 'line text, version bigint, completed_at timestamp with time zone, transfer_id uuid, kind text, '
 'counterparty uuid, amount bigint, balance bigint, held bigint, reference text'),
('bank.balance_at_row', 'balance bigint, version bigint, complete_until timestamp with time zone'),
('bank.settlement', 'currency text, balance bigint, updated_at timestamp with time zone'),
('bank.currency', 'code text, exponent integer');

SELECT is_empty(
    format($$SELECT unnest(string_to_array(%L, ', ')) EXCEPT
             SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
             FROM pg_attribute AS a
             WHERE a.attrelid = to_regclass(%L) AND a.attnum > 0 AND NOT a.attisdropped$$,
           columns, relation),
    format('%s has the columns others rely on', relation))
FROM promised;

-- The words columns may hold.
SELECT ok(bool_or(pg_get_constraintdef(c.oid) LIKE '%''' || w.word || '''%'),
          format('%s may be %s', w.place, w.word))
FROM (VALUES
    ('bank_ledger.account status', 'active'), ('bank_ledger.account status', 'inactive'),
    ('bank_ledger.account kind', 'settlement'),
    ('bank_ledger.account_event kind', 'created'), ('bank_ledger.account_event kind', 'inactivated'),
    ('bank_ledger.account_event kind', 'hold_created'), ('bank_ledger.account_event kind', 'hold_posted'),
    ('bank_ledger.account_event kind', 'hold_voided'), ('bank_ledger.account_event kind', 'hold_expired'),
    ('bank_ledger.account_event kind', 'limit_set'), ('bank_ledger.account_event kind', 'clock_accepted'),
    ('bank_ledger.transfer kind', 'transfer'), ('bank_ledger.transfer kind', 'deposit'),
    ('bank_ledger.transfer kind', 'withdrawal'), ('bank_ledger.transfer kind', 'hold_posted'),
    ('bank_ledger.transfer kind', 'reversal'),
    ('bank_report.notification state', 'pending'), ('bank_report.notification state', 'sending'),
    ('bank_report.notification state', 'delivered'), ('bank_report.notification state', 'dead')
) AS w (place, word)
LEFT JOIN pg_constraint AS c ON c.contype = 'c' AND c.conrelid = split_part(w.place, ' ', 1)::regclass
GROUP BY w.place, w.word ORDER BY w.place, w.word;

-- Functions: parameter names are keys of PostgREST's JSON, so they are fixed.
SELECT is(pg_get_function_arguments(p.oid) || ' → ' || coalesce(pg_get_function_result(p.oid), ''),
          f.signature, f.name)
FROM (VALUES
    ('bank.create_account', 'customer_id uuid, currency text DEFAULT ''BRL''::text, account_id uuid DEFAULT NULL::uuid → bank.account_row'),
    ('bank.inactivate_customer', 'customer_id uuid → SETOF bank.account_row'),
    ('bank.inactivate_account', 'account_id uuid → bank.account_row'),
    ('bank.reactivate_customer', 'customer_id uuid → void'),
    ('bank.transfer', 'from_account uuid, to_account uuid, amount bigint, transfer_id uuid DEFAULT NULL::uuid, reference text DEFAULT NULL::text → bank.transfer_row'),
    ('bank.deposit', 'account_id uuid, amount bigint, transfer_id uuid DEFAULT NULL::uuid, reference text DEFAULT NULL::text → bank.transfer_row'),
    ('bank.withdraw', 'account_id uuid, amount bigint, transfer_id uuid DEFAULT NULL::uuid, reference text DEFAULT NULL::text → bank.transfer_row'),
    ('bank.transfer_batch', 'from_accounts uuid[], to_accounts uuid[], amounts bigint[], transfer_ids uuid[] DEFAULT NULL::uuid[], transfer_references text[] DEFAULT NULL::text[] → TABLE(item integer, transfer_id uuid, result text)'),
    ('bank.hold', 'from_account uuid, to_account uuid, amount bigint, expires_at timestamp with time zone, hold_id uuid DEFAULT NULL::uuid, reference text DEFAULT NULL::text → bank.hold_row'),
    ('bank.post_hold', 'hold_id uuid, amount bigint DEFAULT NULL::bigint → bank.transfer_row'),
    ('bank.void_hold', 'hold_id uuid → bank.hold_row'),
    ('bank.expire_holds', 'max_rows integer DEFAULT 1000 → integer'),
    ('bank.schedule_expiry', 'minutes integer DEFAULT 1 → bigint'),
    ('bank.unschedule_expiry', ' → boolean'),
    ('bank.reverse', 'transfer_id uuid, reversal_id uuid DEFAULT NULL::uuid → bank.transfer_row'),
    ('bank.set_limit', 'account_id uuid, daily_amount bigint → bank.limit_row'),
    ('bank.accept_clock', 'account_id uuid → bank.account_row'),
    ('bank.ledger_balance', 'account_id uuid → bank.ledger_balance_row'),
    ('bank.balance', 'account_id uuid, min_version bigint DEFAULT 0 → bank.balance_row'),
    ('bank.balance_at', 'account_id uuid, at timestamp with time zone → bank.balance_at_row'),
    ('bank.statement', 'account_id uuid, since timestamp with time zone, until timestamp with time zone, after_version bigint DEFAULT NULL::bigint, max_rows integer DEFAULT 100 → SETOF bank.statement_row'),
    ('bank.format_amount', 'amount bigint, currency text → text'),
    ('bank.verify', 'account_id uuid DEFAULT NULL::uuid, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, seal bank.seal_row DEFAULT NULL::bank.seal_row → TABLE(invariant text, subject text, detail text)'),
    ('bank.seal', 'first integer DEFAULT NULL::integer, last integer DEFAULT NULL::integer → bank.seal_row'),
    ('bank_report.schedule', 'minutes integer DEFAULT 5 → bigint'),
    ('bank_report.unschedule', ' → boolean'),
    ('bank_report.retry', 'IN max_rows integer DEFAULT 500 → '),
    ('bank_report.requeue', 'transfer_id uuid → boolean'),
    ('bank_ledger.init', 'role text, name text → void'),
    ('bank_ledger.begin_epoch', 'seen integer → integer'),
    ('bank_ledger.publish', ' → void'),
    ('bank_ledger.beat', ' → void')
) AS f (name, signature)
LEFT JOIN pg_proc AS p ON p.oid = to_regproc(f.name);

CREATE TEMPORARY VIEW routine AS
SELECT p.*, p.oid::regprocedure::text AS name
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN ('bank', 'bank_ledger', 'bank_report', 'bank_search');

SELECT is_empty(
    $$SELECT name FROM routine WHERE (SELECT count(*) FROM routine AS r
      WHERE (r.pronamespace, r.proname) = (routine.pronamespace, routine.proname)) > 1$$,
    'no function is overloaded');

SELECT is_empty(
    $$SELECT name FROM routine WHERE prosecdef AND
      (SELECT count(*) FROM unnest(proconfig) AS c WHERE c LIKE 'search_path=pg_catalog, pg_temp') <> 1$$,
    'every SECURITY DEFINER function pins its search_path');

SELECT is_empty(
    $$SELECT name FROM routine JOIN pg_language AS l ON l.oid = prolang
      WHERE l.lanname IN ('sql', 'plpgsql') AND proconfig IS NULL$$,
    'every function in SQL or PL/pgSQL pins its search_path');

SELECT ok(NOT prosecdef AND proconfig IS NULL,
          'the retry can commit: neither SECURITY DEFINER nor SET')
FROM routine WHERE proname = 'retry';

-- Comments: PostgREST shows them, and so does \d+.
CREATE TEMPORARY VIEW described AS
SELECT 'schema ' || nspname AS object, obj_description(oid, 'pg_namespace') AS comment
FROM pg_namespace WHERE nspname IN ('bank', 'bank_ledger', 'bank_report', 'bank_search')
UNION ALL
SELECT 'routine ' || name, obj_description(oid, 'pg_proc') FROM routine
UNION ALL
SELECT 'relation ' || c.oid::regclass, CASE c.relkind WHEN 'c' THEN obj_description(c.reltype, 'pg_type')
                                                      ELSE obj_description(c.oid, 'pg_class') END
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('bank', 'bank_ledger', 'bank_report', 'bank_search')
  AND c.relkind IN ('r', 'v', 'm', 'c', 'p');

SELECT cmp_ok(count(*), '>', 30::bigint, 'the objects to describe are found') FROM described;
SELECT is_empty('SELECT object FROM described WHERE coalesce(comment, '''') = ''''',
                'every schema, relation and routine has a comment');

-- Views: as their readers see the tables, and every column explained.
SELECT is_empty(
    $$SELECT oid::regclass FROM pg_class WHERE relkind = 'v' AND relnamespace = 'bank'::regnamespace
      AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'$$,
    'every view shows what its reader may read');
SELECT is_empty(
    $$SELECT a.attrelid::regclass, a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
      WHERE c.relkind = 'v' AND c.relnamespace = 'bank'::regnamespace AND a.attnum > 0
      AND coalesce(col_description(a.attrelid, a.attnum), '') = ''$$,
    'every column of a view has a comment');

-- A function names the errors it raises to those who see only its comment.
SELECT matches(obj_description(oid, 'pg_proc'), f.code, format('%s says it raises %s', name, f.code))
FROM routine JOIN (VALUES
    ('transfer', 'LG005'), ('transfer', 'LG006'), ('transfer', 'LG007'), ('transfer', 'LG008'),
    ('transfer', 'LG012'), ('transfer', 'LG020'), ('post_hold', 'LG015'), ('void_hold', 'LG016'),
    ('reverse', 'LG017'), ('withdraw', 'LG005'), ('deposit', 'LG004'), ('create_account', 'LG003'),
    ('create_account', 'LG013'), ('inactivate_customer', 'LG009'), ('inactivate_account', 'LG010'),
    ('format_amount', '22023'), ('statement', 'LG001'), ('balance_at', 'LG001'), ('reactivate_customer', 'LG011'), ('balance', 'LG014'), ('requeue', 'LG016')
) AS f (routine, code) ON f.routine = proname;

-- And what an argument may be: PostgREST shows no other bound.
SELECT is_empty(
    $$SELECT name FROM routine WHERE provolatile = 'v' AND pg_get_function_arguments(oid) ~ 'amounts? bigint'
      AND obj_description(oid, 'pg_proc') !~
          'minor units.* (1 to 9007199254740991|0 to 9007199254740991|1 to the held amount)'$$,
    'what takes an amount says its unit and its bounds');
SELECT is_empty(
    $$SELECT name FROM routine WHERE provolatile = 'v' AND pg_get_function_arguments(oid) ~ 'references? text'
      AND obj_description(oid, 'pg_proc') !~ '140 characters'$$,
    'what takes a reference says how long it may be');
SELECT cmp_ok(count(*), '>=', 7::bigint, 'there are such functions') FROM routine
WHERE provolatile = 'v' AND pg_get_function_arguments(oid) ~ 'amounts? bigint';

-- What waits for locks ends by LG009 where lock_timeout is set (caller.c).
SELECT is_empty(
    $$SELECT proname FROM pg_proc WHERE pronamespace = 'bank'::regnamespace AND proname IN
      ('transfer', 'transfer_batch', 'deposit', 'withdraw', 'hold', 'post_hold', 'void_hold', 'reverse',
       'set_limit', 'accept_clock', 'create_account', 'reactivate_customer')
      AND obj_description(oid, 'pg_proc') !~ 'LG009'$$,
    'what waits for locks says it raises LG009');

-- What a dump takes along: the bank's rows, not the script's nor the site's.
SELECT set_eq(
    $$SELECT unnest(extconfig)::regclass::text FROM pg_extension WHERE extname = 'bank'$$,
    ARRAY['bank_ledger.customer', 'bank_ledger.account', 'bank_ledger.account_event',
          'bank_ledger.transfer', 'bank_ledger.hold', 'bank_ledger.epoch',
          'bank_ledger.operator_act', 'bank_ledger.sealing', 'bank_ledger.seal',
          'bank_report.notification', 'bank_report.phantom', 'bank_report.consumer_offset',
          'bank_report.consumer_generation', 'bank_search.balance',
          'bank_search.consumer_offset', 'bank_search.consumer_generation'],
    'a dump takes these tables');

SELECT * FROM finish();
ROLLBACK;
