-- Seals: Merkle roots of the journal, one a period, to be kept elsewhere too.

CREATE TYPE bank.seal_row AS (
    first_period integer,
    last_period  integer,
    entries      bigint,
    root         bytea,
    previous     bytea,
    sealed_at    timestamptz
);
COMMENT ON TYPE bank.seal_row IS 'What the journal was in a range of closed periods. root: of the Merkle tree over its rows; previous: chain of the seals before the range.';

CREATE FUNCTION bank_ledger.merkle_add(state internal, value bytea) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'bank_merkle_add';
COMMENT ON FUNCTION bank_ledger.merkle_add(internal, bytea) IS 'Part of bank_ledger.merkle: adds a leaf.';

CREATE FUNCTION bank_ledger.merkle_root(state internal) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'bank_merkle_root';
COMMENT ON FUNCTION bank_ledger.merkle_root(internal) IS 'Part of bank_ledger.merkle: the root of the leaves added.';

CREATE AGGREGATE bank_ledger.merkle(value bytea) (
    SFUNC = bank_ledger.merkle_add,
    STYPE = internal,
    FINALFUNC = bank_ledger.merkle_root,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE bank_ledger.merkle(bytea) IS 'Root of the Merkle tree (RFC 6962, SHA-256) whose leaves are the values, in the order given.';

CREATE VIEW bank_ledger.leaf AS
SELECT t.period, t.from_digest OPERATOR(pg_catalog.||) t.to_digest AS digests
FROM bank_ledger.transfer AS t
UNION ALL
SELECT e.period, e.digest FROM bank_ledger.account_event AS e
UNION ALL
SELECT p.period, pg_catalog.sha256(pg_catalog.convert_to(
    ROW('epoch', p.number, p.system_identifier, p.timeline, extract(epoch FROM p.at))::text, 'UTF8'))
FROM bank_ledger.epoch AS p
UNION ALL
SELECT a.period, pg_catalog.sha256(pg_catalog.convert_to(
    ROW('act', a.act_id, a.act, a.customer_id, a.transfer_id, extract(epoch FROM a.occurred_at), a.actor)::text, 'UTF8'))
FROM bank_ledger.operator_act AS a;
COMMENT ON VIEW bank_ledger.leaf IS 'What a seal covers: of each journal row the digests it carries, of each epoch and act SHA-256 of its columns as text.';

CREATE FUNCTION bank_ledger.roots(first integer, last integer)
RETURNS TABLE (period integer, entries bigint, root bytea)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.period, count(*), bank_ledger.merkle(l.digests ORDER BY l.digests)
    FROM bank_ledger.leaf AS l
    WHERE l.period BETWEEN roots.first AND roots.last AND bank_ledger.is_counted('sealed rows', l.period)
    GROUP BY l.period
$$;
COMMENT ON FUNCTION bank_ledger.roots(integer, integer) IS 'Rows that a seal covers, and their Merkle root, of each period of a range that has any.';

CREATE FUNCTION bank_ledger.seal_chain(seal bank_ledger.seal) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256((seal_chain.seal).previous || (seal_chain.seal).root
                  || int8send((extract(epoch FROM (seal_chain.seal).sealed_at) * 1000000)::bigint))
$$;
COMMENT ON FUNCTION bank_ledger.seal_chain(bank_ledger.seal) IS 'What the seal after one has as previous: SHA-256 of previous, root, and sealed_at as microseconds since 1970, eight bytes.';

CREATE FUNCTION bank.seal(first integer DEFAULT NULL, last integer DEFAULT NULL)
RETURNS bank.seal_row
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newest  integer := (SELECT max(s.number) FROM bank_ledger.seal AS s);
    answer  bank.seal_row;
BEGIN
    answer.first_period := coalesce(seal.first, 1);
    answer.last_period := coalesce(seal.last, newest);
    IF answer.first_period < 1 OR seal.last < answer.first_period THEN
        RAISE EXCEPTION 'invalid range of periods'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It is %s to %s.', answer.first_period, coalesce(seal.last::text, 'the newest')),
                  HINT = 'Periods count from 1, and the first is not after the last.';
    END IF;
    IF newest IS NULL OR greatest(answer.first_period, answer.last_period) > newest THEN
        RAISE EXCEPTION 'period not sealed'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = coalesce('The newest sealed period is ' || newest || '.', 'No period is sealed yet.'),
                  HINT = 'A period is sealed about every minute, by bank-bridge publish.';
    END IF;
    SELECT s.previous INTO answer.previous FROM bank_ledger.seal AS s WHERE s.number = answer.first_period;
    SELECT s.sealed_at INTO answer.sealed_at FROM bank_ledger.seal AS s WHERE s.number = answer.last_period;
    SELECT count(*), bank_ledger.merkle(l.digests ORDER BY l.digests)
    INTO answer.entries, answer.root
    FROM bank_ledger.leaf AS l
    WHERE l.period BETWEEN answer.first_period AND answer.last_period;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION bank.seal(integer, integer) IS
'What the journal is now in a range of sealed periods (all: from the first to the newest), recomputed from its rows. Keep it outside the database: bank.verify(seal => ...) shows later whether the rows are still those. Raises 22023 for a range that is not sealed.';

-- A period is sealed once no transaction can still post in it: the next one
-- was opened and committed; after that a transaction had its id, the barrier;
-- and whatever had an id before has ended.  A posting has its id before it
-- asks which period is open.  Backends keep the answer, and are told of another
-- before the lock is let go of the transaction that opened it: so one that gets
-- its id, the barrier, under the same lock has it after they were told.  No clock
-- is asked.
CREATE FUNCTION bank_ledger.seal_next() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state  bank_ledger.sealing;
    newest bank_ledger.seal;
BEGIN
    BEGIN
        LOCK TABLE bank_ledger.sealing IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN;
    END;
    SELECT s.* INTO state FROM bank_ledger.sealing AS s;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT s.* INTO newest FROM bank_ledger.seal AS s ORDER BY s.number DESC LIMIT 1;
    IF state.period > coalesce(newest.number, 0) + 1 THEN
        IF state.barrier IS NULL THEN
            -- An id from before the lock may be older than the period's opening.
            IF pg_current_xact_id_if_assigned() IS NULL THEN
                UPDATE bank_ledger.sealing SET barrier = pg_current_xact_id();
            END IF;
            RETURN;
        ELSIF pg_snapshot_xmin(pg_current_snapshot()) <= state.barrier THEN
            RETURN;
        END IF;
        INSERT INTO bank_ledger.seal (number, entries, root, previous, sealed_at)
        SELECT state.period - 1, count(*), bank_ledger.merkle(l.digests ORDER BY l.digests),
               CASE WHEN newest.number IS NULL THEN decode(repeat('00', 32), 'hex')
                    ELSE bank_ledger.seal_chain(newest) END,
               clock_timestamp()
        FROM bank_ledger.leaf AS l
        WHERE l.period = state.period - 1;
    END IF;
    UPDATE bank_ledger.sealing SET period = state.period + 1, barrier = NULL;
END
$$;
COMMENT ON FUNCTION bank_ledger.seal_next() IS 'Takes the next step towards the next seal; two steps, each in a transaction of its own that has written nothing before, make one. Reads all rows of the period that it seals. Called every 30 s by bank-bridge publish.';
