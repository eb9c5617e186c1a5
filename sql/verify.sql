-- The invariants that data can show, recomputed from the journal.  What
-- follows one account from entry to entry is C (extension/verify.c); what
-- sets of rows show is here.

-- Of a function what decides what it does.
CREATE FUNCTION bank_ledger.definitions() RETURNS TABLE (name text, digest bytea)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.oid::regprocedure::text,
           sha256(convert_to(ROW(l.lanname, p.probin, p.prosrc, p.prosecdef,
                                 (SELECT c FROM unnest(p.proconfig) AS c WHERE c LIKE 'search\_path=%'))::text, 'UTF8'))
    FROM pg_extension AS e
    JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
        AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
    JOIN pg_proc AS p ON p.oid = d.objid
    JOIN pg_language AS l ON l.oid = p.prolang
    WHERE e.extname = 'bank'
$$;
COMMENT ON FUNCTION bank_ledger.definitions() IS 'The functions that belong to the extension, and digests of what they are.';

CREATE FUNCTION bank_ledger.verify_structure()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '2', 'table ' || g.relation,
           format(CASE WHEN t.oid IS NULL THEN 'trigger %s is missing'
                       ELSE 'trigger %s is not what the extension made' END, g.name)
    FROM bank_ledger.guards() AS g
    LEFT JOIN pg_trigger AS t ON t.tgrelid = to_regclass(g.relation) AND t.tgname = g.name
        AND NOT t.tgisinternal
    WHERE t.oid IS NULL OR t.tgenabled <> 'A' OR pg_get_triggerdef(t.oid) <> g.definition
    UNION ALL
    SELECT '2', 'event trigger ' || g.name, 'it is missing or no longer refuses every change'
    FROM (VALUES ('bank_guard_change', 'ddl_command_end', 'bank_ledger.guard_change'),
                 ('bank_guard_drop', 'sql_drop', 'bank_ledger.guard_drop')) AS g (name, event, refuses)
    LEFT JOIN pg_event_trigger AS v ON v.evtname = g.name AND v.evtevent = g.event
        AND v.evtenabled = 'A' AND v.evttags IS NULL AND v.evtfoid = to_regproc(g.refuses)
    WHERE v.oid IS NULL
    UNION ALL
    SELECT '2', 'table ' || c.oid::regclass::text, 'it inherits, or is inherited from'
    FROM pg_class AS c
    WHERE c.relnamespace = 'bank_ledger'::regnamespace AND c.relkind = 'r'
      AND EXISTS (SELECT FROM pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent))
    UNION ALL
    SELECT '8', 'table bank_ledger.' || k.relation, format('key %s is missing or not valid', k.name)
    FROM (VALUES ('UNIQUE INDEX', 'customer', 'customer_pkey', '(customer_id)'),
                 ('UNIQUE INDEX', 'account', 'account_pkey', '(account_id)'),
                 ('UNIQUE INDEX', 'account_event', 'account_event_pkey', '(account_id, version)'),
                 ('UNIQUE INDEX', 'transfer', 'transfer_pkey', '(transfer_id)'),
                 ('UNIQUE INDEX', 'transfer', 'transfer_reverses_idx', '(reverses) WHERE (reverses IS NOT NULL)'),
                 ('UNIQUE INDEX', 'hold', 'hold_pkey', '(hold_id)'),
                 ('INDEX', 'account', 'account_customer_id_idx', '(customer_id)'),
                 ('INDEX', 'hold', 'hold_pending_from_idx', '(from_account) WHERE (state = ''pending''::text)'),
                 ('INDEX', 'hold', 'hold_pending_to_idx', '(to_account) WHERE (state = ''pending''::text)'),
                 ('INDEX', 'hold', 'hold_pending_due_idx', '(expires_at) WHERE (state = ''pending''::text)'))
        AS k (kind, relation, name, rest)
    LEFT JOIN pg_index AS i ON i.indexrelid = to_regclass('bank_ledger.' || k.name)
        AND i.indisvalid AND i.indimmediate
        AND regexp_replace(pg_get_indexdef(i.indexrelid), ' WITH \([^)]*\)', '')
            = format('CREATE %s %s ON bank_ledger.%s USING btree %s', k.kind, k.name, k.relation, k.rest)
    WHERE i.indexrelid IS NULL
    UNION ALL
    SELECT '2', 'function ' || coalesce(m.name, n.name),
           CASE WHEN n.name IS NULL THEN 'it is missing'
                WHEN m.name IS NULL THEN 'it is not the extension''s'
                ELSE 'it is not what the extension made' END
    FROM bank_ledger.definition AS m
    FULL JOIN bank_ledger.definitions() AS n ON n.name = m.name
    WHERE n.digest IS DISTINCT FROM m.digest
