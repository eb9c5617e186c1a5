"""Everything holds after kill -9 of anything, at any moment (invariant 12).

Each test kills something while clients move money, brings the stack back by
deploy/up, lets it come to rest, and holds every system against the journal.
"""
import contextlib
import signal
import subprocess
import time

import pytest

import checker
from load import Load
from stack import ROOT, RUN, ended, eventually, kill

PAUSE_S = 0.01          # between the calls of a client, so that load is not all
STOP_S = 10             # in which SIGTERM must have ended the bridge
SOME = 150              # postings before and after the fault


@contextlib.contextmanager
def under_load(stack):
    """Clients at work before the fault in the block and after it."""
    with Load(stack, pause_s=PAUSE_S, may_be_away=True) as load:
        eventually(lambda: load.reached(SOME), 'postings before the fault')
        yield load
        after = len(load.outcomes.done) + SOME
        eventually(lambda: load.reached(after), 'postings after the fault')
    stack.quiet()
    found = load.outcomes.check(checker.Journal(stack.ledger))
    assert not found, checker.shortened(found)
    checker.require_sound(stack)


def require_ended(pids):
    eventually(lambda: all(map(ended, pids)), f'processes {pids} have ended')


@pytest.mark.parametrize('role', ['publish', 'project', 'report'])
def test_killed_role(stack, role):
    """Its supervisor starts it again."""
    with under_load(stack):
        supervisor, before = stack.part('bridge'), stack.role(role)
        kill(before)
        eventually(lambda: stack.role(role) not in (None, before), f'{role} works again')
        assert stack.part('bridge') == supervisor and not ended(supervisor)


def test_killed_supervisor(stack):
    with under_load(stack):
        roles = [stack.role(name) for name in ('publish', 'project', 'report')]
        kill(stack.part('bridge'))
        require_ended(roles)
        stack.up()


def test_killed_postmaster(stack):
    with under_load(stack):
        killed = stack.part('postgresql')
        kill(killed)
        require_ended([killed])
        stack.up()


def test_killed_broker(stack):
    """And then the publisher, who alone knows what the broker never got."""
    with under_load(stack) as load:
        publish, broker = stack.role('publish'), stack.part('kafka')
        kill(broker)
        meanwhile = len(load.outcomes.done) + SOME
        eventually(lambda: load.reached(meanwhile), 'the ledger needs no broker')
        kill(publish)
        require_ended([publish, broker])
        stack.up()


def test_everything_killed_at_once(stack):
    with under_load(stack):
        killed = [stack.part(name) for name in ('bridge', 'kafka', 'postgresql', 'redis')]
        for pid in killed:
            kill(pid)
        require_ended(killed)
        stack.up()


def test_sigterm_ends_the_bridge_in_time(stack):
    with under_load(stack):
        supervisor = stack.part('bridge')
        kill(supervisor, signal.SIGTERM)
        require_ended([supervisor])
        with own_bridge() as bridge:
            eventually(lambda: stack.health()['healthy'], 'a bridge of our own')
            began = time.monotonic()
            bridge.terminate()
            assert bridge.wait(10 * STOP_S) == 0
            assert time.monotonic() - began <= STOP_S
        stack.up()


@contextlib.contextmanager
def own_bridge():
    """A bridge whose exit status is ours to see."""
    conf = RUN / 'bridge/bank-bridge.conf'
    with open(RUN / 'log/own-bridge.log', 'ab') as log:
        bridge = subprocess.Popen(
            ['deploy/as-server', str(ROOT / 'bridge/build/bank-bridge'), '--config', str(conf),
             'run', 'publish,project,report'], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log)
    try:
        yield bridge
    finally:
        bridge.kill()
        bridge.wait()


def test_killed_redis_is_read_around(stack):
    """Redis away: a balance comes from the database."""
    _, account = stack.customer('BRL', money=7)
    stack.quiet()
    kill(stack.part('redis'))
    row = stack.ledger.row('SELECT balance, source FROM bank.balance(%s)', account)
    assert row == {'balance': 7, 'source': 'database'}
    stack.up()
    stack.quiet()
