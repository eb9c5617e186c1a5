-- Statements, and balances at a date.

CREATE TYPE bank.statement_row AS (
    line         text,
    version      bigint,
    completed_at timestamptz,
    transfer_id  uuid,
    kind         text,
    counterparty uuid,
    amount       bigint,
    balance      bigint,
    held         bigint,
    reference    text
);
COMMENT ON TYPE bank.statement_row IS 'A row of a statement; money in minor units.';
COMMENT ON COLUMN bank.statement_row.line IS 'opening and closing: what the account was before and after the lines, once each. entry: a transfer.';
COMMENT ON COLUMN bank.statement_row.version IS 'Of the account, after the entry; 0: not yet opened.';
COMMENT ON COLUMN bank.statement_row.completed_at IS 'Date of the version.';
COMMENT ON COLUMN bank.statement_row.counterparty IS 'The other account; null where that is settlement.';
COMMENT ON COLUMN bank.statement_row.amount IS 'What the entry adds to the balance: below zero where the account pays.';
COMMENT ON COLUMN bank.statement_row.balance IS 'After the entry.';
COMMENT ON COLUMN bank.statement_row.held IS 'After the entry.';
COMMENT ON COLUMN bank.statement_row.reference IS 'The caller''s own reference.';

CREATE FUNCTION bank.statement(account_id uuid, since timestamptz, until timestamptz,
                               after_version bigint DEFAULT NULL, max_rows integer DEFAULT 100)
RETURNS SETOF bank.statement_row
LANGUAGE c STABLE PARALLEL SAFE ROWS 102 AS 'MODULE_PATHNAME', 'bank_statement';
COMMENT ON FUNCTION bank.statement(uuid, timestamptz, timestamptz, bigint, integer) IS
'An account''s transfers dated from since on and before until, oldest first, at most max_rows (1 to 10,000), between an opening and a closing row: the opening balance and the amounts make the closing balance. The next page: the same call with after_version the version of the last line. Raises LG001, 22004, 22023.';

CREATE TYPE bank.balance_at_row AS (
    balance        bigint,
    version        bigint,
    complete_until timestamptz
);
COMMENT ON TYPE bank.balance_at_row IS 'A balance by entry date, minor units.';
COMMENT ON COLUMN bank.balance_at_row.version IS 'The account''s last version dated at or before the date; 0: it was not yet opened.';
COMMENT ON COLUMN bank.balance_at_row.complete_until IS 'Start of the oldest posting still running: no entry with an earlier date can come any more.';

-- VOLATILE: it takes a snapshot of its own, after it looked who still posts.
CREATE FUNCTION bank.balance_at(account_id uuid, at timestamptz)
RETURNS bank.balance_at_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_balance_at';
COMMENT ON FUNCTION bank.balance_at(uuid, timestamptz) IS
'The balance of an account after its last version dated at or before a date; minor units. It is final where the date is before complete_until. Raises LG001, 22004.';
