-- The ledger is closed to the owner of its tables too: he may neither write
-- what the functions write nor change what belongs to the extension.  What a
-- superuser does in spite of it, bank.verify() names.
--
-- These functions run for whoever writes or changes something, so they use
-- nothing that he might not be allowed to use.

-- The insert-only tables refuse what is not an insert, also from superusers.
CREATE FUNCTION bank_ledger.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'journal table "%" is insert-only', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              DETAIL = format('%s was refused.', TG_OP),
              HINT = 'Correct the ledger by a further entry.';
END
$$;
COMMENT ON FUNCTION bank_ledger.refuse_change() IS 'Trigger of the insert-only tables: raises 42501.';

CREATE FUNCTION bank_ledger.refuse_writer() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bank_guard_refuse_writer';
COMMENT ON FUNCTION bank_ledger.refuse_writer() IS 'Trigger of the tables that only the functions write: raises 42501 for all but superusers.';

-- A posting is dated into the open period, and a search database posts nothing,
-- by what a backend keeps of these rows between calls.
CREATE FUNCTION bank_ledger.tell_backends() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'bank_tell_backends';
COMMENT ON FUNCTION bank_ledger.tell_backends() IS 'Trigger of tables whose only row backends keep between calls: they read it again.';

-- By statement, so that nothing is refused late, and by row, since changes
-- through a parent table or by replication fire no other.
CREATE FUNCTION bank_ledger.guards() RETURNS TABLE (relation text, name text, definition text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'bank_ledger.' || r.name, g.name,
           format('CREATE TRIGGER %s %s ON bank_ledger.%s FOR EACH %s EXECUTE FUNCTION bank_ledger.%s()',
                  g.name, g.events, r.name, g.level, g.calls)
    FROM (VALUES
        ('insert_only', 'BEFORE DELETE OR UPDATE OR TRUNCATE', 'STATEMENT', 'refuse_change',
         ARRAY['account_event', 'transfer', 'epoch', 'operator_act', 'seal']),
        ('insert_only_row', 'BEFORE DELETE OR UPDATE', 'ROW', 'refuse_change',
         ARRAY['account_event', 'transfer', 'epoch', 'operator_act', 'seal']),
        ('functions_only', 'BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE', 'STATEMENT', 'refuse_writer',
         ARRAY['site', 'customer', 'account', 'account_event', 'transfer', 'hold', 'sealing', 'seal',
               'heartbeat', 'epoch', 'operator_act', 'definition']),
        ('functions_only_row', 'BEFORE INSERT OR DELETE OR UPDATE', 'ROW', 'refuse_writer',
         ARRAY['site', 'customer', 'account', 'account_event', 'transfer', 'hold', 'sealing', 'seal',
               'heartbeat', 'epoch', 'operator_act', 'definition']),
        ('tell_backends', 'AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE', 'STATEMENT', 'tell_backends',
         ARRAY['site', 'sealing'])) AS g (name, events, level, calls, relations)
    CROSS JOIN LATERAL unnest(g.relations) AS r (name)
$$;
COMMENT ON FUNCTION bank_ledger.guards() IS 'The triggers of the tables, each as the server writes it.';

DO $$
DECLARE
    guard record;
BEGIN
    FOR guard IN SELECT g.* FROM bank_ledger.guards() AS g LOOP
        EXECUTE guard.definition;
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.relation, guard.name);
    END LOOP;
END
$$;

