-- Who may run the retry and what surrounds it, and how they are declared.
BEGIN;
SELECT plan(14);

SELECT is_procedure('bank_report', 'retry', ARRAY['integer'], 'retry is a procedure');
SELECT isnt_definer('bank_report', 'retry', ARRAY['integer'],
                    'retry runs with the rights of who calls it: else its commits fail');
SELECT is((SELECT p.proconfig FROM pg_proc AS p
           WHERE p.oid = 'bank_report.retry(integer)'::regprocedure), NULL,
          'retry sets nothing: else its commits fail');
SELECT ok(has_function_privilege('bank_report', 'bank_report.retry(integer)', 'EXECUTE'),
          'bank_report runs the retry');

SELECT is_definer('bank_report', name, name || ' runs with the rights of its owner')
FROM unnest(ARRAY['requeue', 'schedule', 'unschedule']) AS name;
SELECT is((SELECT array_agg(DISTINCT setting) FROM pg_proc AS p, unnest(p.proconfig) AS setting
           WHERE p.pronamespace = 'bank_report'::regnamespace AND p.prosecdef),
          ARRAY['search_path=pg_catalog, pg_temp'], 'with a pinned search_path');
SELECT is((SELECT count(*) FROM pg_proc AS p
           WHERE p.pronamespace = 'bank_report'::regnamespace AND p.prosecdef
             AND p.proconfig IS NULL), 0::bigint, 'each of them');
SELECT ok(NOT has_function_privilege('bank_report', signature, 'EXECUTE'),
          'bank_report may not run ' || signature)
FROM unnest(ARRAY['bank_report.requeue(uuid)', 'bank_report.schedule(integer)',
                  'bank_report.unschedule()']) AS signature;

SELECT is((SELECT count(*) FROM pg_proc AS p
           WHERE p.pronamespace = 'bank_report'::regnamespace
             AND has_function_privilege('public', p.oid, 'EXECUTE')), 0::bigint,
          'nobody else may run any of them');
SELECT table_privs_are('bank_report', 'notification', 'bank_report',
                       ARRAY['SELECT', 'INSERT', 'UPDATE'],
                       'bank_report writes notifications and removes none');

SELECT * FROM finish();
ROLLBACK;
