"""A standby refuses every function that writes and answers every one that
reads; promoted, it is a ledger of the next epoch."""
import pytest

from server import RUN, Copy, Session, run

DATA = RUN / 'postgresql'


def copy_files(folder):
    """A base backup by hand: no line of pg_hba.conf lets anybody copy the
    cluster over the network, and that is as it should be."""
    session = Session()
    session.rows("SELECT pg_backup_start('standby', true)")
    run('cp', '-R', f'{DATA}/.', str(folder))
    label = session.value('SELECT labelfile FROM pg_backup_stop(false)')
    run('rm', '-rf', str(folder / 'pg_wal'), str(folder / 'postmaster.pid'))
    run('cp', '-R', str(DATA / 'pg_wal'), str(folder / 'pg_wal'))
    session.close()
    return label


@pytest.fixture(scope='module')
def standby(ledger):
    copy = Copy('standby', 1)
    try:
        label = copy_files(copy.folder)
        for name, text in (('backup_label', label), ('standby.signal', '')):
            copy.write(name, text)
        copy.start()
        yield copy
    finally:
        copy.stop()


def test_every_writer_is_refused(ledger, standby):
    session = standby.session()
    calls = ledger.writers() + ["SELECT bank_ledger.init('ledger', 'test')",
                                'SELECT bank_ledger.publish()', 'SELECT bank_ledger.beat()',
                                'SELECT bank_ledger.seal_next()']
    seen = {call: session.state_of(call) for call in calls}
    assert seen == dict.fromkeys(seen, '25006')


def test_what_reads_answers(ledger, standby):
    session = standby.session()
    assert session.value('SELECT pg_is_in_recovery()')
    assert session.value('SELECT balance FROM bank.ledger_balance(%s)', ledger.payer) == 600
    assert session.rows('SELECT * FROM bank.verify()') == []
    lines = session.rows("SELECT line, balance FROM bank.statement(%s, '-infinity', 'infinity')",
                         ledger.payer)
    assert [tuple(line.values()) for line in lines] == [
        ('opening', 0), ('entry', 1000), ('entry', 600), ('closing', 600)]
    # No bridge fed the read model here, so it is asked and does not know.
    assert session.state_of('SELECT bank.balance(%s)', ledger.payer) == 'LG014'


def test_what_is_complete_is_bounded_by_the_last_heartbeat(ledger, standby):
    """A standby knows who ran, but not since when."""
    session = standby.session()
    beat = ledger.value('SELECT max(at) FROM bank_ledger.heartbeat')
    balance = session.rows("SELECT * FROM bank.balance_at(%s, 'infinity')", ledger.payer)[0]
    assert (balance['balance'], balance['version']) == (600, 3)
    assert balance['complete_until'] == beat


def test_promoted_it_writes_in_the_next_epoch(ledger, standby):
    session = standby.session()
    before = session.value('SELECT max(number) FROM bank_ledger.epoch')
    session.rows('SELECT pg_promote()')
    session.rows('CHECKPOINT')
    session.rows("SELECT bank_ledger.init('ledger', 'test')")
    assert session.value('SELECT max(number) FROM bank_ledger.epoch') == before + 1
    session.rows("SELECT bank_ledger.init('ledger', 'test')")
    assert session.value('SELECT max(number) FROM bank_ledger.epoch') == before + 1
    assert session.value('SELECT to_balance FROM bank.transfer(%s, %s, 100)',
                         ledger.payer, ledger.payee) == 500
    assert session.rows('SELECT * FROM bank.verify()') == []
