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
'Creates an account for a customer whom customer-api says is active. The same account_id again returns the same account. Raises LG002, LG003, LG008, LG009, LG011, LG013, LG019, 22004, 22023.';

CREATE FUNCTION bank.ledger_balance(account_id uuid)
RETURNS bank.ledger_balance_row
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'bank_ledger_balance';
COMMENT ON FUNCTION bank.ledger_balance(uuid) IS
'The balance of an account in the ledger, now; minor units. Raises LG001, 22004.';

CREATE VIEW bank.accounts WITH (security_invoker = true) AS
SELECT a.account_id, a.customer_id, a.kind, a.currency, a.status, a.balance, a.held,
       a.version, a.opened_at, a.updated_at, a.closed_at
FROM bank_ledger.account AS a
WHERE a.kind OPERATOR(pg_catalog.=) 'customer';
COMMENT ON VIEW bank.accounts IS 'The accounts of customers, open and closed; an index serves customer_id.';
COMMENT ON COLUMN bank.accounts.account_id IS 'Names the account in every function.';
COMMENT ON COLUMN bank.accounts.customer_id IS 'Holder.';
COMMENT ON COLUMN bank.accounts.kind IS 'Always customer.';
COMMENT ON COLUMN bank.accounts.currency IS 'ISO 4217 code, as in bank.currency.';
COMMENT ON COLUMN bank.accounts.status IS 'active or inactive.';
COMMENT ON COLUMN bank.accounts.balance IS 'Minor units of currency, what is held included.';
COMMENT ON COLUMN bank.accounts.held IS 'Minor units that holds reserve, as last written: bank.ledger_balance leaves out those that have expired since.';
COMMENT ON COLUMN bank.accounts.version IS 'Counts what happened to the account, from 1 on, without gap.';
COMMENT ON COLUMN bank.accounts.opened_at IS 'When the account was created.';
COMMENT ON COLUMN bank.accounts.updated_at IS 'Date of the last thing that happened to the account.';
COMMENT ON COLUMN bank.accounts.closed_at IS 'When the account was closed; null while active.';

CREATE VIEW bank.settlement WITH (security_invoker = true) AS
SELECT a.currency, pg_catalog.sum(a.balance)::bigint AS balance,
       pg_catalog.max(a.updated_at) AS updated_at
FROM bank_ledger.account AS a
WHERE a.kind OPERATOR(pg_catalog.=) 'settlement'
GROUP BY a.currency;
COMMENT ON VIEW bank.settlement IS 'The other side of deposits and withdrawals: one row for the sixteen accounts of a currency.';
COMMENT ON COLUMN bank.settlement.currency IS 'ISO 4217 code, as in bank.currency.';
COMMENT ON COLUMN bank.settlement.balance IS 'Minor units; what customers hold, with the sign reversed.';
COMMENT ON COLUMN bank.settlement.updated_at IS 'Date of the last deposit or withdrawal, or of a correction of one.';