CREATE FUNCTION bank_ledger.guard_change() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed record;
BEGIN
    IF (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        RETURN;
    END IF;
    SELECT c.command_tag, c.object_identity INTO changed
    FROM pg_event_trigger_ddl_commands() AS c
    -- A command also changes the table of a trigger, rule or policy, the parent
    -- of a table, and what of a table is found, where it alters an index.  An
    -- index may be added unless it has expressions or a condition: whoever
    -- writes, a superuser too, would run functions that they name.
    CROSS JOIN LATERAL (
        SELECT c.classid, c.objid
        UNION ALL
        SELECT 'pg_class'::regclass, t.tgrelid FROM pg_trigger AS t
        WHERE c.classid = 'pg_trigger'::regclass AND t.oid = c.objid
        UNION ALL
        SELECT 'pg_class'::regclass, r.ev_class FROM pg_rewrite AS r
        WHERE c.classid = 'pg_rewrite'::regclass AND r.oid = c.objid
        UNION ALL
        SELECT 'pg_class'::regclass, p.polrelid FROM pg_policy AS p
        WHERE c.classid = 'pg_policy'::regclass AND p.oid = c.objid
        UNION ALL
        SELECT 'pg_class'::regclass, i.inhparent FROM pg_inherits AS i
        WHERE c.classid = 'pg_class'::regclass AND i.inhrelid = c.objid
        UNION ALL
        SELECT 'pg_class'::regclass, i.indrelid FROM pg_index AS i
        WHERE c.classid = 'pg_class'::regclass AND i.indexrelid = c.objid
          AND (c.command_tag NOT IN ('CREATE INDEX', 'REINDEX')
               OR c.command_tag = 'CREATE INDEX'
                  AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL))) AS o (classid, objid)
    JOIN pg_extension AS e ON e.extname = 'bank'
    LEFT JOIN pg_depend AS d ON d.classid = o.classid AND d.objid = o.objid
        AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    WHERE c.command_tag NOT IN ('COMMENT', 'SECURITY LABEL')
      AND (d.objid IS NOT NULL OR (o.classid, o.objid) = ('pg_extension'::regclass, e.oid))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'what belongs to the ledger is changed by superusers only'
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('%s of %s by role "%s" was refused.',
                                  changed.command_tag, changed.object_identity, current_user),
                  HINT = 'Ask a superuser.';
    END IF;
END
$$;
COMMENT ON FUNCTION bank_ledger.guard_change() IS 'Event trigger: what belongs to the extension is altered and replaced by superusers only.';

-- What belongs to an extension cannot be dropped, but what hangs on its
-- tables can: also the indexes that the functions find rows by, in whose place
-- another of the name would hide some.
CREATE FUNCTION bank_ledger.guard_drop() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dropped record;
BEGIN
    IF (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        RETURN;
    END IF;
    SELECT o.object_type, o.object_identity INTO dropped
    FROM pg_event_trigger_dropped_objects() AS o
    WHERE o.object_type IN ('trigger', 'rule', 'policy') AND EXISTS (
              SELECT FROM pg_namespace AS n
              JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = o.address_names[2]
              JOIN pg_extension AS e ON e.extname = 'bank'
              JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
              WHERE n.nspname = o.address_names[1])
       OR o.object_type = 'index' AND o.schema_name = 'bank_ledger' AND o.object_name IN (
              'account_customer_id_idx', 'account_event_period_idx', 'hold_pending_due_idx',
              'hold_pending_from_idx', 'hold_pending_to_idx', 'operator_act_period_idx',
              'transfer_from_waypoint_idx', 'transfer_period_idx', 'transfer_reverses_idx',
              'transfer_to_waypoint_idx')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'what belongs to the ledger is changed by superusers only'
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('DROP of %s %s by role "%s" was refused.',
                                  dropped.object_type, dropped.object_identity, current_user),
                  HINT = 'Ask a superuser.';
    END IF;
END
$$;
COMMENT ON FUNCTION bank_ledger.guard_drop() IS 'Event trigger: triggers, rules, policies and the script''s indexes of the extension''s tables are dropped by superusers only.';

CREATE EVENT TRIGGER bank_guard_change ON ddl_command_end EXECUTE FUNCTION bank_ledger.guard_change();
ALTER EVENT TRIGGER bank_guard_change ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER bank_guard_change IS 'Closes what belongs to the ledger to its owner.';

CREATE EVENT TRIGGER bank_guard_drop ON sql_drop EXECUTE FUNCTION bank_ledger.guard_drop();
ALTER EVENT TRIGGER bank_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER bank_guard_drop IS 'Closes what belongs to the ledger to its owner.';
