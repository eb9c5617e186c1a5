-- Balances as the search side has them.

CREATE TYPE bank.balance_row AS (
    account_id  uuid,
    customer_id uuid,
    currency    text,
    status      text,
    balance     bigint,
    held        bigint,
    version     bigint,
    updated_at  timestamptz,
    epoch       integer,
    source      text
);
COMMENT ON TYPE bank.balance_row IS 'A balance as last heard of, minor units; source is redis or database.';

-- SECURITY DEFINER: the read model may be read through this function alone.
CREATE FUNCTION bank.balance(account_id uuid, min_version bigint DEFAULT 0)
RETURNS bank.balance_row
LANGUAGE c VOLATILE PARALLEL RESTRICTED
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'bank_balance';
COMMENT ON FUNCTION bank.balance(uuid, bigint) IS
'The balance of an account from Redis, else from the search database, at min_version or later; minor units. Raises LG014, 08006, 22004, 22023.';
