"""Sessions that make what the plan says, at once, and note what they are told."""
import itertools
import random
import threading
import time

import psycopg2
import psycopg2.extras

from authors import AMOUNT_AT
from history import (COMMITTED, LOST, OK, READ_COMMITTED, REPEATABLE_READ, ROLLED_BACK,
                     SERIALIZABLE, Call, RollbackTo, Savepoint, Transaction, now)

QUERIES = {
    'create_account': 'SELECT * FROM bank.create_account(%s, %s, %s)',
    'deposit': 'SELECT * FROM bank.deposit(%s, %s, %s, %s)',
    'withdraw': 'SELECT * FROM bank.withdraw(%s, %s, %s, %s)',
    'transfer': 'SELECT * FROM bank.transfer(%s, %s, %s, %s, %s)',
    'transfer_batch': 'SELECT * FROM bank.transfer_batch(%s::uuid[], %s::uuid[], %s::bigint[],'
                      ' %s::uuid[])',
    'hold': 'SELECT * FROM bank.hold(%s, %s, %s, %s, %s, %s)',
    'post_hold': 'SELECT * FROM bank.post_hold(%s, %s)',
    'void_hold': 'SELECT * FROM bank.void_hold(%s)',
    'expire_holds': 'SELECT bank.expire_holds(%s) AS expired',
    'reverse': 'SELECT * FROM bank.reverse(%s, %s)',
    'set_limit': 'SELECT * FROM bank.set_limit(%s, %s)',
    'ledger_balance': 'SELECT * FROM bank.ledger_balance(%s)',
    'inactivate_account': 'SELECT * FROM bank.inactivate_account(%s)',
    'inactivate_customer': 'SELECT * FROM bank.inactivate_customer(%s)',
    'reactivate_customer': 'SELECT bank.reactivate_customer(%s)',
}
SETTINGS = "SET client_min_messages = warning; SET deadlock_timeout = '20ms'; SET timezone = 'UTC'"
RECONNECT_S = 300                   # longer than anything takes to start the server again

# Where the amount stands that another call with the key may change.
TWISTED_AT = {**AMOUNT_AT, 'hold': 2}


class Lost(Exception):
    """The connection is gone."""


class Refused(Exception):
    """The call raised, and the transaction with it."""


class Numbers:
    """Numbers of operations for all sessions: mostly the next one, now and
    then one that another session has just taken."""

    def __init__(self, first=0):
        self.counter = itertools.count(first)
        self.last = first

    def take(self, dice):
        if dice.random() < 0.2:
            return max(0, self.last - min(int(dice.expovariate(0.4)), 60))
        self.last = next(self.counter)
        return self.last


def as_parameters(arguments):
    """Columns of a batch are arrays."""
    return [list(value) if isinstance(value, tuple) else value for value in arguments]


