-- Rights, all of them: who may what is answered by this file alone.

REVOKE ALL ON SCHEMA bank, bank_ledger, bank_report, bank_search FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA bank, bank_ledger, bank_report, bank_search FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA bank_ledger FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA bank, bank_ledger, bank_report, bank_search FROM PUBLIC;

-- bank-bridge publish: reads what it publishes, beats and seals.
GRANT USAGE ON SCHEMA bank_ledger TO bank_publish;
GRANT SELECT ON bank_ledger.site, bank_ledger.epoch TO bank_publish;
GRANT EXECUTE ON FUNCTION bank_ledger.beat(), bank_ledger.seal_next(), bank_ledger.accounts_ahead()
    TO bank_publish;

-- bank-bridge project: alone writes the read model.
GRANT USAGE ON SCHEMA bank_search TO bank_project;
GRANT SELECT, INSERT, UPDATE ON bank_search.balance, bank_search.consumer_offset,
    bank_search.consumer_generation TO bank_project;

-- bank-bridge report and the job of pg_cron: alone write notifications.
GRANT USAGE ON SCHEMA bank_report TO bank_report;
GRANT SELECT, INSERT, UPDATE ON bank_report.notification, bank_report.consumer_offset,
    bank_report.consumer_generation TO bank_report;
GRANT SELECT, UPDATE ON bank_report.gate TO bank_report;
GRANT SELECT ON bank_report.circuit TO bank_report;
GRANT EXECUTE ON FUNCTION bank_report.admit(integer),
    bank_report.note_answers(integer, integer, integer, integer) TO bank_report;
GRANT EXECUTE ON PROCEDURE bank_report.retry(integer) TO bank_report;
-- And ask whether a transfer of an epoch that is over was lost with it.
GRANT USAGE ON SCHEMA bank_ledger TO bank_report;
GRANT SELECT (number) ON bank_ledger.epoch TO bank_report;
GRANT SELECT (transfer_id, completed_at) ON bank_ledger.transfer TO bank_report;

-- Its other job of pg_cron.
GRANT USAGE ON SCHEMA bank TO bank_report;
GRANT EXECUTE ON FUNCTION bank.expire_holds(integer) TO bank_report;

-- Limits: an operator sets any, a customer lowers his own (rights.c).
GRANT USAGE ON SCHEMA bank TO bank_operator, bank_customer;
GRANT EXECUTE ON FUNCTION bank.set_limit(uuid, bigint) TO bank_operator, bank_customer;
GRANT EXECUTE ON FUNCTION bank.accept_clock(uuid) TO bank_operator;
