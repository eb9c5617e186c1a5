-- The invariants that data can show, recomputed from the journal.

CREATE VIEW bank_ledger.entry AS
SELECT e.account_id, e.version, e.kind, 0::bigint AS change, e.balance, e.held,
       e.occurred_at AS dated, NULL::uuid AS transfer_id,
       e.customer_id, e.currency, e.status
FROM bank_ledger.account_event AS e
UNION ALL
SELECT t.from_account, t.from_version, t.kind, OPERATOR(pg_catalog.-) t.amount,
       t.from_balance, t.from_held, t.completed_at, t.transfer_id,
       NULL, t.currency, 'active'
FROM bank_ledger.transfer AS t
UNION ALL
SELECT t.to_account, t.to_version, t.kind, t.amount,
       t.to_balance, t.to_held, t.completed_at, t.transfer_id,
       NULL, t.currency, 'active'
FROM bank_ledger.transfer AS t;
COMMENT ON VIEW bank_ledger.entry IS 'The journal by account: each event once, each transfer once for either account.';
COMMENT ON COLUMN bank_ledger.entry.change IS 'What the entry adds to the balance, minor units.';
COMMENT ON COLUMN bank_ledger.entry.customer_id IS 'The holder an event names; null for transfers.';

CREATE FUNCTION bank_ledger.verify_entries()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH entry AS (
        SELECT n.*,
               lag(n.version, 1, 0::bigint) OVER by_version AS last_version,
               lag(n.balance, 1, 0::bigint) OVER by_version AS last_balance,
               lag(n.held, 1, 0::bigint) OVER by_version AS last_held,
               lag(n.dated) OVER by_version AS last_dated,
               lead(n.version) OVER by_version IS NULL AS is_last
        FROM bank_ledger.entry AS n
        WINDOW by_version AS (PARTITION BY n.account_id ORDER BY n.version)
    ),
    -- One value an entry, null for nearly all of them: what it breaks, each
    -- with the invariant's number, so that texts are made for those alone.
    judged AS (
        SELECT o.*, a.account_id AS owner_id, a.version AS state_version,
               a.balance AS state_balance, a.held AS state_held, a.closed_at,
               a.updated_at, nullif(concat_ws(';',
            CASE WHEN a.account_id IS NULL THEN '2 there is no such account' END,
            CASE WHEN o.account_id IS NULL THEN '2 the account has no journal' END,
            CASE WHEN o.version <> o.last_version + 1
                 THEN '2 the version does not follow the one before' END,
            CASE WHEN (o.version = 1) <> (o.kind = 'created')
                 THEN '2 only the first entry creates the account' END,
            CASE WHEN o.balance <> o.last_balance::numeric + o.change
                 THEN '2 the balance is not the one before plus the change' END,
            CASE WHEN o.held <> o.last_held AND o.kind NOT LIKE 'hold%'
                 THEN '2 held differs from the one before' END,
            CASE WHEN o.balance NOT BETWEEN -9007199254740991 AND 9007199254740991
                 THEN '2 the balance is out of range' END,
            CASE WHEN o.currency <> a.currency
                      OR o.transfer_id IS NULL AND o.customer_id IS DISTINCT FROM a.customer_id
                      OR (o.status = 'inactive') <> (o.kind = 'inactivated')
                 THEN '2 holder, currency or status is not the account''s' END,
            CASE WHEN o.is_last AND (a.version, a.balance, a.held)
                      <> (o.version, o.balance, o.held)
                 THEN '2 the account is not what its last entry says' END,
            CASE WHEN a.kind = 'customer' AND o.balance < o.held
                 THEN '3 less than nothing is available' END,
            CASE WHEN o.transfer_id IS NOT NULL AND o.dated >= a.closed_at
                 THEN '4 the transfer is not dated before the closing' END,
            CASE WHEN o.dated < o.last_dated
                 THEN '4 the entry is dated before the one before it' END,
            CASE WHEN o.is_last AND o.dated <> a.updated_at
                 THEN '4 the account was not updated at its last entry' END,
            CASE WHEN o.kind = 'inactivated' AND o.dated IS DISTINCT FROM a.closed_at
                 THEN '4 the account was not closed at its closing' END,
            CASE WHEN o.kind = 'inactivated' AND NOT o.is_last
                 THEN '4 an entry follows the closing' END,
            CASE WHEN o.is_last AND (a.status = 'inactive') <> (o.kind = 'inactivated')
                 THEN '6 the status is not what the last entry says' END,
            CASE WHEN o.is_last AND a.status = 'inactive' AND (o.balance, o.held) <> (0, 0)
                 THEN '6 the account is closed and not empty' END), '') AS broken
        FROM entry AS o
        FULL JOIN bank_ledger.account AS a ON a.account_id = o.account_id
    )
    SELECT left(b, 1), 'account ' || coalesce(j.account_id, j.owner_id)::text,
           substr(b, 3) || format(
               ': version %s (%s, %s) has balance %s, held %s, date %s; before it version %s, balance %s, held %s, date %s; the account version %s, balance %s, held %s, updated %s, closed %s',
               j.version, j.kind, j.change, j.balance, j.held, j.dated,
               j.last_version, j.last_balance, j.last_held, j.last_dated,
               j.state_version, j.state_balance, j.state_held, j.updated_at, j.closed_at)
    FROM (SELECT * FROM judged AS m WHERE m.broken IS NOT NULL OFFSET 0) AS j
    CROSS JOIN LATERAL unnest(string_to_array(j.broken, ';')) AS b
