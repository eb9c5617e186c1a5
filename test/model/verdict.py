"""All that is held against a history: no complaint, and the ledger was right."""
from authors import groups_of
from judge import Judge
from order import Order
from replay import Replay


def complaints_of(history, journal, calm):
    """What is wrong, one line each, with the invariant it breaks."""
    complaints = list(history.failures)
    groups = groups_of(journal, history, complaints)
    order = Order(groups, history, complaints)
    replay = Replay(journal, order, complaints)
    replay.compare_accounts(journal)
    Judge(history, replay, calm, complaints)
    return complaints
