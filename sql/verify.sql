-- The invariants that data can show, recomputed from the journal.

CREATE VIEW bank_ledger.entry AS
SELECT e.account_id, e.version, e.kind, 0::bigint AS change, e.balance, e.held,
       e.occurred_at AS dated, NULL::uuid AS transfer_id
FROM bank_ledger.account_event AS e
UNION ALL
SELECT t.from_account, t.from_version, t.kind, OPERATOR(pg_catalog.-) t.amount,
       t.from_balance, t.from_held, t.completed_at, t.transfer_id
FROM bank_ledger.transfer AS t
UNION ALL
SELECT t.to_account, t.to_version, t.kind, t.amount,
       t.to_balance, t.to_held, t.completed_at, t.transfer_id
FROM bank_ledger.transfer AS t;
COMMENT ON VIEW bank_ledger.entry IS 'The journal by account: each event once, each transfer once for either account.';
COMMENT ON COLUMN bank_ledger.entry.change IS 'What the entry adds to the balance, minor units.';

CREATE FUNCTION bank_ledger.verify_entries()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH ordered AS (
        SELECT n.*,
               lag(n.version, 1, 0::bigint) OVER by_version AS last_version,
               lag(n.balance, 1, 0::bigint) OVER by_version AS last_balance,
               lag(n.dated) OVER by_version AS last_dated,
               lead(n.version) OVER by_version IS NULL AS is_last
        FROM bank_ledger.entry AS n
        WINDOW by_version AS (PARTITION BY n.account_id ORDER BY n.version)
    )
    SELECT f.invariant, 'account ' || coalesce(o.account_id, a.account_id)::text, f.detail
    FROM ordered AS o
    FULL JOIN bank_ledger.account AS a ON a.account_id = o.account_id
    CROSS JOIN LATERAL (VALUES
        ('2', a.account_id IS NULL,
         format('version %s is of an account that does not exist', o.version)),
        ('2', o.account_id IS NULL,
         'the account has no journal'),
        ('2', o.version <> o.last_version + 1,
         format('version %s follows version %s', o.version, o.last_version)),
        ('2', o.balance <> o.last_balance + o.change,
         format('version %s has balance %s, but %s and %s make %s', o.version,
                o.balance, o.last_balance, o.change, o.last_balance + o.change)),
        ('2', o.is_last AND (a.version, a.balance, a.held) <> (o.version, o.balance, o.held),
         format('the account has version %s, balance %s, held %s; its journal %s, %s, %s',
                a.version, a.balance, a.held, o.version, o.balance, o.held)),
        ('3', a.kind = 'customer' AND o.balance < o.held,
         format('version %s has balance %s and held %s', o.version, o.balance, o.held)),
        ('4', o.transfer_id IS NOT NULL AND o.dated >= a.closed_at,
         format('transfer %s is dated %s, the closing %s', o.transfer_id, o.dated, a.closed_at)),
        ('4', o.dated < o.last_dated,
         format('version %s is dated %s, the one before %s', o.version, o.dated, o.last_dated)),
        ('6', o.is_last AND (a.status = 'inactive') <> (o.kind = 'inactivated'),
         format('the account is %s and its last entry is %s', a.status, o.kind)),
        ('6', o.is_last AND a.status = 'inactive' AND (o.balance, o.held) <> (0, 0),
         format('the account is closed with balance %s and held %s', o.balance, o.held))
    ) AS f (invariant, is_broken, detail)
    WHERE f.is_broken
$$;
COMMENT ON FUNCTION bank_ledger.verify_entries() IS
'Part of bank.verify(): what the entries of each account show (invariants 2, 3, 4, 6).';

CREATE FUNCTION bank_ledger.verify_transfers()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '1', 'currency ' || a.currency,
           format('the balances of all accounts add up to %s', sum(a.balance))
    FROM bank_ledger.account AS a
    GROUP BY a.currency
    HAVING sum(a.balance) <> 0
    UNION ALL
    SELECT f.invariant, 'transfer ' || t.transfer_id::text, f.detail
    FROM bank_ledger.transfer AS t
    LEFT JOIN bank_ledger.account AS payer ON payer.account_id = t.from_account
    LEFT JOIN bank_ledger.account AS payee ON payee.account_id = t.to_account
    CROSS JOIN LATERAL (VALUES
        ('1', t.amount <= 0 OR t.from_account = t.to_account,
         format('%s is moved from %s to %s', t.amount, t.from_account, t.to_account)),
        ('1', (t.currency = payer.currency AND t.currency = payee.currency) IS NOT TRUE,
         format('the transfer is in %s, its accounts in %s and %s', t.currency,
                payer.currency, payee.currency)),
        ('7', CASE WHEN payer.kind = 'settlement' THEN t.kind IN ('deposit', 'reversal')
                                                   AND payee.customer_id = t.customer_id
                   WHEN payee.kind = 'settlement' THEN t.kind IN ('withdrawal', 'reversal')
                                                   AND payer.customer_id = t.customer_id
                   ELSE t.kind NOT IN ('deposit', 'withdrawal')
                        AND payer.customer_id = t.customer_id
                        AND payee.customer_id = t.customer_id
              END IS NOT TRUE,
         format('a %s of customer %s between accounts of %s and %s', t.kind, t.customer_id,
                coalesce(payer.customer_id::text, 'settlement'),
                coalesce(payee.customer_id::text, 'settlement')))
    ) AS f (invariant, is_broken, detail)
    WHERE f.is_broken
    UNION ALL
    SELECT '6', 'customer ' || c.customer_id::text,
           format('the customer is closing and account %s is active', a.account_id)
    FROM bank_ledger.customer AS c
    JOIN bank_ledger.account AS a ON a.customer_id = c.customer_id
    WHERE c.status = 'closing' AND a.status = 'active'
$$;
COMMENT ON FUNCTION bank_ledger.verify_transfers() IS
'Part of bank.verify(): what transfers and customers show (invariants 1, 6, 7).';

CREATE FUNCTION bank.verify()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    transfers bigint;
    accounts  bigint;
    epoch     integer;
BEGIN
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
