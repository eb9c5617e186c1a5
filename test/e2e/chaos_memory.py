"""The bridge catches up with a million transfers, and compares them all in a
rebuild, and stays small.  BACEN is told of none of them, so that the stack is
thrown away afterwards.  Run by make chaos."""
import collections
import json
import os
import signal
import subprocess

import pytest

from faults import own_bridge, require_ended
from stack import eventually, kill, pss, script
from test_memory import BATCH, LIMIT, Watch, move

pytestmark = pytest.mark.usefixtures('made_anew')

TRANSFERS = int(os.environ.get('BANK_CHAOS_TRANSFERS', '1000000'))
LONG_S = 1800


def test_memory_through_a_million_transfers(stack):
    """BACEN is away, so that its part, which is the retry's, is not waited for."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=BATCH)
    stack.bacen_answers({'status': 503, 'times': 0})
    supervisor = stack.part('bridge')
    kill(supervisor, signal.SIGTERM)
    require_ended([supervisor])
    move(stack, payer, payee, TRANSFERS)
    script('up')
    with Watch(stack) as watch:
        stack.published(LONG_S)
        eventually(lambda: stack.metric('project_lag_records') == 0
                   and stack.metric('report_lag_records') == 0, 'all is stored', LONG_S)
    assert watch.peak < LIMIT, f'{watch.peak} bytes'
    require_once(stack)
    rebuild(stack)
    require_once(stack)


class OneProcess:
    """What Watch needs of a stack, of a bridge of our own."""

    def __init__(self, pid):
        self.bridge_memory = lambda: pss(pid)


def rebuild(stack):
    """All of it compared, none sent, in as little memory."""
    pids = [stack.part('bridge'), *map(stack.role, ('publish', 'project', 'report'))]
    kill(pids[0], signal.SIGTERM)
    require_ended(pids)
    stack.ledger.rows("SELECT pg_drop_replication_slot('bank_bridge')")
    with own_bridge('rebuild') as bridge, Watch(OneProcess(bridge.pid)) as watch:
        assert bridge.wait(LONG_S) == 0, bridge.said()
        assert 'percent=100' in bridge.said()
    assert 0 < watch.peak < LIMIT, f'{watch.peak} bytes'
    script('up')


def values(stack, topic):
    """The values of a topic one by one, each partition in its order."""
    with subprocess.Popen(['kcat', '-C', '-e', '-q', '-b', stack.env['BANK_KAFKA_BROKERS'],
                           '-t', topic, '-f', '%s\n'], stdout=subprocess.PIPE) as kcat:
        yield from map(json.loads, kcat.stdout)


def require_once(stack):
    """Every transfer is there once, and every version of every account."""
    transfers = set()
    for value in values(stack, 'bank.transfers'):
        assert value['transfer_id'] not in transfers, value
        transfers.add(value['transfer_id'])
    assert len(transfers) == stack.ledger.row(
        'SELECT count(*) AS count FROM bank_ledger.transfer')['count']
    versions = collections.Counter()
    for value in values(stack, 'bank.balances'):
        versions[value['account_id']] += 1
        assert value['version'] == versions[value['account_id']], value
    assert versions == {row['account_id']: row['version'] for row in stack.ledger.rows(
        'SELECT account_id, version FROM bank_ledger.account')}
