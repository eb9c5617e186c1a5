"""The model test for long: rounds of a minute, each with customers of its own,
in turn quiet and disturbed.  MINUTES says how long; a round that fails prints
its seed, and BANK_MODEL_SEED with it repeats that round's calls."""
import os
import time

from nemesis import Nemesis, shorten_timeouts, signals
from run import Run, seed_of_today

ROUND_S = 60


def quiet(seed):
    round_ = Run(seconds=ROUND_S, seed=seed)
    round_.work()
    return round_


def disturbed(seed):
    round_ = Run(seconds=ROUND_S, seed=seed, disturbed={'57014', 'LG009'},
                 prepare=shorten_timeouts)
    round_.work(Nemesis(seed, 0.1, 1, signals(round_.reader())))
    return round_


def test_it_stays_right():
    end = time.monotonic() + 60 * float(os.environ['MINUTES'])
    seed, number = seed_of_today(), 0
    while number == 0 or time.monotonic() < end:
        (quiet, disturbed)[number % 2](seed if number == 0 else f'{seed}.{number}').check()
        number += 1