$$;
COMMENT ON FUNCTION bank_ledger.verify_structure() IS
'Part of bank.verify(): whether the journal is closed, and its keys are (invariants 2, 8).';

CREATE FUNCTION bank_ledger.is_counted(what text, found anyelement) RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bank_progress_is_counted';
COMMENT ON FUNCTION bank_ledger.is_counted(text, anyelement) IS
'Part of bank.verify(): always true; counts what was found, and says at times how many there were so far. Raises 22004.';

CREATE FUNCTION bank_ledger.verify_accounts()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '1', 'currency ' || a.currency,
           format('the balances of all accounts add up to %s', sum(a.balance))
    FROM bank_ledger.account AS a
    WHERE bank_ledger.is_counted('balances', a.account_id)
    GROUP BY a.currency
    HAVING sum(a.balance) <> 0
    UNION ALL
    SELECT '6', 'customer ' || a.customer_id::text,
           CASE WHEN c.status IS NULL THEN format('account %s has an unknown customer', a.account_id)
                ELSE format('the customer is closing and account %s is active', a.account_id) END
    FROM bank_ledger.account AS a
    LEFT JOIN bank_ledger.customer AS c ON c.customer_id = a.customer_id
    WHERE bank_ledger.is_counted('holders of accounts', a.account_id) AND a.kind = 'customer'
      AND (c.status IS NULL OR (c.status = 'closing' AND a.status = 'active'))
$$;
COMMENT ON FUNCTION bank_ledger.verify_accounts() IS
'Part of bank.verify(): sums over all accounts, and their customers (invariants 1, 6).';

-- Of a customer, closings and reactivations take turns, and a closing is first.
-- Notifications are no part of the ledger, and may be gone.
CREATE FUNCTION bank_ledger.verify_acts()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '6', 'customer ' || coalesce(c.customer_id::text, a.customer_id::text, '(none)'),
           format('the customer is %s after %s closings and %s reactivations', coalesce(c.status, 'unknown'),
                  coalesce(a.closings, 0), coalesce(a.reactivations, 0))
    FROM bank_ledger.customer AS c
    FULL JOIN (SELECT o.customer_id, count(*) FILTER (WHERE o.act = 'customer_closing') AS closings,
                      count(*) FILTER (WHERE o.act = 'customer_reactivated') AS reactivations
               FROM bank_ledger.operator_act AS o
               WHERE bank_ledger.is_counted('acts', o.act_id) AND o.act IN ('customer_closing', 'customer_reactivated')
               GROUP BY o.customer_id) AS a ON a.customer_id = c.customer_id
    WHERE coalesce(a.closings, 0) - coalesce(a.reactivations, 0)
          IS DISTINCT FROM CASE c.status WHEN 'open' THEN 0 WHEN 'closing' THEN 1 END
    UNION ALL
    SELECT '2', 'act ' || o.act_id::text, format('notification %s of customer %s was never requeued',
                                                 o.transfer_id, o.customer_id)
    FROM bank_ledger.operator_act AS o
    JOIN bank_report.notification AS n ON n.transfer_id = o.transfer_id
    WHERE o.act = 'notification_requeued'
      AND (n.customer_id IS DISTINCT FROM o.customer_id OR n.requeued_after = 0)
    UNION ALL
    SELECT '2', 'act ' || o.act_id::text, format('"%s" is no act', o.act)
    FROM bank_ledger.operator_act AS o
    WHERE o.act NOT IN ('customer_closing', 'customer_reactivated', 'notification_requeued')
$$;
COMMENT ON FUNCTION bank_ledger.verify_acts() IS
'Part of bank.verify(): acts on customers and notifications, by what they did (invariants 2, 6).';

CREATE FUNCTION bank_ledger.verify_reversals()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '8', 'transfer ' || t.reverses::text,
           format('it was reversed %s times: by %s', count(*), string_agg(t.transfer_id::text, ', '))
    FROM bank_ledger.transfer AS t
    WHERE bank_ledger.is_counted('reversals', t.reverses) AND t.reverses IS NOT NULL
    GROUP BY t.reverses
    HAVING count(*) > 1