$$;
COMMENT ON FUNCTION bank_ledger.verify_entries() IS
'Part of bank.verify(): what the entries of each account show (invariants 2, 3, 4, 6).';

CREATE FUNCTION bank_ledger.verify_transfers()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH judged AS (
        SELECT t.*, payer.customer_id AS payer_id, payee.customer_id AS payee_id,
               nullif(concat_ws(';',
            CASE WHEN t.amount <= 0 OR t.from_account = t.to_account
                 THEN '1 nothing is moved' END,
            CASE WHEN (t.currency = payer.currency AND t.currency = payee.currency) IS NOT TRUE
                 THEN '1 the currency is not that of both accounts' END,
            CASE WHEN CASE
                     WHEN payer.kind = 'settlement' THEN t.kind IN ('deposit', 'reversal')
                         AND payee.customer_id = t.customer_id
                     WHEN payee.kind = 'settlement' THEN t.kind IN ('withdrawal', 'reversal')
                         AND payer.customer_id = t.customer_id
                     ELSE t.kind NOT IN ('deposit', 'withdrawal')
                         AND payer.customer_id = t.customer_id
                         AND payee.customer_id = t.customer_id
                 END IS NOT TRUE
                 THEN '7 the accounts are not of one holder' END), '') AS broken
        FROM bank_ledger.transfer AS t
        LEFT JOIN bank_ledger.account AS payer ON payer.account_id = t.from_account
        LEFT JOIN bank_ledger.account AS payee ON payee.account_id = t.to_account
    )
    SELECT left(b, 1), 'transfer ' || j.transfer_id::text,
           substr(b, 3) || format(': %s of %s %s for customer %s, from %s of %s to %s of %s',
               j.kind, j.amount, j.currency, j.customer_id, j.from_account,
               coalesce(j.payer_id::text, 'settlement'), j.to_account,
               coalesce(j.payee_id::text, 'settlement'))
    FROM (SELECT * FROM judged AS m WHERE m.broken IS NOT NULL OFFSET 0) AS j
    CROSS JOIN LATERAL unnest(string_to_array(j.broken, ';')) AS b
$$;
COMMENT ON FUNCTION bank_ledger.verify_transfers() IS
'Part of bank.verify(): what each transfer shows (invariants 1, 7).';

CREATE FUNCTION bank_ledger.verify_totals()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '1', 'currency ' || a.currency,
           format('the balances of all accounts add up to %s', sum(a.balance))
    FROM bank_ledger.account AS a
    GROUP BY a.currency
    HAVING sum(a.balance) <> 0
    UNION ALL
    SELECT '6', 'customer ' || a.customer_id::text,
           CASE WHEN c.status IS NULL THEN format('account %s has an unknown customer', a.account_id)
                ELSE format('the customer is closing and account %s is active', a.account_id) END
    FROM bank_ledger.account AS a
    LEFT JOIN bank_ledger.customer AS c ON c.customer_id = a.customer_id
    WHERE a.kind = 'customer'
      AND (c.status IS NULL OR (c.status = 'closing' AND a.status = 'active'))
    UNION ALL
    SELECT '2', 'table ' || t.tgrelid::regclass::text,
           format('trigger %s no longer refuses every change', t.tgname)
    FROM pg_trigger AS t
    WHERE t.tgfoid = 'bank_ledger.refuse_change'::regproc AND t.tgenabled <> 'A'
$$;
COMMENT ON FUNCTION bank_ledger.verify_totals() IS
'Part of bank.verify(): sums, customers, and whether the journal is closed (invariants 1, 2, 6).';

CREATE FUNCTION bank.verify()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    transfers bigint;
    accounts  bigint;
    epoch     integer;
BEGIN
    RETURN QUERY SELECT f.* FROM bank_ledger.verify_totals() AS f;
    RETURN QUERY SELECT f.* FROM bank_ledger.verify_transfers() AS f;
    RETURN QUERY SELECT f.* FROM bank_ledger.verify_entries() AS f;
    SELECT count(*) INTO transfers FROM bank_ledger.transfer;
    SELECT count(*) INTO accounts FROM bank_ledger.account;
    SELECT max(e.number) INTO epoch FROM bank_ledger.epoch AS e;
    RAISE NOTICE 'verified % transfers, % accounts, epoch %, invariants 1, 2, 3, 4, 6, 7',
        transfers, accounts, coalesce(epoch::text, 'none');
END
$$;
COMMENT ON FUNCTION bank.verify() IS
'Recomputes the invariants from the journal, in one snapshot, reading only: each row names an invariant that does not hold, of what, and why. No row: the ledger is sound. A notice says what was checked.';
