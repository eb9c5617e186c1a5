"""Copies of the ledger: a standby, what it becomes when promoted, and a dump
restored into another server."""
import os
import signal
import subprocess

import psycopg2
import pytest

from stack import ROOT, RUN, eventually, new_id
from systems import Database

TABLES = ('bank_ledger.customer', 'bank_ledger.account', 'bank_ledger.account_event',
          'bank_ledger.transfer', 'bank_ledger.epoch', 'bank_ledger.operator_act',
          'bank_report.notification', 'bank_report.consumer_offset')
WRITERS = (
    'SELECT bank.create_account({customer})', 'SELECT bank.inactivate_customer({customer})',
    'SELECT bank.inactivate_account({empty})', 'SELECT bank.reactivate_customer({customer})',
    'SELECT bank.transfer({payer}, {payee}, 1)', 'SELECT bank.deposit({payer}, 1)',
    'SELECT bank.withdraw({payer}, 1)', 'CALL bank_report.retry()',
    'SELECT bank_report.requeue({transfer})', 'SELECT bank_report.schedule()',
    'SELECT bank_report.unschedule()', "SELECT bank_ledger.init('ledger', 'local')",
    'SELECT bank_ledger.publish()', 'SELECT bank_ledger.beat()')
READERS = (
    'SELECT bank.ledger_balance({payer})', 'SELECT bank.balance({payer})',
    'SELECT * FROM bank_ledger.transfer', 'SELECT * FROM bank.verify()')


def run(*command, **options):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120, check=False, **options)
    assert done.returncode == 0, f'{command}: {done.stdout.decode(errors="replace")}'
    return done.stdout.decode().strip()


class Standby:
    """A hot standby of the stack's cluster, on a port of its own."""

    def __init__(self, stack):
        self.env = {**stack.env, 'PGPORT': str(int(stack.env['PGPORT']) % 60000 + 1)}
        self.stack = stack
        self.data = RUN / 'standby'
        self.bin = os.path.dirname(run('deploy/postgres-tree'))
        self.process = None

    def copy(self):
        """The stack lets nobody copy its cluster; this opens it for a moment."""
        access = RUN / 'postgresql/pg_hba.conf'
        closed = access.read_text()
        access.write_text(closed + 'local replication postgres trust\n')
        try:
            self.stack.ledger.rows('SELECT pg_reload_conf()')
            eventually(self.may_copy, 'replication is let in')
            run('sh', '-c', '. deploy/lib.sh; own_folder "$1"', 'sh', str(self.data))
            run('deploy/as-server', f'{self.bin}/pg_basebackup', '-h', self.stack.env['PGHOST'],
                '-p', self.stack.env['PGPORT'], '-U', 'postgres', '-D', str(self.data),
                '-c', 'fast', '-X', 'stream', '-R')
        finally:
            access.write_text(closed)

    def may_copy(self):
        target = (f"host={self.stack.env['PGHOST']} port={self.stack.env['PGPORT']} "
                  'user=postgres replication=true')
        return subprocess.run(['psql', '-XqAtw', target, '-c', 'IDENTIFY_SYSTEM'], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE).returncode == 0

    def start(self):
        with open(RUN / 'log/standby.log', 'ab') as log:
            self.process = subprocess.Popen(
                ['deploy/as-server', f'{self.bin}/postgres', '-D', str(self.data),
                 '-c', f"port={self.env['PGPORT']}"], cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        eventually(self.answers, 'the standby answers')

    def answers(self):
        assert self.process.poll() is None, 'the standby has ended'
        try:
            return self.session()
        except psycopg2.OperationalError:
            return None

    def session(self, database='bank'):
        return Database(self.env, database)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)     # cuts sessions off
            self.process.wait(60)


@pytest.fixture(name='ids', scope='module')
def some_money(whole_stack):
    customer, payer, payee, empty = whole_stack.customer('BRL', 'BRL', 'USD', money=100)
    whole_stack.ledger.rows('SELECT bank.withdraw(%s, 100)', empty)
    moved = whole_stack.transfer(payer, payee, 30)['transfer_id']
    whole_stack.notified(moved, 'delivered')
    whole_stack.quiet()
    return {'customer': customer, 'payer': payer, 'payee': payee, 'empty': empty,
            'transfer': moved}


