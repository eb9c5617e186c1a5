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
    completed_at timestamptz,
    reverses     uuid,
    reference    text
);
COMMENT ON TYPE bank.transfer_row IS 'A transfer, deposit, withdrawal, posted hold or reversal; versions, balances and held are those after it, money in minor units; reverses is the transfer that a reversal takes back.';

CREATE FUNCTION bank.transfer(from_account uuid, to_account uuid, amount bigint,
                              transfer_id uuid DEFAULT NULL, reference text DEFAULT NULL)
RETURNS bank.transfer_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_transfer';
COMMENT ON FUNCTION bank.transfer(uuid, uuid, bigint, uuid, text) IS
'Moves amount (minor units, 1 to 9007199254740991) between two accounts of one holder and one currency. transfer_id is the idempotency key: the same call again returns the same row. reference is the caller''s own, at most 140 characters. Raises LG001, LG004, LG005, LG006, LG007, LG008, LG009, LG012, LG019, LG020, 22003, 22004, 22023.';

CREATE FUNCTION bank.deposit(account_id uuid, amount bigint, transfer_id uuid DEFAULT NULL,
                             reference text DEFAULT NULL)
RETURNS bank.transfer_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_deposit';
COMMENT ON FUNCTION bank.deposit(uuid, bigint, uuid, text) IS
'Brings amount (minor units, 1 to 9007199254740991) into an account, against settlement. transfer_id is the idempotency key, as for bank.transfer; reference has at most 140 characters. Raises LG001, LG004, LG008, LG009, LG019, LG020, 22003, 22004, 22023.';

CREATE FUNCTION bank.withdraw(account_id uuid, amount bigint, transfer_id uuid DEFAULT NULL,
                              reference text DEFAULT NULL)
RETURNS bank.transfer_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_withdraw';
COMMENT ON FUNCTION bank.withdraw(uuid, bigint, uuid, text) IS
'Takes amount (minor units, 1 to 9007199254740991) out of an account, against settlement. transfer_id is the idempotency key, as for bank.transfer; reference has at most 140 characters. Raises LG001, LG004, LG005, LG008, LG009, LG012, LG019, LG020, 22003, 22004, 22023.';

CREATE FUNCTION bank.transfer_batch(from_accounts uuid[], to_accounts uuid[], amounts bigint[],
                                    transfer_ids uuid[] DEFAULT NULL,
                                    transfer_references text[] DEFAULT NULL)
RETURNS TABLE (item integer, transfer_id uuid, result text)
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_transfer_batch';
COMMENT ON FUNCTION bank.transfer_batch(uuid[], uuid[], bigint[], uuid[], text[]) IS
'As bank.transfer for up to 10,000 items, in their order: one row an item, with ok or the SQLSTATE that stands in its way; one that is refused does not stop the others. Each amount is minor units, 1 to 9007199254740991, each reference at most 140 characters; a null key is made. Raises LG009, LG019, 22004, 22023.';

CREATE FUNCTION bank.reverse(transfer_id uuid, reversal_id uuid DEFAULT NULL)
RETURNS bank.transfer_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_reverse';
COMMENT ON FUNCTION bank.reverse(uuid, uuid) IS
'Moves the amount of a transfer back, once; reversal_id is the idempotency key, in one space with transfer_id. Raises LG004, LG005, LG008, LG009, LG016, LG017, LG019, LG020, 22003, 22004.';
