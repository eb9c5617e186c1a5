"""A hundred kills of anything, one after another, under load; then everything
is where it belongs, once.  Run by make chaos."""
import os
import random
import time

from faults import own_bridge, under_load
from stack import DEADLINE_S, ended, eventually, kill
from test_memory import LIMIT

KILLS = int(os.environ.get('BANK_CHAOS_KILLS', '100'))
SEED = int(os.environ.get('BANK_CHAOS_SEED', '0')) or random.randrange(10**9)
ROLES = ['publish', 'project', 'report']
PARTS = ['bridge', 'kafka', 'postgresql', 'redis']
MANY_S = 10 * DEADLINE_S        # after so many kills a backlog takes its time
KEPT = 64                       # connections to BACEN that report may keep, bacen.parallel


def victims(stack, dice):
    """One process mostly a role; now and then several at once."""
    if dice.random() < 0.7:
        return [stack.role(dice.choice(ROLES))]
    return [stack.part(name) for name in dice.sample(PARTS, dice.choice((1, 1, 2, 4)))]


def kill_one(stack, dice, load):
    """Kills while money moves, and brings back what does not come back alone."""
    pids = [pid for pid in victims(stack, dice) if pid]
    for pid in pids:
        kill(pid)
    eventually(lambda: all(map(ended, pids)), f'{pids} have ended')
    stack.up()
    after = len(load.outcomes.done) + dice.randrange(20)
    eventually(lambda: load.reached(after), 'the ledger works')


def test_many_kills(stack):
    dice = random.Random(SEED)
    print(f'BANK_CHAOS_SEED={SEED}')
    files, memory = stack.bridge_files(), stack.bridge_memory()
    with under_load(stack, within_s=MANY_S) as load:
        for _ in range(KILLS):
            kill_one(stack, dice, load)
    assert stack.bridge_files() <= files + KEPT
    assert stack.bridge_memory() < LIMIT, f'{memory} bytes before'


def test_rebuild_killed_again_and_again(stack):
    """At any moment of it; what it did not finish the next one does."""
    dice = random.Random(SEED)
    with under_load(stack, within_s=MANY_S):
        pids = [stack.part('bridge'), *map(stack.role, ROLES)]
        kill(pids[0])
        eventually(lambda: all(map(ended, pids)), 'the bridge has ended')
        for _ in range(KILLS // 10):
            with own_bridge('rebuild') as bridge:       # killed where the block ends
                time.sleep(dice.uniform(0, 3))          # any moment will do
        with own_bridge('rebuild') as bridge:
            assert bridge.wait(MANY_S) == 0, bridge.said()
        stack.up()