@pytest.fixture(name='standby', scope='module')
def standby_of_stack(whole_stack, ids):
    standby = Standby(whole_stack)
    try:
        standby.copy()
        standby.start()
        eventually(lambda: standby.session().rows(
            'SELECT 1 FROM bank_ledger.transfer WHERE transfer_id = %s', ids['transfer']),
            'the standby has the last transfer')
        yield standby
    finally:
        standby.stop()


def with_ids(sql, ids):
    return sql.format(**{name: f"'{id_}'" for name, id_ in ids.items()})


def contents(session):
    return {table: sorted(map(str, session.rows(f'SELECT * FROM {table}'))) for table in TABLES}


def refused(session, sql):
    answer = session.attempt(sql)
    return answer['code'] if isinstance(answer, dict) else answer


@pytest.mark.parametrize('sql', WRITERS)
def test_standby_writes_nothing(standby, ids, sql):
    assert refused(standby.session(), with_ids(sql, ids)) == '25006'


@pytest.mark.parametrize('sql', READERS)
def test_standby_reads(standby, ids, sql):
    standby.session().rows(with_ids(sql, ids))


def test_standby_is_sound(standby):
    assert standby.session().rows('SELECT * FROM bank.verify()') == []


def test_promotion_begins_an_epoch(standby):
    session = standby.session()
    epochs = 'SELECT number, timeline FROM bank_ledger.epoch ORDER BY number'
    assert session.rows(epochs) == [{'number': 1, 'timeline': 1}]
    session.rows('SELECT pg_promote()')
    for _ in range(2):
        session.rows("SELECT bank_ledger.init('ledger', 'local')")
        assert session.rows(epochs) == [{'number': 1, 'timeline': 1},
                                        {'number': 2, 'timeline': 2}]


def test_dump_restored_elsewhere(stack, standby, ids):
    """The same rows, sound, and no ledger until init says so."""
    admin = standby.session('postgres')
    admin.rows('CREATE DATABASE restored')
    stack.published()
    before = contents(stack.ledger)
    dump = RUN / 'bank.dump'
    address = ('-h', stack.env['PGHOST'], '-U', 'postgres')
    run('pg_dump', *address, '-p', stack.env['PGPORT'], '-Fc', '-f', str(dump), 'bank')
    # pg_cron lives in one database of a cluster, so its part is left out.
    listed = run('pg_restore', '-l', str(dump)).splitlines()
    (RUN / 'bank.list').write_text(
        '\n'.join(line for line in listed if 'cron' not in line) + '\n')
    run('pg_restore', *address, '-p', standby.env['PGPORT'], '-d', 'restored', '-e',
        '-L', str(RUN / 'bank.list'), str(dump))
    session = standby.session('restored')
    assert contents(session) == before
    assert session.rows('SELECT * FROM bank.verify()') == []
    assert_is_ledger_after_init(session, ids)


def assert_is_ledger_after_init(session, ids):
    deposit = with_ids('SELECT * FROM bank.deposit({payer}, 1)', ids)
    assert refused(session, deposit) == 'LG019'
    for _ in range(2):
        session.rows("SELECT bank_ledger.init('ledger', 'restored'), bank_ledger.publish()")
    assert session.row('SELECT max(number) AS epoch FROM bank_ledger.epoch') == {'epoch': 2}
    assert session.row("SELECT count(*) AS n FROM pg_publication_tables "
                       "WHERE pubname = 'bank'") == {'n': 4}
    version = session.row(with_ids('SELECT version FROM bank.ledger_balance({payer})', ids))
    assert session.row(deposit)['to_version'] == version['version'] + 1
    assert session.rows('SELECT * FROM bank.verify()') == []
    assert refused(session, f"SELECT bank.deposit('{new_id()}', 1)") == 'LG001'
