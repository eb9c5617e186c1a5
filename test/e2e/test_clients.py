"""Many clients at once, on few and poor customers."""
import checker
from load import OPERATIONS, Load
from stack import eventually

POSTINGS = 3000


def test_many_clients_at_once(stack):
    with Load(stack) as load:
        eventually(lambda: load.reached(POSTINGS), f'{POSTINGS} postings')
    stack.quiet()
    outcomes = load.outcomes
    found = outcomes.check(checker.Journal(stack.ledger))
    assert not found, checker.shortened(found)
    checker.require_sound(stack)
    require_variety(outcomes.counts)


def require_variety(counts):
    """The game was worth playing: everything happened, refusals included."""
    for operation in OPERATIONS:
        assert counts.get((operation, None)), f'no {operation} went through: {counts}'
    codes = {code for _, code in counts}
    assert {'LG004', 'LG005', 'LG009', 'LG010', 'LG013'} <= codes, counts
