"""The bridge with a name server that is silent: what needs no name goes on,
timeouts are kept, and the stop is answered."""
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from stack import BRIDGE, ROOT, RUN, ended, eventually, kill

sys.path.insert(0, str(ROOT / 'test/fake'))

from name_server import SilentNameServer    # noqa: E402

STOP_S = 10

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='root alone may mount a resolv.conf')


@contextlib.contextmanager
def bridge(**settings):
    """A bridge in place of the stack's, whose names nobody knows."""
    names = SilentNameServer()
    command = names.command(
        RUN / 'resolv.conf', ROOT / 'deploy/as-server', BRIDGE,
        '--config', RUN / 'bridge/bank-bridge.conf', 'run', 'publish,project,report')
    environment = {f'BANK_BRIDGE_{name.upper()}': value for name, value in settings.items()}
    with open(RUN / 'log/own-bridge.log', 'ab') as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment},
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process, names
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def without_the_own_bridge(stack):
    supervisor = stack.part('bridge')
    kill(supervisor, signal.SIGTERM)
    eventually(lambda: ended(supervisor), 'the bridge has ended')
    yield
    stack.up()
    stack.quiet()


def stop_in_time(process):
    began = time.monotonic()
    process.terminate()
    assert process.wait(10 * STOP_S) == 0
    assert time.monotonic() - began <= STOP_S


def test_what_needs_no_name_goes_on(stack):
    with bridge(bacen_url='http://bacen.bank.example/notificacoes', bacen_timeout_ms='700',
                redis_url='redis://redis.bank.example') as (process, names):
        payer, payee = stack.customer('BRL', 'BRL', money=100)[1:]
        transfer = stack.transfer(payer, payee, 1)['transfer_id']
        row = stack.notified(transfer, 'pending')
        assert row['last_error'].startswith('no answer') and row['attempts'] == 1
        eventually(lambda: stack.search.row('SELECT 1 FROM bank_search.balance WHERE account_id'
                                            ' = %s AND version = 3', payee), 'it is applied')
        assert 'redis' in stack.health()['roles']['project']['reason']
        assert names.asked > 0
        stop_in_time(process)


def test_databases_beside_a_host_nobody_knows(stack):
    """A connection string with several hosts is of use where one has no address."""
    dsn = (f'host=db.bank.example,{stack.env["PGHOST"]} port=1,{stack.env["PGPORT"]} '
           'dbname={} user=bank_{}')
    with bridge(publish_dsn=dsn.format('bank', 'publish'),
                project_dsn=dsn.format('bank_search', 'project'),
                report_dsn=dsn.format('bank', 'report')) as (process, names):
        eventually(lambda: stack.health()['healthy'], 'all roles work')
        assert names.asked >= 3
        stop_in_time(process)


def test_databases_that_cannot_be_found(stack):
    host = 'host=db.bank.example dbname=x user=x'
    with bridge(publish_dsn=host, project_dsn=host, report_dsn=host) as (process, names):
        eventually(lambda: names.asked >= 3, 'the name server is asked')
        reason = 'database does not answer'
        eventually(lambda: all(reason in stack.health()['roles'][role]['reason']
                               for role in ('project', 'report')), 'they say what they lack')
        stop_in_time(process)