$$;
COMMENT ON FUNCTION bank_ledger.verify_reversals() IS
'Part of bank.verify(): a transfer is reversed once (invariant 8).';

CREATE FUNCTION bank_ledger.verify_holds(account_id uuid)
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Those an account's journal names; all of them where it is null.
    named uuid[] := (SELECT array_agg(e.transfer_id) FROM bank_ledger.account_event AS e
                     WHERE e.account_id = verify_holds.account_id AND e.transfer_id IS NOT NULL);
BEGIN
    RETURN QUERY
    SELECT '3', 'hold ' || h.hold_id::text, format(b.broken ||
               ': %s of %s %s from %s to %s, created at version %s, ended at %s, posted %s',
               h.state, h.amount, h.currency, h.from_account, h.to_account,
               h.created_version, h.ended_version, h.posted_amount)
    FROM bank_ledger.hold AS h
    LEFT JOIN bank_ledger.account_event AS c ON c.account_id = h.from_account
        AND c.version = h.created_version AND c.kind = 'hold_created' AND c.transfer_id = h.hold_id
    LEFT JOIN bank_ledger.account_event AS e ON e.account_id = h.from_account
        AND e.version = h.ended_version AND e.kind = 'hold_' || h.state AND e.transfer_id = h.hold_id
    LEFT JOIN bank_ledger.transfer AS t ON t.transfer_id = h.hold_id AND t.kind = 'hold_posted'
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN c.version IS NULL THEN 'the journal does not create the hold' END),
        (CASE WHEN (c.amount, c.counterparty, c.due_at, c.customer_id, c.currency, c.reference)
                   IS DISTINCT FROM (h.amount, h.to_account, h.expires_at, h.customer_id, h.currency, h.reference)
                   AND c.version IS NOT NULL
              THEN 'the hold is not what the journal created' END),
        (CASE WHEN h.state <> 'pending' AND e.version IS NULL
              THEN 'the journal does not end the hold so' END),
        (CASE WHEN h.state = 'pending' AND h.ended_version IS NOT NULL
              THEN 'the hold is pending and has ended' END),
        (CASE WHEN (t.transfer_id IS NOT NULL) <> (h.state = 'posted')
                   OR (t.amount, t.from_account, t.to_account, t.from_version)
                      IS DISTINCT FROM (h.posted_amount, h.from_account, h.to_account, h.ended_version + 1)
                      AND h.state = 'posted'
                   OR h.posted_amount NOT BETWEEN 1 AND h.amount
              THEN 'what was posted is not the transfer of the hold' END)) AS b (broken)
    WHERE bank_ledger.is_counted('holds', h.hold_id) AND b.broken IS NOT NULL
      AND (verify_holds.account_id IS NULL OR h.hold_id = ANY (named));

    RETURN QUERY
    SELECT '3', 'hold ' || coalesce(e.transfer_id::text, '(none)'),
           format('%s of account %s at version %s is not that of a hold: it ends once', e.kind,
                  e.account_id, e.version)
    FROM bank_ledger.account_event AS e
    LEFT JOIN bank_ledger.hold AS h ON h.hold_id = e.transfer_id AND h.from_account = e.account_id
        AND e.version = CASE WHEN e.kind = 'hold_created' THEN h.created_version ELSE h.ended_version END
    WHERE bank_ledger.is_counted('events', e.account_id)
      AND e.kind IN ('hold_created', 'hold_posted', 'hold_voided', 'hold_expired')
      AND h.hold_id IS NULL
      AND (verify_holds.account_id IS NULL OR e.account_id = verify_holds.account_id);

    RETURN QUERY
    SELECT '3', 'account ' || a.account_id::text,
           format('held is %s and pending holds are %s', a.held, coalesce(p.amount, 0))
    FROM bank_ledger.account AS a
    LEFT JOIN (SELECT h.from_account, sum(h.amount) AS amount FROM bank_ledger.hold AS h
               WHERE h.state = 'pending'
                 AND (verify_holds.account_id IS NULL OR h.from_account = verify_holds.account_id)
               GROUP BY h.from_account) AS p ON p.from_account = a.account_id
    WHERE bank_ledger.is_counted('held amounts', a.account_id)
      AND a.held <> coalesce(p.amount, 0)
      AND (verify_holds.account_id IS NULL OR a.account_id = verify_holds.account_id);

    IF verify_holds.account_id IS NULL THEN
        RETURN QUERY
        SELECT '3', 'transfer ' || t.transfer_id::text, 'it posts a hold that does not exist'
        FROM bank_ledger.transfer AS t
        LEFT JOIN bank_ledger.hold AS h ON h.hold_id = t.transfer_id
        WHERE bank_ledger.is_counted('transfers by their holds', t.transfer_id)
          AND t.kind = 'hold_posted' AND h.hold_id IS NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION bank_ledger.verify_holds(uuid) IS
