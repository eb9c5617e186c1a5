-- What the ledger is measured against, in the same cluster and run:
--   baseline.one_row    the bare one-row UPDATE: the floor of a durable posting
--   baseline.transfer   a careful ledger in PL/pgSQL; it makes no event and no
--                       digest, and asks for no rights
-- :accounts, :first_account and :holder are those of the ledger.

CREATE SCHEMA baseline;

CREATE TABLE baseline.account (
    account_id  uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    currency    text NOT NULL,
    status      text NOT NULL DEFAULT 'active',
    balance     bigint NOT NULL DEFAULT 0,
    held        bigint NOT NULL DEFAULT 0,
    version     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE baseline.transfer (
    transfer_id  uuid PRIMARY KEY,
    kind         text NOT NULL,
    customer_id  uuid NOT NULL,
    from_account uuid NOT NULL,
    to_account   uuid NOT NULL,
    amount       bigint NOT NULL CHECK (amount > 0),
    currency     text NOT NULL,
    from_version bigint NOT NULL,
    to_version   bigint NOT NULL,
    from_balance bigint NOT NULL,
    to_balance   bigint NOT NULL,
    from_held    bigint NOT NULL,
    to_held      bigint NOT NULL,
    completed_at timestamptz NOT NULL
);
CREATE INDEX ON baseline.transfer (from_account, from_version);
CREATE INDEX ON baseline.transfer (to_account, to_version);

CREATE TABLE baseline.one_row (
    id      integer PRIMARY KEY,
    balance bigint NOT NULL,
    version bigint NOT NULL
) WITH (fillfactor = 50);

-- Both rows are locked in the order of their ids before either is judged.
CREATE FUNCTION baseline.transfer(payer_id uuid, payee_id uuid, amount bigint, key uuid)
RETURNS baseline.transfer
LANGUAGE plpgsql AS $$
DECLARE
    payer  baseline.account;
    payee  baseline.account;
    posted baseline.transfer;
BEGIN
    IF amount <= 0 OR payer_id = payee_id THEN
        RAISE invalid_parameter_value;
    END IF;

    SELECT * INTO posted FROM baseline.transfer AS t WHERE t.transfer_id = key;
    IF FOUND THEN
        RETURN posted;
    END IF;

    IF payer_id < payee_id THEN
        SELECT * INTO payer FROM baseline.account WHERE account_id = payer_id FOR NO KEY UPDATE;
        SELECT * INTO payee FROM baseline.account WHERE account_id = payee_id FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO payee FROM baseline.account WHERE account_id = payee_id FOR NO KEY UPDATE;
        SELECT * INTO payer FROM baseline.account WHERE account_id = payer_id FOR NO KEY UPDATE;
    END IF;
    IF payer.account_id IS NULL OR payee.account_id IS NULL THEN
        RAISE no_data_found;
    END IF;
    IF payer.status <> 'active' OR payee.status <> 'active'
       OR payer.customer_id <> payee.customer_id OR payer.currency <> payee.currency
       OR payer.balance - payer.held < amount THEN
        RAISE check_violation;
    END IF;

    UPDATE baseline.account AS a SET balance = a.balance - transfer.amount, version = a.version + 1
        WHERE a.account_id = payer_id;
    UPDATE baseline.account AS a SET balance = a.balance + transfer.amount, version = a.version + 1
        WHERE a.account_id = payee_id;
    INSERT INTO baseline.transfer VALUES (
        key, 'transfer', payer.customer_id, payer_id, payee_id, amount, payer.currency,
        payer.version + 1, payee.version + 1, payer.balance - amount, payee.balance + amount,
        payer.held, payee.held, clock_timestamp())
    RETURNING * INTO posted;
    RETURN posted;
END
$$;

INSERT INTO baseline.one_row (id, balance, version)
SELECT n, 0, 0 FROM generate_series(1, :accounts) AS n;

INSERT INTO baseline.account (account_id, customer_id, currency, balance)
SELECT a.account_id, a.customer_id, a.currency, a.balance
FROM bank_ledger.account AS a
WHERE a.kind = 'customer';

VACUUM ANALYZE baseline.one_row, baseline.account, baseline.transfer;
