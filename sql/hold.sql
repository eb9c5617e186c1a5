-- Money held first, and posted or released later.

CREATE TYPE bank.hold_row AS (
    hold_id      uuid,
    state        text,
    customer_id  uuid,
    from_account uuid,
    to_account   uuid,
    amount       bigint,
    currency     text,
    expires_at   timestamptz,
    reference    text,
    version      bigint,
    balance      bigint,
    held         bigint,
    occurred_at  timestamptz
);
COMMENT ON TYPE bank.hold_row IS 'A hold as the call left it: state pending or voided; version, balance and held are those of from_account after it, money in minor units.';

CREATE FUNCTION bank.hold(from_account uuid, to_account uuid, amount bigint,
                          expires_at timestamptz, hold_id uuid DEFAULT NULL,
                          reference text DEFAULT NULL)
RETURNS bank.hold_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_hold';
COMMENT ON FUNCTION bank.hold(uuid, uuid, bigint, timestamptz, uuid, text) IS
'Reserves amount (minor units, 1 to 9007199254740991) of from_account for to_account until expires_at, under the rules of bank.transfer. hold_id is the idempotency key: the same call again returns the same row. reference has at most 140 characters. Raises LG001, LG004, LG005, LG006, LG007, LG008, LG009, LG012, LG019, LG020, 22003, 22004, 22023.';

CREATE FUNCTION bank.post_hold(hold_id uuid, amount bigint DEFAULT NULL)
RETURNS bank.transfer_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_post_hold';
COMMENT ON FUNCTION bank.post_hold(uuid, bigint) IS
'Transfers amount (minor units, 1 to the held amount; null: all of it) and releases the rest; transfer_id is the hold_id. The same call again returns the same row. Raises LG001, LG008, LG009, LG015, LG016, LG019, LG020, 22003, 22004, 22023.';

CREATE FUNCTION bank.void_hold(hold_id uuid)
RETURNS bank.hold_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_void_hold';
COMMENT ON FUNCTION bank.void_hold(uuid) IS
'Releases a hold. The same call again returns the same row. Raises LG001, LG009, LG015, LG016, LG019, 22004.';

CREATE FUNCTION bank.expire_holds(max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_expire_holds';
COMMENT ON FUNCTION bank.expire_holds(integer) IS
'Journals the expiry of up to max_rows (1 to 10,000) holds that are due, and returns how many; those of busy accounts are passed over, and left for the next time. Available money does not wait for it. Raises LG019, 22004, 22023.';

CREATE FUNCTION bank.schedule_expiry(minutes integer DEFAULT 1) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'bank_expiry_schedule';
COMMENT ON FUNCTION bank.schedule_expiry(integer) IS
'Lets pg_cron call bank.expire_holds() every so many minutes, as role bank_report; replaces the job there was, and returns its number. Raises 0A000, LG019, 22004, 22023.';

CREATE FUNCTION bank.unschedule_expiry() RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'bank_expiry_unschedule';
COMMENT ON FUNCTION bank.unschedule_expiry() IS
'Removes the job of pg_cron; false where there was none. Raises 0A000, LG019.';

CREATE VIEW bank.holds WITH (security_invoker = true) AS
SELECT h.hold_id, h.customer_id, h.from_account, h.to_account, h.amount, h.currency, h.expires_at,
       h.state, h.state OPERATOR(pg_catalog.=) 'pending' AND h.expires_at OPERATOR(pg_catalog.>)
           GREATEST(pg_catalog.statement_timestamp(), a.updated_at, b.updated_at) AS live,
       h.posted_amount, h.reference
FROM bank_ledger.hold AS h
JOIN bank_ledger.account AS a ON a.account_id OPERATOR(pg_catalog.=) h.from_account
JOIN bank_ledger.account AS b ON b.account_id OPERATOR(pg_catalog.=) h.to_account;
COMMENT ON VIEW bank.holds IS 'Every hold; an index serves state = pending with from_account or to_account.';
COMMENT ON COLUMN bank.holds.hold_id IS 'Names the hold, and the transfer that posts it.';
COMMENT ON COLUMN bank.holds.customer_id IS 'Holder of both accounts.';
COMMENT ON COLUMN bank.holds.from_account IS 'Whose money is held.';
COMMENT ON COLUMN bank.holds.to_account IS 'Who is to be paid.';
COMMENT ON COLUMN bank.holds.amount IS 'Minor units of currency.';
COMMENT ON COLUMN bank.holds.currency IS 'ISO 4217 code, as in bank.currency.';
COMMENT ON COLUMN bank.holds.expires_at IS 'Until when the money is held.';
COMMENT ON COLUMN bank.holds.state IS 'pending, posted, voided or expired, as last written: a pending hold may have come to its end.';
COMMENT ON COLUMN bank.holds.live IS 'Whether it holds money now: pending, and expires_at is later than the clock and than the last entry of either account.';
COMMENT ON COLUMN bank.holds.posted_amount IS 'What was paid of it; null unless posted.';
COMMENT ON COLUMN bank.holds.reference IS 'The caller''s own reference.';
