-- Notifications to BACEN: the retry, its schedule, and the way back from dead.

-- Neither SECURITY DEFINER nor SET: either would make its commits fail.
CREATE PROCEDURE bank_report.retry(max_rows integer DEFAULT 500)
LANGUAGE c AS 'MODULE_PATHNAME', 'bank_notification_retry';
COMMENT ON PROCEDURE bank_report.retry(integer) IS
'Sends up to max_rows notifications that are due to BACEN; called by pg_cron, one call at a time. Raises F0000, 2D000, LG019, 22004, 22023.';

CREATE FUNCTION bank_report.admit(wanted integer) RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'bank_admission_admit';
COMMENT ON FUNCTION bank_report.admit(integer) IS
'How many of the wanted notifications may be sent now, by rate and circuit; takes leave for them. For bank-bridge report. Raises LG019, 22000, 22004, 22023.';

CREATE FUNCTION bank_report.note_answers(answered integer, failed integer, slowed integer, pause_s integer)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'bank_admission_note_answers';
COMMENT ON FUNCTION bank_report.note_answers(integer, integer, integer, integer) IS
'Tells rate and circuit how many notifications were answered, failed, or slowed by 429 with this longest Retry-After. For bank-bridge report. Raises LG019, 22000, 22004, 22023.';

CREATE VIEW bank_report.circuit WITH (security_invoker = true) AS
SELECT CASE WHEN g.opened_until IS NULL THEN 'closed'
            WHEN g.probing OR g.opened_until OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
                THEN 'half open'
            ELSE 'open' END AS state,
       g.failures, g.opened_until, g.paused_until
FROM bank_report.gate AS g;
COMMENT ON VIEW bank_report.circuit IS
'Whether notifications are sent: closed is well, open sends none until opened_until, half open waits for one to be answered; none begins before paused_until.';

CREATE FUNCTION bank_report.requeue(transfer_id uuid) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'bank_notification_requeue';
COMMENT ON FUNCTION bank_report.requeue(uuid) IS
'Makes a dead notification due now; false, and a notice, where it is not dead. Raises LG016, LG019, 22004.';

CREATE FUNCTION bank_report.schedule(minutes integer DEFAULT 5) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'bank_notification_schedule';
COMMENT ON FUNCTION bank_report.schedule(integer) IS
'Lets pg_cron call bank_report.retry() every so many minutes, as role bank_report; replaces the job there was, and returns its number. Raises 0A000, LG019, 22004, 22023.';

CREATE FUNCTION bank_report.unschedule() RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'bank_notification_unschedule';
COMMENT ON FUNCTION bank_report.unschedule() IS
'Removes the job of pg_cron; false where there was none. Raises 0A000, LG019.';
