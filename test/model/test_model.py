"""Many sessions make random calls at once; what they were told, and the
journal, must be what a sequential model makes of it.

BANK_MODEL_SEED repeats a run's calls, BANK_MODEL_SECONDS sets its length.
"""
from run import Run


def test_every_answer_is_right():
    run = Run()
    run.work()
    run.check()
