-- What an account may pay in a day, and dates ahead of the clock.

CREATE TYPE bank.limit_row AS (
    account_id     uuid,
    daily_amount   bigint,
    spent_day      date,
    spent          bigint,
    next_amount    bigint,
    next_day       date,
    version        bigint
);
COMMENT ON TYPE bank.limit_row IS 'The daily limit of an account, minor units, null: none; spent counts the gross debits of spent_day; next_amount takes its place on next_day, unless that is null.';

CREATE FUNCTION bank.set_limit(account_id uuid, daily_amount bigint)
RETURNS bank.limit_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_set_limit';
COMMENT ON FUNCTION bank.set_limit(uuid, bigint) IS
'Limits the gross debits of an account in a local day (bank.time_zone) to daily_amount, minor units, 0 to 9007199254740991; null removes. A lower limit counts at once, a higher one or none from the next local day. An operator sets any; a customer lowers his own or sets the limit in force again, which takes back a raise that has not begun. Raises LG001, LG004, LG009, LG019, 42501, 22003, 22004, 22023.';

CREATE FUNCTION bank.accept_clock(account_id uuid)
RETURNS bank.account_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_accept_clock';
COMMENT ON FUNCTION bank.accept_clock(uuid) IS
'Lets an account be posted to although its last date is more than bank.max_clock_lead ahead of the clock (LG020); its entries keep that date until the clock has come up. For operators. Raises LG001, LG004, LG009, LG019, 42501, 22004.';

-- SECURITY DEFINER: bank-bridge publish counts them, and reads no account.
CREATE FUNCTION bank_ledger.accounts_ahead() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- The setting's default counts where the library is not loaded yet.
    SELECT count(*) FROM bank_ledger.account AS a
    WHERE a.status = 'active'
      AND a.updated_at > clock_timestamp()
          + coalesce(current_setting('bank.max_clock_lead', true), '10s')::interval
      AND (a.clock_accepted_at >= a.updated_at) IS NOT TRUE
$$;
COMMENT ON FUNCTION bank_ledger.accounts_ahead() IS
'How many accounts take no posting, because their last date is too far ahead of the clock (LG020); bank.verify() names them. Reads every account.';
