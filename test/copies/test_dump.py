"""pg_dump takes the whole ledger into a new cluster, and leaves behind what
must not be copied: the site's name and what is published."""
import os
import shutil
import time

import pytest

from server import DEADLINE_S, RUN, Copy, run

TABLES = ('bank_ledger.customer', 'bank_ledger.account', 'bank_ledger.account_event',
          'bank_ledger.transfer', 'bank_ledger.hold', 'bank_ledger.epoch',
          'bank_ledger.operator_act', 'bank_ledger.sealing',
          'bank_report.notification', 'bank_report.consumer_offset', 'bank_search.balance')


def make_cluster(copy):
    """An empty cluster with the settings of the test server."""
    settings = (RUN / 'postgresql/stack.conf').read_text()
    run(shutil.which('initdb'), '-D', str(copy.folder), '-U', 'postgres', '-A', 'trust', '-N',
        '-E', 'UTF8', '--locale=C.UTF-8', '--no-instructions')
    copy.write('postgresql.conf', settings, 'a')
    copy.start()
    copy.session('postgres').rows('CREATE DATABASE bank')


def seal(session):
    """Takes steps until there is one seal more; any transaction may hold it back."""
    newest = 'SELECT coalesce(max(number), 0) FROM bank_ledger.seal'
    sealed, end = session.value(newest), time.monotonic() + DEADLINE_S
    while session.value(newest) == sealed:
        assert time.monotonic() < end, f'nothing was sealed after {sealed}'
        session.rows('SELECT bank_ledger.seal_next()')


@pytest.fixture(scope='module')
def restored(ledger):
    copy = Copy('dump', 2)
    archive = str(copy.folder / 'bank.dump')
    ledger.rows('INSERT INTO bank_report.consumer_offset VALUES (%s, 0, 7) '
                'ON CONFLICT DO NOTHING', 'bank.transfers')
    seal(ledger)
    address = ['-h', os.environ['PGHOST'], '-U', 'postgres', '-d', 'bank']
    try:
        make_cluster(copy)
        run(shutil.which('pg_dump'), *address, '-p', os.environ['PGPORT'], '-Fc',
            '-f', archive)
        run(shutil.which('pg_restore'), *address, '-p', str(copy.port), '--exit-on-error', archive)
        yield copy.session()
    finally:
        copy.stop()


def test_the_rows_are_the_same(ledger, restored):
    for table in TABLES:
        query = f'SELECT t::text AS row FROM {table} AS t ORDER BY 1'
        there = ledger.rows(query)
        assert restored.rows(query) == there
        assert there or table in ('bank_report.notification', 'bank_search.balance')
    assert restored.rows('SELECT * FROM bank.verify()') == []


def test_the_digests_go_on(ledger, restored):
    heads = 'SELECT account_id::text, version, digest::text FROM bank_ledger.account ORDER BY 1'
    assert restored.rows(heads) == ledger.rows(heads)


def test_seals_came_along_and_go_on(ledger, restored):
    kept = 'SELECT s::text FROM bank.seal() AS s'
    assert restored.value(kept) == ledger.value(kept)
    assert restored.rows('SELECT * FROM bank.verify(seal => %s::bank.seal_row)',
                         ledger.value(kept)) == []


def test_what_must_not_be_copied_is_not(restored):
    assert restored.value('SELECT count(*) FROM bank_ledger.site') == 0
    # A dump has the publication, but not which tables of ours are in it.
    assert restored.value('SELECT count(*) FROM pg_publication_rel') == 0


def test_it_writes_nothing_until_it_is_named(ledger, restored):
    seen = {call: restored.state_of(call) for call in ledger.writers()}
    assert seen == dict.fromkeys(seen, 'LG019')


def test_it_reads_before_it_is_named(ledger, restored):
    assert restored.value('SELECT balance FROM bank.ledger_balance(%s)', ledger.payer) == 600
    statement = "SELECT * FROM bank.statement(%s, '-infinity', 'infinity')"
    assert restored.rows(statement, ledger.payer) == ledger.rows(statement, ledger.payer)


def test_rights_and_triggers_came_along(restored):
    assert restored.state_of('TRUNCATE bank_ledger.transfer') == '42501'
    assert restored.value("SELECT has_function_privilege('bank_publish', "
                          "'bank_ledger.beat()', 'EXECUTE')")
    assert not restored.value("SELECT has_schema_privilege('public', 'bank', 'USAGE')")


def test_it_is_closed_to_an_owner_of_its_tables(restored):
    """And what follows works all the same."""
    restored.rows('CREATE ROLE proprietor; GRANT USAGE, CREATE ON SCHEMA bank_ledger TO proprietor')
    tables = [row['name'] for row in restored.rows(
        "SELECT oid::regclass::text AS name FROM pg_class "
        "WHERE relnamespace = 'bank_ledger'::regnamespace AND relkind = 'r'")]
    for table in tables:
        restored.rows(f'ALTER TABLE {table} OWNER TO proprietor')
    refused = {table: restored.state_of(f'SET LOCAL ROLE proprietor; DELETE FROM {table}')
               for table in tables}
    assert len(tables) == 12 and refused == dict.fromkeys(tables, '42501')


def test_named_it_is_a_ledger_of_the_next_epoch(ledger, restored):
    before = restored.value('SELECT max(number) FROM bank_ledger.epoch')
    restored.rows("SELECT bank_ledger.init('ledger', 'restored'), bank_ledger.publish()")
    assert restored.value('SELECT max(number) FROM bank_ledger.epoch') == before + 1
    restored.rows("SELECT pg_create_logical_replication_slot('restored', 'pgoutput')")
    assert restored.value('SELECT to_balance FROM bank.transfer(%s, %s, 100)',
                          ledger.payer, ledger.payee) == 500
    kinds = [row['kind'] for row in restored.rows(
        "SELECT chr(get_byte(data, 0)) AS kind FROM pg_logical_slot_get_binary_changes("
        "'restored', NULL, NULL, 'proto_version', '1', 'publication_names', 'bank')")]
    assert kinds.count('I') == 1, 'the transfer is decoded, and the account is not published'
    assert restored.rows('SELECT * FROM bank.verify()') == []
    seal(restored)
    assert restored.rows('SELECT * FROM bank.verify()') == []
