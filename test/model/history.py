"""What the sessions of a run called, what they were answered, and when.

Times are microseconds of the clock that the server reads too.
"""
import time

OK = '00000'
COMMITTED, ROLLED_BACK, LOST = 'committed', 'rolled back', 'lost'
READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE = (
    'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')


def now():
    return time.time_ns() // 1000


def microseconds(moment):
    """A timestamptz of the server as a number."""
    return None if moment is None else round(moment.timestamp() * 1_000_000)


class Call:
    """One call of a function.

    state is its SQLSTATE, 00000 where it worked, None where the connection was
    lost before the answer.  undone: a rollback to a savepoint took it back.
    touches: the accounts and customers whose locks it may ask for.
    """

    def __init__(self, transaction, operation, arguments, touches):
        self.transaction = transaction
        self.operation, self.arguments, self.touches = operation, arguments, touches
        self.called = self.returned = None
        self.state, self.rows, self.detail = None, [], ''
        self.undone = False

    @property
    def worked(self):
        return self.state == OK

    def __str__(self):
        return (f'{self.operation}{self.arguments} in a {self.transaction}, '
                f'{self.called}..{self.returned}: {self.state} {self.detail} {self.rows}')


class Savepoint:
    def __str__(self):
        return 'SAVEPOINT'


class RollbackTo:
    def __init__(self, savepoint):
        self.savepoint = savepoint

    def __str__(self):
        return 'ROLLBACK TO SAVEPOINT'


class Transaction:
    """The steps of a session from begin to end: calls, savepoints, rollbacks.

    It committed, where it did, between committing and ended.  A call outside
    BEGIN is a transaction of its own (single).
    """

    def __init__(self, session, isolation, single):
        self.session, self.isolation, self.single = session, isolation, single
        self.steps = []
        self.began = now()
        self.committing = self.ended = None
        self.outcome = None
        self.group = None           # its rows of the journal, once read

    def calls(self):
        return [step for step in self.steps if isinstance(step, Call)]

    def __str__(self):
        return (f'{self.isolation} transaction of session {self.session}, {self.outcome}, '
                f'{self.committing}..{self.ended}')


class History:
    """All transactions of a run, and the hands that disturbed it.

    disturbed: SQLSTATEs that somebody outside the ledger caused.
    """

    def __init__(self, disturbed=()):
        self.transactions = []
        self.disturbed = set(disturbed)
        self.failures = []          # what a session could not make sense of

    def calls(self):
        for transaction in self.transactions:
            yield from transaction.calls()

    def counts(self):
        found = {}
        for call in self.calls():
            key = call.operation, call.state
            found[key] = found.get(key, 0) + 1
        return found
