"""Many sessions make random calls at once; what they were told, and the
journal, must be what a sequential model makes of it.

BANK_MODEL_SEED repeats a run's calls, BANK_MODEL_SECONDS sets its length.
"""
from run import SECONDS, Run


def test_every_answer_is_right():
    run = Run()
    run.work()
    run.check()


def test_single_calls_never_deadlock():
    """Singles and batches, in any order of items and keys: where no transaction
    has several calls, a deadlock is one that nothing explains."""
    run = Run(seconds=SECONDS / 4, several=0)
    run.work()
    run.check()
