"""A batch as large as it may be, in a server with very little shared memory; and
a server whose memory of old snapshots is short."""
import shutil
import uuid

import pytest

from server import RUN, Copy, run

ACCOUNTS = 1000
ITEMS = 10000


@pytest.fixture(scope='module')
def copy(ledger):
    copy = Copy('small', 3)
    try:
        run(shutil.which('initdb'), '-D', str(copy.folder), '-U', 'postgres', '-A', 'trust', '-N',
            '-E', 'UTF8', '--locale=C.UTF-8', '--no-instructions')
        copy.write('postgresql.conf', (RUN / 'postgresql/stack.conf').read_text()
                   + "\nshared_buffers = '16MB'\nwork_mem = '64kB'\n", 'a')
        copy.start()
        copy.session('postgres').rows('CREATE DATABASE bank')
        session = copy.session()
        session.rows('CREATE EXTENSION bank')
        session.rows("SELECT bank_ledger.init('ledger', 'small')")
        yield copy
    finally:
        copy.stop()


def test_the_largest_batch(copy):
    small = copy.session()
    holder = str(uuid.uuid4())
    accounts = [row['account_id'] for row in small.rows(
        'SELECT (bank.create_account(%s)).account_id FROM generate_series(1, %s)',
        holder, ACCOUNTS)]
    small.rows('SELECT bank.deposit(a, 1000000) FROM unnest(%s::uuid[]) AS a', accounts)
    payers = [accounts[i % ACCOUNTS] for i in range(ITEMS)]
    payees = [accounts[(7 * i + 1 + i // ACCOUNTS) % ACCOUNTS] for i in range(ITEMS)]
    amounts = [1 + i % 50 for i in range(ITEMS)]
    keys = [str(uuid.uuid4()) for _ in range(ITEMS)]
    expected = {'22023' if payer == payee else 'ok' for payer, payee in zip(payers, payees)}
    batch = ('SELECT result FROM bank.transfer_batch(%s::uuid[], %s::uuid[], %s, %s::uuid[])',
             payers, payees, amounts, keys)
    first = [row['result'] for row in small.rows(*batch)]
    assert set(first) == expected
    version = small.value('SELECT sum(version) FROM bank_ledger.account')
    assert [row['result'] for row in small.rows(*batch)] == first, 'repeated: the same'
    assert small.value('SELECT sum(version) FROM bank_ledger.account') == version
    assert small.rows('SELECT * FROM bank.verify()') == []


def test_snapshots_that_expire_are_refused(copy, ledger):
    """A row could not be found and locked safely (PostgreSQL 15 and 16)."""
    if ledger.connection.server_version >= 170000:
        pytest.skip('the setting is gone')
    copy.write('postgresql.conf', "old_snapshot_threshold = '1h'\n", 'a')
    run(copy.pg_ctl, '-D', str(copy.folder), '-m', 'fast', '-w', 'stop')
    copy.start()
    session = copy.session()
    for call in ledger.writers():
        assert session.state_of(call) == '55000', call
    assert session.rows('SELECT * FROM bank.verify()') == []
