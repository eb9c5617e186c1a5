"""Debezium beside the bridge, on the same publication: both must have seen the
same, key by key and in the same order, while the bridge is killed again and
again and Debezium is not.  Run by make chaos."""
import os
import random
import time

import checker
from chaos_kills import MANY_S, SEED
from faults import under_load
from stack import ended, eventually, kill
from witness import Witness, of_bridge

KILLS = int(os.environ.get('BANK_CHAOS_WITNESSED_KILLS', '20'))


def kill_bridge(stack, dice):
    """The publisher, which is started again, or all of the bridge."""
    victim = stack.role('publish') if dice.random() < 0.7 else stack.part('bridge')
    if victim:
        kill(victim)
        eventually(lambda: ended(victim), f'{victim} has ended')
    time.sleep(dice.uniform(0, 1))              # any moment will do
    stack.up()


def test_debezium_saw_the_same(stack):
    dice = random.Random(SEED)
    print(f'BANK_CHAOS_SEED={SEED}')
    stack.quiet()
    witness = Witness(stack)
    with witness.at_work():
        with under_load(stack, within_s=MANY_S):
            for _ in range(KILLS):
                kill_bridge(stack, dice)
        journal = checker.Journal(stack.ledger)
        stack.published()
        records = checker.read_topics(witness.brokers)
        published = of_bridge(checker.without_later_seals(stack, journal, records),
                              witness.begun_lsn)
        eventually(lambda: count(witness.saw(journal)) >= count(published),
                   f'Debezium has seen what makes {count(published)} events', MANY_S)
        expected = witness.saw(journal)
    found = [f'{key}: Debezium {expected.get(key)}, bridge {published.get(key)}'
             for key in expected.keys() | published.keys()
             if expected.get(key) != published.get(key)]
    assert not found, checker.shortened(found)
    print(f'{count(published)} events of {len(published)} keys are the same')


def count(events):
    return sum(map(len, events.values()))
