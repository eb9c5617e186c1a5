-- Notifications: sent when due, again when refused, dead when there is no use.
CREATE FUNCTION pg_temp.id(number int) RETURNS uuid LANGUAGE sql
AS $$ SELECT ('f0000000-0000-4000-8000-' || lpad(number::text, 12, '0'))::uuid $$;
CREATE PROCEDURE pg_temp.notify(numbers int[]) LANGUAGE sql AS $$
    DELETE FROM bank_report.notification;
    UPDATE bank_report.gate SET failures = 0, opened_until = NULL, paused_until = NULL;
    INSERT INTO bank_report.notification (transfer_id, customer_id, from_account, to_account,
        amount, currency, completed_at, state, next_attempt_at)
    SELECT pg_temp.id(n), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1050, 'BRL',
           '2026-01-31 12:00:00+00', 'pending', '2026-01-31 12:00:00+00'
    FROM unnest(numbers) AS n $$;
CREATE VIEW pg_temp.shown AS
    SELECT right(transfer_id::text, 2) AS id, state, attempts, last_status, last_error,
           first_attempt_at IS NOT NULL AS tried, next_attempt_at > coalesce(first_attempt_at, now()) AS due_later,
           delivered_at IS NOT NULL AS told
    FROM bank_report.notification ORDER BY transfer_id;

-- what is due is sent, the oldest first, as many as were asked for
CALL pg_temp.notify(ARRAY[1, 2, 3]);
UPDATE bank_report.notification SET next_attempt_at = next_attempt_at - interval '1 hour'
WHERE transfer_id = pg_temp.id(2);
CALL bank_report.retry(1);
SELECT * FROM pg_temp.shown;
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;

-- BACEN knows these already: the answer names the transfer
CALL pg_temp.notify(ARRAY[1]);
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;

-- refusals that may pass, and one that will not
CALL pg_temp.notify(ARRAY[11]);
\! curl -sS -X PUT "$BANK_BACEN_URL/_control/answers" -d '[{"path": "/notificacoes", "status": 503, "times": 1}]'
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;
CALL pg_temp.notify(ARRAY[12]);
\! curl -sS -X PUT "$BANK_BACEN_URL/_control/answers" -d '[{"path": "/notificacoes", "status": 429, "headers": {"Retry-After": "99999"}, "times": 1}]'
CALL bank_report.retry();
SELECT last_status, next_attempt_at > now() + interval '59 minutes' AS obeyed,
       next_attempt_at < now() + interval '61 minutes' AS clamped
FROM bank_report.notification;
SELECT state, failures, paused_until > now() AS paused,
       paused_until < now() + interval '61 seconds' AS clamped
FROM bank_report.circuit;
CALL pg_temp.notify(ARRAY[13]);
\! curl -sS -X PUT "$BANK_BACEN_URL/_control/answers" -d '[{"path": "/notificacoes", "drop": true, "accept": true, "times": 1}]'
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;
UPDATE bank_report.notification SET next_attempt_at = now() - interval '1 second';
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;
CALL pg_temp.notify(ARRAY[14]);
\! curl -sS -X PUT "$BANK_BACEN_URL/_control/answers" -d '[{"path": "/notificacoes", "status": 422, "body": "conta desconhecida", "times": 1}]'
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;

-- a dead one is brought back by hand, and goes on counting
SELECT bank_report.requeue(pg_temp.id(14));
SELECT bank_report.requeue(pg_temp.id(14));
SELECT state, attempts, requeued_after FROM bank_report.notification;
SELECT act, right(transfer_id::text, 2) AS id, customer_id IS NOT NULL AS of_customer, actor
FROM bank_ledger.operator_act WHERE transfer_id = pg_temp.id(14);
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;
SELECT bank_report.requeue(pg_temp.id(14));
SELECT bank_report.requeue(pg_temp.id(99));
SELECT bank_report.requeue(NULL);

-- dead after the last attempt; requeued, it has as many again
SHOW bank.bacen_max_attempts;
CALL pg_temp.notify(ARRAY[15, 16]);
UPDATE bank_report.notification SET attempts = 99, requeued_after = 0
WHERE transfer_id = pg_temp.id(15);
UPDATE bank_report.notification SET attempts = 99, requeued_after = 1
WHERE transfer_id = pg_temp.id(16);
\! curl -sS -X PUT "$BANK_BACEN_URL/_control/answers" -d '[{"path": "/notificacoes", "status": 500, "times": 2}]'
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;

-- a lease that has not ended is left alone, one that has is taken over
CALL pg_temp.notify(ARRAY[17, 18]);
UPDATE bank_report.notification SET state = 'sending', attempts = 1,
    next_attempt_at = now() + interval '1 minute';
UPDATE bank_report.notification SET next_attempt_at = now() - interval '1 minute'
WHERE transfer_id = pg_temp.id(18);
CALL bank_report.retry();
SELECT * FROM pg_temp.shown;

-- as the role that pg_cron runs it
CALL pg_temp.notify(ARRAY[19]);
SET ROLE bank_report;
CALL bank_report.retry();
SELECT state FROM bank_report.notification;
RESET ROLE;

-- where and how it may be called
CALL bank_report.retry(NULL);
CALL bank_report.retry(0);
BEGIN;
CALL bank_report.retry();
ROLLBACK;
SET default_transaction_read_only = on;
CALL bank_report.retry();
SELECT bank_report.requeue(pg_temp.id(19));
SELECT bank_report.schedule();
SELECT bank_report.unschedule();
RESET default_transaction_read_only;

-- the job of pg_cron
CREATE FUNCTION pg_temp.times(minutes int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM bank_report.schedule(minutes);
    RETURN (SELECT string_agg(schedule, ', ') FROM cron.job);
END $$;
SELECT minutes, pg_temp.times(minutes)
FROM unnest(ARRAY[1, 2, 5, 30, 60, 120, 720, 1440]) AS minutes;
SELECT bank_report.schedule() IS NOT NULL AS scheduled;
SELECT jobname, schedule, command, database, username, active FROM cron.job;
SELECT bank.schedule_expiry() IS NOT NULL AS scheduled;
SELECT jobname, schedule, command, database, username FROM cron.job ORDER BY jobname;
SELECT bank.unschedule_expiry(), bank.unschedule_expiry();
SELECT bank_report.unschedule(), bank_report.unschedule();
SELECT bank_report.schedule(7);
SELECT bank_report.schedule(0);
SELECT bank_report.schedule(-5);
SELECT bank_report.schedule(90);
SELECT bank_report.schedule(2880);
SELECT bank_report.schedule(NULL);

-- not in the database of the read model
\c bank_search
CALL bank_report.retry();
SELECT bank_report.requeue(gen_random_uuid());
SELECT bank_report.schedule();
SELECT bank_report.unschedule();
\c bank
DELETE FROM bank_report.notification;
