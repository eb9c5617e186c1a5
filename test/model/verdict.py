"""All that is held against a history: no complaint, and the ledger was right."""
from authors import groups_of
from judge import Judge
from order import Order
from readers import Readers
from replay import Replay


def complaints_of(history, journal, calm, session=None):
    """What is wrong, one line each, with the invariant it breaks.  With a
    session, the functions that look back are asked too."""
    complaints = list(history.failures)
    groups = groups_of(journal, history, complaints)
    order = Order(groups, history, complaints)
    replay = Replay(journal, order, complaints)
    Judge(history, replay, calm, complaints)
    if session is not None:
        Readers(session, replay, complaints)
    return complaints
