-- Notifications to BACEN: the retry, its schedule, and the way back from dead.

-- Neither SECURITY DEFINER nor SET: either would make its commits fail.
CREATE PROCEDURE bank_report.retry(max_rows integer DEFAULT 500)
LANGUAGE c AS 'MODULE_PATHNAME', 'bank_notification_retry';
COMMENT ON PROCEDURE bank_report.retry(integer) IS
'Sends up to max_rows notifications that are due to BACEN; called by pg_cron, one call at a time. Raises F0000, 2D000, LG019, 22004, 22023.';

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