'Part of bank.verify(): each hold by its events and its transfer, of one account or of all (invariant 3).';

-- In parts of some 100,000 rows, so that little is sorted at once.
CREATE FUNCTION bank_ledger.sealed_roots()
RETURNS TABLE (period integer, entries bigint, root bytea)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT min(n.number) AS first, max(n.number) AS last
        FROM (SELECT s.number, div(sum(s.entries) OVER (ORDER BY s.number), 100000) AS part
              FROM bank_ledger.seal AS s) AS n
        GROUP BY n.part
    LOOP
        RETURN QUERY SELECT r.* FROM bank_ledger.roots(part.first, part.last) AS r;
    END LOOP;
END
$$;
COMMENT ON FUNCTION bank_ledger.sealed_roots() IS
'Part of bank.verify(): what bank_ledger.roots() says of all periods that have a seal.';

CREATE FUNCTION bank_ledger.verify_seals()
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH sealed AS (
        SELECT s.*, lag(s.number, 1, 0) OVER by_number AS last_number,
               coalesce(lag(bank_ledger.seal_chain(s)) OVER by_number,
                        decode(repeat('00', 32), 'hex')) AS chain
        FROM bank_ledger.seal AS s
        WINDOW by_number AS (ORDER BY s.number)
    ),
    open AS (SELECT max(o.period) AS period FROM bank_ledger.sealing AS o)
    SELECT '2', 'seal ' || s.number::text, b.broken
    FROM sealed AS s
    LEFT JOIN bank_ledger.sealed_roots() AS r ON r.period = s.number
    CROSS JOIN open AS o
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN s.number <> s.last_number + 1 THEN 'the seal before it is missing' END),
        (CASE WHEN s.number = s.last_number + 1 AND s.previous <> s.chain
              THEN 'it does not follow from the seal before' END),
        (CASE WHEN s.number >= o.period THEN 'its period is open' END),
        (CASE WHEN s.entries <> coalesce(r.entries, 0)
              THEN format('the journal has %s rows of the period instead of %s',
                          coalesce(r.entries, 0), s.entries)
              WHEN s.root <> coalesce(r.root, sha256(''))
              THEN format('the %s rows of the period are not those sealed', s.entries) END)) AS b (broken)
    WHERE b.broken IS NOT NULL
    UNION ALL
    SELECT '2', format('seal %s', n.number + 1), format('it is missing: period %s is open', o.period)
    FROM open AS o
    CROSS JOIN (SELECT coalesce(max(s.number), 0) AS number FROM bank_ledger.seal AS s) AS n
    WHERE o.period > n.number + 2
$$;
COMMENT ON FUNCTION bank_ledger.verify_seals() IS
'Part of bank.verify(): the seals kept here, against the journal and each other (invariant 2).';

CREATE FUNCTION bank_ledger.verify_seal(seal bank.seal_row)
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH now AS (
        SELECT count(*) AS entries, bank_ledger.merkle(l.digests ORDER BY l.digests) AS root
        FROM bank_ledger.leaf AS l
        WHERE bank_ledger.is_counted('sealed rows', l.period)
          AND l.period BETWEEN (verify_seal.seal).first_period AND (verify_seal.seal).last_period
    ),
    kept AS (
        SELECT (SELECT s.previous FROM bank_ledger.seal AS s WHERE s.number = (verify_seal.seal).first_period),
               (SELECT s.sealed_at FROM bank_ledger.seal AS s WHERE s.number = (verify_seal.seal).last_period),
               (SELECT max(s.number) FROM bank_ledger.seal AS s) AS newest
    )
    SELECT '2', format('seal %s to %s', (verify_seal.seal).first_period, (verify_seal.seal).last_period), b.broken
    FROM now AS n
    CROSS JOIN kept AS k
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN coalesce(k.newest, 0) < (verify_seal.seal).last_period
              THEN format('the newest seal here is %s', coalesce(k.newest::text, 'none')) END),
        (CASE WHEN k.previous <> (verify_seal.seal).previous
              THEN 'the seals before it are not those it follows from' END),
        (CASE WHEN k.sealed_at <> (verify_seal.seal).sealed_at
              THEN format('the seal here was made at %s', k.sealed_at) END),
        (CASE WHEN n.entries IS DISTINCT FROM (verify_seal.seal).entries
              THEN format('the journal has %s rows of the periods instead of %s',
                          n.entries, (verify_seal.seal).entries)
              WHEN n.root IS DISTINCT FROM (verify_seal.seal).root
              THEN format('the %s rows of the periods are not those sealed', n.entries) END)) AS b (broken)
    WHERE b.broken IS NOT NULL
