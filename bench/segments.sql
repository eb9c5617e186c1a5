-- WAL files as a server has that ran for a while: made before, and used again.
-- Making one takes tens of milliseconds, in which nobody commits; what posts
-- the most would be stopped the most.
DO $$
BEGIN
    FOR n IN 1 .. 448 LOOP
        PERFORM pg_logical_emit_message(false, 'bench', 'fills a file');
        PERFORM pg_switch_wal();
    END LOOP;
END
$$;
-- The checkpoint lets them be used again.
CHECKPOINT;
