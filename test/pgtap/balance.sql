-- How bank.balance is declared, and the row it returns.
BEGIN;
SELECT plan(5);

SELECT is_definer('bank', 'balance', ARRAY['uuid', 'bigint'],
                  'the read model is read through the function alone');
SELECT is((SELECT p.proconfig FROM pg_proc AS p
           WHERE p.oid = 'bank.balance(uuid, bigint)'::regprocedure),
          ARRAY['search_path=pg_catalog, pg_temp'], 'with a pinned search_path');
SELECT ok(NOT has_function_privilege('public', 'bank.balance(uuid, bigint)', 'EXECUTE'),
          'not everybody may call it');
SELECT is((SELECT array_agg(a.attname || ' ' || format_type(a.atttypid, NULL) ORDER BY a.attnum)
           FROM pg_attribute AS a WHERE a.attrelid = 'bank.balance_row'::regclass),
          ARRAY['account_id uuid', 'customer_id uuid', 'currency text', 'status text',
                'balance bigint', 'held bigint', 'version bigint',
                'updated_at timestamp with time zone', 'epoch integer', 'source text'],
          'it returns these columns');
SELECT throws_ok($$SELECT bank.balance('00000000-0000-4000-8000-000000000000')$$, 'LG014',
                 'balance not yet visible', 'an id that is nowhere is LG014');

SELECT * FROM finish();
ROLLBACK;
