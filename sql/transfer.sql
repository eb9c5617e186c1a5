-- Money moves.

CREATE TYPE bank.transfer_row AS (
    transfer_id  uuid,
    kind         text,
    customer_id  uuid,
    from_account uuid,
    to_account   uuid,
    amount       bigint,
    currency     text,
    from_version bigint,
    to_version   bigint,
    from_balance bigint,
    to_balance   bigint,
    from_held    bigint,
    to_held      bigint,
    completed_at timestamptz
);
COMMENT ON TYPE bank.transfer_row IS 'A transfer, deposit or withdrawal; versions, balances and held are those after it, money in minor units.';

CREATE FUNCTION bank.transfer(from_account uuid, to_account uuid, amount bigint,
                              transfer_id uuid DEFAULT NULL)
RETURNS bank.transfer_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_transfer';
COMMENT ON FUNCTION bank.transfer(uuid, uuid, bigint, uuid) IS
'Moves amount (minor units, more than zero) between two accounts of one holder and one currency. transfer_id is the idempotency key: the same call again returns the same row. Raises LG001, LG004, LG005, LG006, LG007, LG008, LG019, 22003, 22004, 22023.';

CREATE FUNCTION bank.deposit(account_id uuid, amount bigint, transfer_id uuid DEFAULT NULL)
RETURNS bank.transfer_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_deposit';
COMMENT ON FUNCTION bank.deposit(uuid, bigint, uuid) IS
'Brings amount (minor units) into an account, against settlement. transfer_id as for bank.transfer. Raises LG001, LG004, LG008, LG019, 22003, 22004, 22023.';

CREATE FUNCTION bank.withdraw(account_id uuid, amount bigint, transfer_id uuid DEFAULT NULL)
RETURNS bank.transfer_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_withdraw';
COMMENT ON FUNCTION bank.withdraw(uuid, bigint, uuid) IS
'Takes amount (minor units) out of an account, against settlement. transfer_id as for bank.transfer. Raises LG001, LG004, LG005, LG008, LG019, 22003, 22004, 22023.';
