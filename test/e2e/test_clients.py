"""Many clients at once, on few and poor customers."""
import checker
from load import OPERATIONS, Load
from stack import eventually

POSTINGS = 3000


def test_many_clients_at_once(stack):
    with Load(stack) as load:
        eventually(lambda: load.reached(POSTINGS), f'{POSTINGS} postings')
    stack.quiet()
    outcomes, journal = load.outcomes, checker.Journal(stack.ledger)
    found = outcomes.check(journal)
    assert not found, checker.shortened(found)
    checker.require_sound(stack)
    require_variety(outcomes.counts, journal.holds.values())


def require_variety(counts, holds):
    """The game was worth playing: everything happened, refusals included."""
    assert {'posted', 'voided', 'expired'} <= {hold['state'] for hold in holds}
    assert any(hold['amount'] > (hold['posted_amount'] or hold['amount']) for hold in holds)
    for operation in OPERATIONS:
        assert counts.get((operation, None)), f'no {operation} went through: {counts}'
    codes = {code for _, code in counts}
    assert {'LG004', 'LG005', 'LG009', 'LG010', 'LG013', 'LG015', 'LG017'} <= codes, counts
