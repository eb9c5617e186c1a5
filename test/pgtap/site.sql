-- init, publish and beat: idempotent, and they set right what was changed.
BEGIN;
SELECT no_plan();

CREATE TEMPORARY VIEW publication AS
SELECT format('%s %s %s %s %s %s: ', p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
              p.pubviaroot, p.puballtables)
       || (SELECT string_agg(format('%s %s %s', r.prrelid::regclass, pg_get_expr(r.prqual, r.prrelid),
                                    r.prattrs), ', ' ORDER BY r.prrelid::regclass::text)
           FROM pg_publication_rel AS r WHERE r.prpubid = p.oid) AS content
FROM pg_publication AS p WHERE p.pubname = 'bank';

CREATE FUNCTION pg_temp.is_as_promised(what text) RETURNS text LANGUAGE sql AS $$
    SELECT is((SELECT content FROM publication),
              't f f f f f: bank_ledger.account_event  , bank_ledger.epoch  , '
              'bank_ledger.heartbeat  , bank_ledger.seal  , bank_ledger.transfer  ', what)
$$;

CREATE TEMPORARY VIEW row_of_publication AS
SELECT p.oid AS row, p.xmin::text AS written_by, p.cmin::text AS step
FROM pg_publication AS p WHERE p.pubname = 'bank'
UNION ALL
SELECT r.oid, r.xmin::text, r.cmin::text
FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid AND p.pubname = 'bank';
CREATE TEMPORARY TABLE row_before AS SELECT * FROM row_of_publication;

SELECT pg_temp.is_as_promised('the publication is of inserts of the five tables');
SELECT lives_ok('SELECT bank_ledger.publish()', 'publish again');
SELECT pg_temp.is_as_promised('changes nothing');
SELECT set_eq('SELECT * FROM row_of_publication', 'SELECT * FROM row_before',
              'and touches no row of it');

ALTER PUBLICATION bank SET (publish = 'insert, update, delete, truncate');
SELECT lives_ok('SELECT bank_ledger.publish()', 'publish sets right');
SELECT pg_temp.is_as_promised('updates are taken out again');
ALTER PUBLICATION bank SET (publish_via_partition_root = true);
SELECT lives_ok('SELECT bank_ledger.publish()', 'publish sets right');
SELECT pg_temp.is_as_promised('the partition root is as it was');
ALTER PUBLICATION bank DROP TABLE bank_ledger.transfer;
SELECT lives_ok('SELECT bank_ledger.publish()', 'publish sets right');
SELECT pg_temp.is_as_promised('a missing table comes back');
ALTER PUBLICATION bank ADD TABLE bank_ledger.customer;
SELECT lives_ok('SELECT bank_ledger.publish()', 'publish sets right');
SELECT pg_temp.is_as_promised('a table too many goes');
ALTER PUBLICATION bank SET TABLE bank_ledger.account_event,
    bank_ledger.transfer WHERE (amount > 1000), bank_ledger.heartbeat, bank_ledger.epoch (number);
SELECT lives_ok('SELECT bank_ledger.publish()', 'publish sets right');
SELECT pg_temp.is_as_promised('filters of rows and columns go');
DROP PUBLICATION bank;
SELECT lives_ok('SELECT bank_ledger.publish()', 'publish sets right');
SELECT pg_temp.is_as_promised('a lost publication is made again');

-- init
CREATE TEMPORARY VIEW site AS SELECT s.role, s.name, s.ctid AS place FROM bank_ledger.site AS s;
CREATE TEMPORARY TABLE before AS
SELECT site.*, (SELECT count(*) FROM bank_ledger.epoch) AS epochs FROM site;
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'test')$$, 'init again');
SELECT results_eq('SELECT role, name, place, (SELECT count(*) FROM bank_ledger.epoch) FROM site',
                  'SELECT role, name, place, epochs FROM before', 'touches no row and starts no epoch');
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'other.site-1')$$, 'a site may be renamed');
SELECT is(name, 'other.site-1', 'and then has the name') FROM site;
SELECT is(count(*), 1::bigint, 'in the one row there is') FROM site;

SELECT throws_ok(format('SELECT bank_ledger.init(%L, %L)', bad.role, bad.name), bad.code, NULL,
                 format('init refuses role %s and name %s', to_json(bad.role), to_json(bad.name)))
FROM (VALUES (NULL, 'a', '22004'), ('ledger', NULL, '22004'), ('teller', 'a', '22023'),
             ('ledger', '', '22023'), ('ledger', 'a/b', '22023'), ('ledger', 'a b', '22023'),
             ('ledger', E'a\nb', '22023'), ('ledger', repeat('x', 65), '22023')) AS bad (role, name, code);

