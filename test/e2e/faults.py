"""What the tests that hurt the stack share: clients at work before and after
the fault, and everything held against the journal at the end."""
import contextlib
import json
import os
import subprocess
import threading

import checker
from load import Load
from stack import BRIDGE, DEADLINE_S, ROOT, RUN, ended, eventually

PAUSE_S = 0.01          # between the calls of a client, so that load is not all
SOME = 150              # postings before and after the fault


class Beside(threading.Thread):
    """Does its work beside a block, until the block's end sets over."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


@contextlib.contextmanager
def under_load(stack, within_s=DEADLINE_S, **exceptions):
    """Clients at work before the fault in the block and after it."""
    with Load(stack, pause_s=PAUSE_S, may_be_away=True) as load:
        eventually(lambda: load.reached(SOME), 'postings before the fault')
        yield load
        after = len(load.outcomes.done) + SOME
        eventually(lambda: load.reached(after), 'postings after the fault')
    stack.quiet(within_s)
    found = load.outcomes.check(checker.Journal(stack.ledger))
    assert not found, checker.shortened(found)
    checker.require_sound(stack, **exceptions)


@contextlib.contextmanager
def counted(stack, *metrics):
    """Each of these counters counts what happens in the block."""
    before = {name: stack.metric(name) for name in metrics}
    yield
    for name in metrics:
        eventually(lambda name=name: stack.metric(name) > before[name], f'{name} counts')


def require_ended(pids):
    eventually(lambda: all(map(ended, pids)), f'processes {pids} have ended')


OWN_LOG = RUN / 'log/own-bridge.log'


@contextlib.contextmanager
def own_bridge(*command, **settings):
    """A bridge whose exit status is ours to see, and what it said."""
    conf = RUN / 'bridge/bank-bridge.conf'
    changes = {f'BANK_BRIDGE_{name.upper()}': value for name, value in settings.items()}
    with open(OWN_LOG, 'ab') as log:
        begun = log.tell()
        bridge = subprocess.Popen(
            ['deploy/as-server', str(BRIDGE), '--config', str(conf), *command], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **changes})
    bridge.said = lambda: OWN_LOG.read_bytes()[begun:].decode()
    try:
        yield bridge
    finally:
        bridge.kill()
        bridge.wait()


def position_topic(stack):
    return ['-b', stack.env['BANK_KAFKA_BROKERS'], '-t', 'bank.bridge']


def published_position(stack):
    """The last position record."""
    done = subprocess.run(['kcat', '-C', '-e', '-q', '-o', 'beginning', *position_topic(stack)],
                          check=True, stdout=subprocess.PIPE, timeout=60)
    return json.loads(done.stdout.splitlines()[-1])


def publish_position(stack, **changes):
    """Writes it once more, changed."""
    value = {**published_position(stack), **changes}
    subprocess.run(['kcat', '-P', '-K', '\\t', *position_topic(stack)], check=True, timeout=60,
                   text=True, input=f'bank_bridge\t{json.dumps(value)}\n')
