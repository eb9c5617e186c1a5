-- Accounts: row types, creation, and the balance that is true now.

CREATE TYPE bank.account_row AS (
    account_id  uuid,
    customer_id uuid,
    kind        text,
    currency    text,
    status      text,
    balance     bigint,
    held        bigint,
    version     bigint,
    opened_at   timestamptz,
    updated_at  timestamptz,
    closed_at   timestamptz
);
COMMENT ON TYPE bank.account_row IS 'An account; balance and held in minor units of currency.';

CREATE TYPE bank.ledger_balance_row AS (
    account_id  uuid,
    customer_id uuid,
    currency    text,
    status      text,
    balance     bigint,
    held        bigint,
    available   bigint,
    version     bigint,
    updated_at  timestamptz
);
COMMENT ON TYPE bank.ledger_balance_row IS 'A balance as the ledger has it; available is balance less held, minor units.';

CREATE FUNCTION bank.create_account(customer_id uuid, currency text DEFAULT 'BRL',
                                    account_id uuid DEFAULT NULL)
RETURNS bank.account_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_create_account';
COMMENT ON FUNCTION bank.create_account(uuid, text, uuid) IS
'Creates an account for a customer whom customer-api says is active. The same account_id again returns the same account. Raises LG002, LG003, LG008, LG011, LG013, LG019, 22004, 22023.';

CREATE FUNCTION bank.ledger_balance(account_id uuid)
RETURNS bank.ledger_balance_row
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'bank_ledger_balance';
COMMENT ON FUNCTION bank.ledger_balance(uuid) IS
'The balance of an account in the ledger, now; minor units. Raises LG001, 22004.';