class Session(threading.Thread):
    """One client.  It works until stopped, and connects again when it must."""

    def __init__(self, number, plan, numbers, history, connect, stop, several=0.0):
        super().__init__(name=f'session {number}', daemon=True)
        self.number, self.plan, self.numbers = number, plan, numbers
        self.history, self.connect, self.stop = history, connect, stop
        self.share = several        # of transactions that have several calls
        self.dice = random.Random(f'{plan.seed}/{number}')
        self.connection = self.transaction = None
        self.later = []             # operations taken and not made yet
        self.settings, self.pid = SETTINGS, None

    def run(self):
        try:
            while not self.stop.is_set():
                try:
                    self.one_transaction()
                except Lost:
                    self.connection = None
        except Exception as error:                      # a thread's end must be seen
            self.history.failures.append(f'{self.name}: {error!r}')
            raise
        finally:
            if self.connection is not None:
                self.connection.close()

    def reach_server(self):
        """A connection; a server that is being started is waited for."""
        deadline = time.monotonic() + RECONNECT_S
        while self.connection is None:
            try:
                self.connection = self.connect()
                self.connection.autocommit = True
                self.execute(self.settings)
                self.pid = self.connection.get_backend_pid()
            except psycopg2.Error:
                self.connection = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def execute(self, query, values=None):
        with self.connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(query, values)
            return [dict(row) for row in cursor] if cursor.description else []

    def one_transaction(self):
        self.reach_server()
        operation = self.later.pop() if self.later else self.next_operation()
        if operation.is_single or self.dice.random() >= self.share:
            self.single(operation)
        else:
            self.several(operation)

    def next_operation(self):
        return self.plan.operation(self.numbers.take(self.dice))

    # Single calls: each is a transaction.

    def single(self, operation):
        if operation.name == 'drain':
            self.drain(*operation.arguments, operation.touches)
            return
        arguments = self.twist(operation)
        try:
            self.alone(operation.name, arguments, operation.touches)
        except Refused:
            pass

    def twist(self, operation):
        """Now and then the key is used for another amount."""
        at = TWISTED_AT.get(operation.name)
        if at is None or self.dice.random() > 0.03:
            return operation.arguments
        changed = list(operation.arguments)
        changed[at] += 1
        return tuple(changed)

    def alone(self, name, arguments, touches):
        self.begin(READ_COMMITTED, single=True)
        try:
            return self.call(name, arguments, touches)
        finally:
            call = self.transaction.steps[0]
            self.end({OK: COMMITTED, None: LOST}.get(call.state, ROLLED_BACK),
                     call.called, call.returned)

    def drain(self, closing, what, accounts, key, touches):
        """Takes what is there out of the accounts, and closes them."""
        try:
            for account in accounts:
                found = self.alone('ledger_balance', (account,), {account})[0]
                if found['available'] > 0:
                    self.alone('withdraw', (account, found['available'],
                                            self.plan.id(key, account), None),
                               {account})
            self.alone(closing, (what,), touches)
        except Refused:
            pass

    # Several calls in one transaction.

    def several(self, operation):
        isolation = self.dice.choices([READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE],
                                      [50, 30, 20])[0]
        self.begin(isolation)
        try:
            self.statement(f'BEGIN ISOLATION LEVEL {isolation}')
            while operation is not None:
                self.step(operation)
                operation = self.another_operation()
        except Refused:
            self.finish('ROLLBACK')
        else:
            self.finish('ROLLBACK' if self.dice.random() < 0.2 else 'COMMIT')

    def another_operation(self):
        """For the transaction under way: one more operation, or none."""
        if self.dice.random() < 0.35:
            return None
        operation = self.next_operation()
        if operation.is_single:
            self.later.append(operation)
            return None
        return operation

    def step(self, operation):
        """A call, or a call in a savepoint that may be rolled back."""
        if self.dice.random() < 0.6:
            self.call(operation.name, operation.arguments, operation.touches)
            return
        savepoint = Savepoint()
        self.statement('SAVEPOINT here')
        self.transaction.steps.append(savepoint)
        try:
            self.call(operation.name, operation.arguments, operation.touches)
            undo = self.dice.random() < 0.4
        except Refused as refusal:
            if self.transaction.steps[-1].state in ('40001', '40P01'):
                raise refusal
            undo = True
        if undo:
            self.statement('ROLLBACK TO SAVEPOINT here')
            self.undo(savepoint)
        if self.dice.random() < 0.5:
            self.statement('RELEASE SAVEPOINT here')

    def undo(self, savepoint):
        steps = self.transaction.steps
        for step in steps[steps.index(savepoint):]:
            if isinstance(step, Call):
                step.undone = True
        steps.append(RollbackTo(savepoint))

    def finish(self, word):
        """COMMIT or ROLLBACK.  A COMMIT that raised has rolled back; one that
        was not answered may be either."""
        committing = now()
        outcome = ROLLED_BACK
        try:
            self.statement(word, LOST if word == 'COMMIT' else ROLLED_BACK)
            if word == 'COMMIT':
                outcome = COMMITTED
        except Refused:
            self.finish('ROLLBACK')
            return
        self.end(outcome, committing, now())

    # One statement.

    def begin(self, isolation, single=False):
        self.transaction = Transaction(self.number, isolation, single)

    def end(self, outcome, committing, ended):
        transaction = self.transaction
        transaction.outcome, transaction.committing, transaction.ended = outcome, committing, ended
        if transaction.calls():
            self.history.transactions.append(transaction)

    def statement(self, text, outcome_if_lost=ROLLED_BACK):
        began = now()
        try:
            self.execute(text)
        except psycopg2.Error as error:
            if self.is_lost(error):
                self.end(outcome_if_lost, began, now())
                raise Lost from error
            raise Refused from error

    def call(self, name, arguments, touches):
        call = Call(self.transaction, name, arguments, touches)
        self.transaction.steps.append(call)
        call.called = now()
        try:
            call.rows = self.execute(QUERIES[name], as_parameters(arguments))
            call.returned, call.state = now(), OK
        except psycopg2.Error as error:
            call.returned = now()
            if self.is_lost(error):
                if not self.transaction.single:
                    self.end(ROLLED_BACK, call.called, call.returned)
                raise Lost from error
            call.state, call.detail = error.pgcode, error.diag.message_detail or str(error)
            raise Refused from error
        return call.rows

    def is_lost(self, error):
        return self.connection.closed != 0 or error.pgcode is None


def run_sessions(plan, history, connect, seconds, sessions, least, several, nemesis, prepare):
    """Lets so many sessions work for so long, and until so many operations at
    least were taken and the nemesis has done its least; returns the number of
    the last operation."""
    stop, numbers = threading.Event(), Numbers()
    first = Session('first', plan, numbers, history, connect, stop)
    first.reach_server()
    for operation in plan.creations(0):
        first.single(operation)
    first.connection.close()
    threads = [Session(number, plan, numbers, history, connect, stop, several)
               for number in range(sessions)]
    if prepare is not None:
        prepare(threads)
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + seconds
        while (time.monotonic() < end or numbers.last < least
               or nemesis is not None and nemesis.left > 0):
            if nemesis is not None:
                nemesis(threads)
            else:
                time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)
    assert not any(thread.is_alive() for thread in threads), 'a session hangs'
    return numbers.last