$$;
COMMENT ON FUNCTION bank_ledger.verify_seal(bank.seal_row) IS
'Part of bank.verify(): whether the journal still has the rows of a seal kept elsewhere (invariant 2).';

CREATE FUNCTION bank_ledger.verify_journal(account_id uuid, since timestamptz, until timestamptz,
                                           open_period integer, epoch integer)
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'bank_verify_journal';
COMMENT ON FUNCTION bank_ledger.verify_journal(uuid, timestamptz, timestamptz, integer, integer) IS
'Part of bank.verify(): each account''s entries, one after the other (invariants 1 to 8).';

CREATE FUNCTION bank.verify(account_id uuid DEFAULT NULL, since timestamptz DEFAULT NULL,
                            until timestamptz DEFAULT NULL, seal bank.seal_row DEFAULT NULL)
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    in_range boolean := NOT (verify.since IS NULL AND verify.until IS NULL);
BEGIN
    IF coalesce(verify.since, '-infinity') >= coalesce(verify.until, 'infinity') THEN
        RAISE EXCEPTION 'since must be earlier than until'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('Entries were to be dated from %s on and before %s.',
                                  coalesce(verify.since, '-infinity'), coalesce(verify.until, 'infinity')),
                  HINT = 'Give the earlier of the two as since, or leave out one of them.';
    END IF;
    RETURN QUERY SELECT s.* FROM bank_ledger.verify_structure() AS s;
    IF EXISTS (SELECT FROM bank_ledger.verify_structure() AS s WHERE s.detail LIKE 'key %\_pkey %') THEN
        RAISE NOTICE 'verified nothing: the journal cannot be read without its keys';
        RETURN;
    END IF;
    IF verify.account_id IS NULL AND NOT in_range THEN
        RETURN QUERY SELECT a.* FROM bank_ledger.verify_accounts() AS a;
        RETURN QUERY SELECT c.* FROM bank_ledger.verify_acts() AS c;
        RETURN QUERY SELECT r.* FROM bank_ledger.verify_reversals() AS r;
        RETURN QUERY SELECT s.* FROM bank_ledger.verify_seals() AS s;
    END IF;
    IF NOT in_range THEN
        RETURN QUERY SELECT h.* FROM bank_ledger.verify_holds(verify.account_id) AS h;
    END IF;
    IF verify.seal IS DISTINCT FROM NULL THEN
        RETURN QUERY SELECT s.* FROM bank_ledger.verify_seal(verify.seal) AS s;
    END IF;
    RETURN QUERY SELECT j.* FROM bank_ledger.verify_journal(
        verify.account_id, verify.since, verify.until,
        (SELECT max(o.period) FROM bank_ledger.sealing AS o),
        (SELECT max(e.number) FROM bank_ledger.epoch AS e)) AS j;
END
$$;
COMMENT ON FUNCTION bank.verify(uuid, timestamptz, timestamptz, bank.seal_row) IS
'Recomputes the invariants from the journal, in one snapshot, reading only: each row names an invariant that does not hold, of what, and why. No row: the ledger is sound. With account_id: that account. With since and until: what is dated from since, before until, each account''s first such entry against the one before. With seal: whether the rows of a seal kept elsewhere are still there. Notices say how far it is, and at the end how much was checked and which invariants, in part those that only the whole would show. Raises 22023.';

-- No function comes after this.
INSERT INTO bank_ledger.definition SELECT d.* FROM bank_ledger.definitions() AS d;
