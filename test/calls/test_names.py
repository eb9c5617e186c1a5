"""A name server that is silent: cancels are answered and timeouts kept all the
same.  A server beside the test server has it, by a mount namespace of its own."""
import os
import pathlib
import shutil
import subprocess
import sys
import time
import uuid

import psycopg2
import pytest

from conftest import DEADLINE, Session, in_background, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'test/fake'))

from name_server import SilentNameServer    # noqa: E402

RUN = ROOT / 'build/test'
FOLDER = RUN / 'names'
PORT = int(os.environ['PGPORT']) + 7

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='root alone may mount a resolv.conf')


@pytest.fixture(scope='module', name='names')
def name_server():
    return SilentNameServer()


def as_server(*command):
    done = subprocess.run([ROOT / 'deploy/as-server', *command], cwd=RUN, timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()


@pytest.fixture(scope='module', autouse=True)
def server(names):
    """A server of its own, whose names nobody knows."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(mode=0o700)
    shutil.chown(FOLDER, 'postgres', 'postgres')
    as_server('initdb', '-D', str(FOLDER), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8',
              '--locale=C.UTF-8', '--no-sync', '--no-instructions')
    pg_ctl = shutil.which('pg_ctl')
    options = (f'-p {PORT} -k {os.environ["PGHOST"]} -c listen_addresses= -c fsync=off'
               ' -c session_preload_libraries=bank -c cluster_name=names'
               " -c bank.customer_api_url='http://api.bank.example/{customer_id}'"
               " -c bank.bacen_url='http://bacen.bank.example/notificacoes'")
    try:
        started = subprocess.run(
            names.command(RUN / 'resolv.conf', ROOT / 'deploy/as-server', pg_ctl, '-D', FOLDER,
                          '-w', '-o', options, '-l', FOLDER / 'server.log', 'start'),
            cwd=RUN, check=False, timeout=120, stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL)
        assert started.returncode == 0, (FOLDER / 'server.log').read_text()
        session = Named()
        session.rows('CREATE EXTENSION bank')
        session.rows("SELECT bank_ledger.init('ledger', 'names')")
        yield
    finally:
        if (FOLDER / 'postmaster.pid').exists():
            as_server(pg_ctl, '-D', str(FOLDER), '-m', 'immediate', '-w', 'stop')
        shutil.rmtree(FOLDER, ignore_errors=True)


class Named(Session):
    def __init__(self):     # pylint: disable=super-init-not-called
        self.connection = psycopg2.connect(dbname='postgres', port=PORT)
        self.connection.autocommit = True
        self.pid = self.connection.get_backend_pid()

    def set(self, **values):
        for name, value in values.items():
            self.rows(f'ALTER SYSTEM SET bank.{name} = %s', str(value))
        self.rows('SELECT pg_reload_conf()')
        wait_until(lambda: all(Named().value(f'SHOW bank.{name}') == str(value)
                               for name, value in values.items()), 'the settings are loaded')

    def threads(self):
        return len(os.listdir(f'/proc/{self.pid}/task'))


def due(operator):
    operator.rows('TRUNCATE bank_report.notification')
    operator.rows('UPDATE bank_report.gate SET failures = 0, opened_until = NULL')
    operator.rows(
        "INSERT INTO bank_report.notification (transfer_id, customer_id, from_account,"
        " to_account, amount, currency, completed_at, state, next_attempt_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),"
        " 1050, 'BRL', now(), 'pending', now() - interval '1 second' FROM generate_series(1, 3)")


BALANCE = f"SELECT bank.balance('{uuid.uuid4()}')"
CALLS = {
    'customer-api': ('SELECT bank.create_account(gen_random_uuid())', {}, 'LG011'),
    'bacen': ('CALL bank_report.retry()', {}, None),
    'redis': (BALANCE, {'redis_url': 'redis://redis.bank.example', 'search_dsn': ''}, 'LG014'),
    'search': (BALANCE, {'redis_url': '',
                         'search_dsn': 'host=search.bank.example user=x dbname=x'}, '08006'),
    'several': (BALANCE, {'redis_url': '', 'search_dsn':
                          'host=one.bank.example,two.bank.example user=x dbname=x'}, '08006'),
}
TIMEOUTS = ('customer_api_timeout', 'bacen_timeout', 'redis_timeout', 'search_timeout')


@pytest.mark.parametrize('name', CALLS)
def test_cancel(names, name):
    query, settings, _ = CALLS[name]
    operator = Named()
    operator.set(**settings, **dict.fromkeys(TIMEOUTS, '1min'))
    due(operator)
    session = Named()
    before = names.asked
    thread, result = in_background(lambda: (session.failure(query), time.monotonic()))
    wait_until(lambda: names.asked > before, 'the name server is asked')
    began = time.monotonic()
    operator.rows('SELECT pg_cancel_backend(%s)', session.pid)
    thread.join(DEADLINE)
    failure, ended = result[0]
    assert failure[0] == '57014'
    assert ended - began < 0.2
    assert session.value('SELECT 1') == 1


@pytest.mark.parametrize('name', CALLS)
def test_timeout(name):
    query, settings, code = CALLS[name]
    operator = Named()
    operator.set(**settings, **dict.fromkeys(TIMEOUTS, '300ms'))
    due(operator)
    session = Named()
    began = time.monotonic()
    failure = session.failure(query)
    took = time.monotonic() - began
    assert failure is None if code is None else failure[0] == code
    assert 0.3 <= took < 3
    if name == 'bacen':
        assert operator.value('SELECT count(*) FROM bank_report.notification'
                              " WHERE state = 'pending' AND last_error LIKE 'no answer%%'") == 3


@pytest.mark.parametrize('name', ['redis', 'search', 'several'])
def test_silence_piles_up_no_threads(name):
    query, settings, code = CALLS[name]
    Named().set(**settings, **dict.fromkeys(TIMEOUTS, '20ms'))
    session = Named()
    for _ in range(100):
        assert session.failure(query)[0] == code
    assert session.threads() <= (3 if name == 'several' else 2)


def test_a_host_is_reached_beside_one_nobody_knows():
    """The name is waited for half of the time, and goes on being asked."""
    Named().set(redis_url='', search_timeout='2s', search_dsn=(
        f'host=search.bank.example,{os.environ["PGHOST"]} port=1,{os.environ["PGPORT"]}'
        ' dbname=bank_search user=bank_project'))
    session = Named()
    began = time.monotonic()
    assert session.failure(BALANCE)[0] == 'LG014', 'it answers that there is no such account'
    assert 1 <= time.monotonic() - began < 2
    assert session.failure(BALANCE)[0] == 'LG014'
    assert session.threads() <= 2


@pytest.mark.parametrize('name', CALLS)
def test_a_session_ends(names, name):
    """Also while the name server keeps a thread of it waiting."""
    query, settings, _ = CALLS[name]
    operator = Named()
    operator.set(**settings, **dict.fromkeys(TIMEOUTS, '1min'))
    due(operator)
    session = Named()
    before = names.asked
    thread, _ = in_background(lambda: session.failure(query))
    wait_until(lambda: names.asked > before, 'the name server is asked')
    operator.rows('SELECT pg_terminate_backend(%s)', session.pid)
    thread.join(DEADLINE)
    wait_until(lambda: operator.value('SELECT count(*) FROM pg_stat_activity WHERE pid = %s',
                                      session.pid) == 0, 'it is gone')
