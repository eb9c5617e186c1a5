-- What this database is: init, publish and the heartbeat.
--
-- Those that write run as their owner, a superuser, since nobody else may
-- write their tables (guard.sql); who may call them, privileges.sql says.

CREATE FUNCTION bank_ledger.init(role text, name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    here_system   bigint;
    here_timeline integer;
    last_epoch    bank_ledger.epoch;
    weakened      pg_trigger;
    is_copy       boolean;
BEGIN
    IF init.role IS NULL OR init.name IS NULL THEN
        RAISE EXCEPTION 'role and name of the site must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give ledger or search, and a name for the site.';
    END IF;
    IF init.role NOT IN ('ledger', 'search') OR init.name !~ '^[A-Za-z0-9._-]{1,64}$' THEN
        RAISE EXCEPTION 'invalid site'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('The role is "%s", the name "%s".', init.role, init.name),
                  HINT = 'The role is ledger or search; the name has 1 to 64 of A-Z a-z 0-9 . _ and -.';
    END IF;

    -- A restore may have left the guards weaker.
    FOR weakened IN SELECT t.* FROM bank_ledger.guards() AS g
        JOIN pg_trigger AS t ON t.tgrelid = to_regclass(g.relation) AND t.tgname = g.name
        WHERE t.tgenabled <> 'A'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I',
                       weakened.tgrelid::regclass, weakened.tgname);
    END LOOP;

    LOCK TABLE bank_ledger.site IN SHARE ROW EXCLUSIVE MODE;
    -- A dump has the epochs and not the site.
    is_copy := NOT EXISTS (SELECT FROM bank_ledger.site);
    INSERT INTO bank_ledger.site AS s (role, name) VALUES (init.role, init.name)
        ON CONFLICT (singleton) DO UPDATE SET role = excluded.role, name = excluded.name
        WHERE (s.role, s.name) IS DISTINCT FROM (excluded.role, excluded.name);
    IF init.role <> 'ledger' THEN
        RETURN;
    END IF;

    INSERT INTO bank_ledger.sealing (period) VALUES (1) ON CONFLICT (singleton) DO NOTHING;

    -- The first 8 digits of a WAL file's name are the timeline being written.
    SELECT c.system_identifier INTO here_system FROM pg_control_system() AS c;
    here_timeline := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer;
    SELECT e.* INTO last_epoch FROM bank_ledger.epoch AS e ORDER BY e.number DESC LIMIT 1;
    IF is_copy OR (last_epoch.system_identifier, last_epoch.timeline)
       IS DISTINCT FROM (here_system, here_timeline) THEN
        INSERT INTO bank_ledger.epoch (number, system_identifier, timeline, at)
        VALUES (coalesce(last_epoch.number, 0) + 1, here_system, here_timeline, clock_timestamp());
        -- A barrier is a transaction of the system or timeline it came from.
        UPDATE bank_ledger.sealing SET barrier = NULL WHERE barrier IS NOT NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION bank_ledger.init(text, text) IS
'Says what this database is: role ledger or search, and the name of the site. Starts the next epoch where the last one was of another system or timeline, or came in a dump, and closes the journal where a restore left it open. Idempotent. Raises 22004, 22023.';

CREATE FUNCTION bank_ledger.begin_epoch(seen integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    begun integer;
BEGIN
    IF begin_epoch.seen IS NULL THEN
        RAISE EXCEPTION 'highest epoch seen must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give 0 where none was seen.';
    END IF;
    LOCK TABLE bank_ledger.site IN SHARE ROW EXCLUSIVE MODE;
    -- What is read below for the row's period is written after it.
    LOCK TABLE bank_ledger.sealing IN ROW EXCLUSIVE MODE;
    INSERT INTO bank_ledger.epoch (number, system_identifier, timeline, at)
    SELECT greatest(begin_epoch.seen, max(e.number), 0) + 1, c.system_identifier,
           ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer,
           clock_timestamp()
    FROM bank_ledger.epoch AS e, pg_control_system() AS c
    GROUP BY c.system_identifier
    RETURNING number INTO begun;
    -- As in init: it may be of another system or timeline.
    UPDATE bank_ledger.sealing SET barrier = NULL WHERE barrier IS NOT NULL;
    RETURN begun;
END
$$;
COMMENT ON FUNCTION bank_ledger.begin_epoch(integer) IS
'Begins an epoch above the last one and above the highest that others have seen, and returns its number. Called by bank-bridge rebuild --new-epoch. Raises 22004.';

CREATE FUNCTION bank_ledger.publish() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication AS p WHERE p.pubname = 'bank') THEN
        CREATE PUBLICATION bank;
    END IF;
    -- Sets what an operator may have changed, and touches nothing else: the bridge
    -- takes a publication whose rows in the catalogue are new for one that may
    -- have left rows out.
    IF EXISTS (SELECT FROM pg_publication AS p WHERE p.pubname = 'bank' AND NOT
               (p.pubinsert AND NOT (p.pubupdate OR p.pubdelete OR p.pubtruncate OR p.pubviaroot))) THEN
        ALTER PUBLICATION bank SET (publish = 'insert', publish_via_partition_root = false);
    END IF;
    ALTER PUBLICATION bank SET TABLE bank_ledger.account_event, bank_ledger.transfer,
        bank_ledger.heartbeat, bank_ledger.epoch, bank_ledger.seal;
END
$$;
COMMENT ON FUNCTION bank_ledger.publish() IS
'Makes or resets the publication bank: inserts of the journal, heartbeat, epoch and seals. Idempotent; run by bank-bridge init, and again after a restore.';

CREATE FUNCTION bank_ledger.beat() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The start, since it comes before the transaction's id (extension/horizon.c).
    INSERT INTO bank_ledger.heartbeat (at) VALUES (now());
    DELETE FROM bank_ledger.heartbeat AS h WHERE h.at < clock_timestamp() - interval '1 day';
END
$$;
COMMENT ON FUNCTION bank_ledger.beat() IS
'Inserts a heartbeat row and prunes those older than a day. Called every 30 s by bank-bridge publish.';
