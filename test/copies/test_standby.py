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
                                'SELECT bank_ledger.publish()', 'SELECT bank_ledger.beat()']
    seen = {call: session.state_of(call) for call in calls}
    assert seen == dict.fromkeys(seen, '25006')


def test_what_reads_answers(ledger, standby):
    session = standby.session()
    assert session.value('SELECT pg_is_in_recovery()')
    assert session.value('SELECT balance FROM bank.ledger_balance(%s)', ledger.payer) == 600
    assert session.rows('SELECT * FROM bank.verify()') == []
    # No bridge fed the read model here, so it is asked and does not know.
    assert session.state_of('SELECT bank.balance(%s)', ledger.payer) == 'LG014'


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
