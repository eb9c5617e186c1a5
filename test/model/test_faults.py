"""The same while backends and servers are disturbed: what was acknowledged is
never lost, and what was not is there wholly or not at all (invariants 8, 12)."""
import shutil

import pytest

from nemesis import Nemesis, kills, shorten_timeouts, signals, wait_until_it_answers
from run import SECONDS, Run
from server import RUN, Copy, run


def test_cancelled_terminated_and_timed_out():
    disturbed = Run(seconds=SECONDS / 2, disturbed={'57014', 'LG009'}, prepare=shorten_timeouts)
    nemesis = Nemesis(disturbed.seed, 0.02, 30, signals(disturbed.reader()))
    disturbed.work(nemesis)
    disturbed.check()
    counts = disturbed.history.counts()
    assert {'57014', 'LG009', None} <= {state for _, state in counts}, counts


@pytest.fixture
def own_server():
    """A cluster of our own with the settings of the test server."""
    copy = Copy('model', 3)
    try:
        run(shutil.which('initdb'), '-D', str(copy.folder), '-U', 'postgres', '-A', 'trust',
            '-N', '-E', 'UTF8', '--locale=C.UTF-8', '--no-instructions')
        copy.write('postgresql.conf', (RUN / 'postgresql/stack.conf').read_text(), 'a')
        copy.start()
        copy.session('postgres').rows('CREATE DATABASE bank')
        copy.session().rows("CREATE EXTENSION bank; SELECT bank_ledger.init('ledger', 'model')")
        yield copy
    finally:
        copy.stop()


def test_killed(own_server):
    killed = Run(port=own_server.port, seconds=SECONDS / 2)
    nemesis = Nemesis(killed.seed, 2, 3, kills(own_server))
    killed.work(nemesis)
    wait_until_it_answers(own_server)
    killed.check()
    assert None in {state for _, state in killed.history.counts()}