SELECT lives_ok(format('SELECT bank_ledger.init(%L, repeat(%L, 64))', 'ledger', 'x'), 'a name of 64 is not too long');

-- Another system, another timeline: the next epoch; the same again: none.
SELECT results_eq(
    'SELECT system_identifier FROM bank_ledger.epoch ORDER BY number DESC LIMIT 1',
    'SELECT system_identifier FROM pg_control_system()',
    'the last epoch names this system');
INSERT INTO bank_ledger.epoch (number, system_identifier, timeline, at)
SELECT max(number) + 1, 42, 1, clock_timestamp() FROM bank_ledger.epoch;
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'test')$$, 'init as ledger');
SELECT results_eq(
    'SELECT number::bigint, system_identifier FROM bank_ledger.epoch ORDER BY number DESC LIMIT 1',
    'SELECT epochs + 2, (pg_control_system()).system_identifier FROM before',
    'after another system comes the next epoch');
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'test')$$, 'init as ledger');
SELECT is(count(*), (SELECT epochs + 2 FROM before), 'once') FROM bank_ledger.epoch;
INSERT INTO bank_ledger.epoch (number, system_identifier, timeline, at)
SELECT max(number) + 1, (pg_control_system()).system_identifier, 99, clock_timestamp() FROM bank_ledger.epoch;
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'test')$$, 'init as ledger');
SELECT is(max(number)::bigint, (SELECT epochs + 4 FROM before), 'and after another timeline')
FROM bank_ledger.epoch;

SELECT lives_ok($$DELETE FROM bank_ledger.site$$, 'a dump has no site');
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'test')$$, 'init as ledger');
SELECT is(max(number)::bigint, (SELECT epochs + 5 FROM before), 'and in a copy in the same system')
FROM bank_ledger.epoch;

-- A barrier is of no use in another system.
UPDATE bank_ledger.sealing SET barrier = '9000000000000000000';
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'test')$$, 'init as ledger');
SELECT isnt(barrier, NULL, 'leaves the barrier alone in the same epoch') FROM bank_ledger.sealing;
INSERT INTO bank_ledger.epoch (number, system_identifier, timeline, at)
SELECT max(number) + 1, 42, 1, clock_timestamp() FROM bank_ledger.epoch;
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'test')$$, 'init as ledger');
SELECT is(barrier, NULL, 'and lifts it in the next') FROM bank_ledger.sealing;
DELETE FROM bank_ledger.sealing;
SELECT lives_ok('SELECT bank_ledger.seal_next()', 'where nothing is to be sealed, no step is taken');
SELECT lives_ok($$SELECT bank_ledger.init('ledger', 'test')$$, 'init as ledger');

-- A restored ledger begins an epoch above all that anybody has seen.
SELECT throws_ok('SELECT bank_ledger.begin_epoch(NULL)', '22004', NULL, 'the epoch seen must be said');
SELECT is(bank_ledger.begin_epoch(0)::bigint, (SELECT epochs + 8 FROM before), 'an epoch follows the last one');
SELECT is(bank_ledger.begin_epoch(1000), 1001, 'and the highest that others have seen');
SELECT results_eq(
    'SELECT system_identifier, timeline FROM bank_ledger.epoch ORDER BY number DESC LIMIT 1',
    'SELECT (pg_control_system()).system_identifier, (pg_control_checkpoint()).timeline_id',
    'it is of this system and timeline');

-- A search site has no epoch and no ledger.
SELECT lives_ok($$SELECT bank_ledger.init('search', 'test')$$, 'init as search');
SELECT is(max(number), 1001, 'a search site starts no epoch')
FROM bank_ledger.epoch;

-- beat
SELECT count(*) AS beats FROM bank_ledger.heartbeat \gset
SELECT lives_ok('SELECT bank_ledger.beat()', 'beat');
SELECT is(count(*), :beats + 1::bigint, 'adds a row') FROM bank_ledger.heartbeat;
INSERT INTO bank_ledger.heartbeat (at) VALUES (clock_timestamp() - interval '25 hours'),
    (clock_timestamp() - interval '23 hours');
SELECT lives_ok('SELECT bank_ledger.beat()', 'beat again');
SELECT is(count(*), :beats + 3::bigint, 'and prunes what is older than a day, no more') FROM bank_ledger.heartbeat;

SELECT * FROM finish();
ROLLBACK;
