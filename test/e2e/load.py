"""Clients that move, hold and take back money while others close, reopen and
create: what they were told, and whether the journal agrees.

A few customers with small balances make every refusal happen.  A call that a
killed server cut off has no known outcome; every other one is held against
the journal.
"""
import collections
import datetime
import random
import threading
import time

import psycopg2

from stack import DEADLINE_S, new_id

CREATE = 'SELECT * FROM bank.create_account(%s, %s, %s)'
TRANSFER = 'SELECT * FROM bank.transfer(%s, %s, %s, reference => %s, transfer_id => %s)'
HOLD = 'SELECT * FROM bank.hold(%s, %s, %s, %s, reference => %s, hold_id => %s)'
POST_HOLD = 'SELECT * FROM bank.post_hold(amount => %s, hold_id => %s)'
VOID_HOLD = 'SELECT * FROM bank.void_hold(%s)'
REFERENCES = (None, None, 'rent', 'março: "3"\n€ \\')
EXPIRES_S = (0.1, 0.1, 3600)    # most holds end by themselves
LIMITS = (10**6, 10**9)         # nobody reaches them: money keeps moving
OPERATIONS = {
    # name: (weight, SQLSTATEs that are part of the game)
    'transfer': (40, {'LG004', 'LG005'}),
    'deposit': (14, {'LG004'}),
    'withdraw': (8, {'LG004', 'LG005'}),
    'drain': (8, {'LG004', 'LG005'}),
    'several': (8, {'LG004', 'LG005'}),
    'hold': (14, {'LG004', 'LG005', '22023'}),      # 22023: it waited until it was late
    'post_hold': (4, {'LG015', 'LG016'}),
    'void_hold': (2, {'LG015', 'LG016'}),
    'expire': (1, set()),
    'reverse': (5, {'LG004', 'LG005', 'LG016', 'LG017'}),
    'set_limit': (2, {'LG004'}),
    'create': (6, {'LG013'}),
    'close_account': (5, {'LG009', 'LG010'}),
    'close_customer': (10, {'LG009', 'LG010'}),
    'reopen': (4, set()),
}
# The server is away, or coming back.
AWAY = {None, '57P01', '57P02', '57P03', '08006', '08003'}
FULL = {'53100'}        # its disk is; nothing was done


class Outcomes:
    """What all clients together were told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.done = {}          # transfer_id: the row
        self.held = {}          # hold_id: the row
        self.voided = {}        # hold_id: the row
        self.lost = set()       # (hold_id, its state if the call had an effect)
        self.refused = {}       # transfer_id or hold_id: SQLSTATE
        self.limits = {}        # (account_id, version): the limit that was set
        self.closed = {}        # account_id: the row
        self.created = set()
        self.failures = []
        self.counts = {}

    def count(self, operation, code):
        with self.lock:
            self.counts[operation, code] = self.counts.get((operation, code), 0) + 1

    def check(self, journal):
        """Complaints about what does not stand in the journal as it was told."""
        posted = {row['transfer_id']: row for row in journal.transfers}
        found = list(self.failures)
        for key, row in self.done.items():
            kept = posted.get(key, {})
            if any(kept.get(name) != value for name, value in row.items()):
                found.append(f'{key} was answered as {row}, the journal has {kept}')
        found += [f'{key} was refused with {code} and is in the journal'
                  for key, code in self.refused.items()
                  if key in posted or key in journal.holds]
        found += self.check_events(journal) + self.check_ends(journal)
        for account, row in self.closed.items():
            kept = journal.accounts[account]
            if (kept['status'], kept['closed_at']) != ('inactive', row['closed_at']):
                found.append(f'{account} was closed at {row["closed_at"]}, it is {kept}')
        found += [f'{account} was created and is not there'
                  for account in self.created - journal.accounts.keys()]
        return found

    def check_events(self, journal):
        """What was told of an account other than transfers is its event of that version."""
        told = {place: {'kind': 'limit_set', 'amount': limit}
                for place, limit in self.limits.items()}
        for kind, rows in (('hold_created', self.held), ('hold_voided', self.voided)):
            told.update({(row['from_account'], row['version']): {
                'kind': kind, 'transfer_id': row['hold_id'], 'counterparty': row['to_account'],
                'due_at': row['expires_at'], **{name: row[name] for name in (
                    'customer_id', 'currency', 'amount', 'reference', 'balance', 'held',
                    'occurred_at')}} for row in rows.values()})
        kept = {(event['account_id'], event['version']): event for event in journal.events}
        return [f'{place} was answered as {event}, the journal has {kept.get(place)}'
                for place, event in told.items()
                if any(kept.get(place, {}).get(name, self) != value
                       for name, value in event.items())]

    def check_ends(self, journal):
        """A hold has ended as somebody was told, or may not have been."""
        known = {(key, 'posted') for key in self.done} | {(key, 'voided') for key in self.voided}
        return [f'{key} is {hold["state"]}, and nobody did that'
                for key, hold in journal.holds.items() if key in self.held
                and hold['state'] in ('posted', 'voided')
                and (key, hold['state']) not in known | self.lost]


class World:
    """The customers and accounts the clients know of."""

    def __init__(self, stack, customers):
        self.lock = threading.Lock()
        self.accounts = {customer: accounts for customer, *accounts in (
            stack.customer('BRL', 'BRL', 'BRL', money=60) for _ in range(customers))}
        self.holds = {}         # hold_id: amount, of those that may be pending
        self.moved = collections.deque(maxlen=100)      # keys of the newest transfers

    def customer(self, dice):
        return dice.choice(list(self.accounts))

    def two(self, dice):
        return dice.sample(self.accounts[self.customer(dice)][-6:], 2)

    def one(self, dice):
        return self.two(dice)[0]

    def hold(self, dice):
        """A hold to be ended and its amount, or nothing."""
        return dice.choice(list(self.holds.items()) or [(None, 1)])

    def add(self, customer, account):
        with self.lock:
            self.accounts[customer] = self.accounts[customer] + [account]


class Client(threading.Thread):
    """One session that does whatever the dice say."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.world, self.outcomes = load, load.world, load.outcomes
        self.dice = random.Random(number)
        self.session = None

    def run(self):
        names = list(OPERATIONS)
        weights = [weight for weight, _ in OPERATIONS.values()]
        while not self.load.stop.wait(self.load.pause_s):
            name = self.dice.choices(names, weights)[0]
            try:
                self.play(name)
            except Exception as error:      # pylint: disable=broad-except
                self.outcomes.failures.append(f'{name}: {error!r}')
                return

    def play(self, name):
        try:
            if self.session is None:
                self.session = self.load.stack.session()
            code = getattr(self, name)()
        except psycopg2.Error as error:
            code = error.pgcode
            if code in AWAY and self.load.may_be_away:
                self.session = None
            elif code not in OPERATIONS[name][1] | (FULL if self.load.may_be_away else set()):
                raise
            else:
                self.roll_back()
        self.outcomes.count(name, code)

    def roll_back(self):
        """Ends a transaction for nothing; the server may be away by then."""
        try:
            self.session.connection.rollback()
            self.session.connection.autocommit = True
        except psycopg2.Error as error:
            if error.pgcode not in AWAY or not self.load.may_be_away:
                raise
            self.session = None

    # Money: each call has a key of its own.

    def answered(self, answers, key, sql, *values):
        """Keeps the answer to a call, which is the same whenever it is repeated."""
        answers[key] = row = self.session.row(sql, *values, key)
        if self.dice.random() < 0.1:
            again = self.session.attempt(sql, *values, key)
            assert again == [row] or again['code'] in AWAY | FULL, \
                f'{key} repeated: {again} after {row}'

    def keyed(self, answers, key, sql, *values):
        """A call under a new key: it is done, refused, or not known."""
        try:
            self.answered(answers, key, sql, *values)
        except psycopg2.Error as error:
            if error.pgcode not in AWAY:
                self.outcomes.refused[key] = error.pgcode
            raise

    def kept(self, key, sql, *values):
        self.keyed(self.outcomes.done, key, sql, *values)
        self.world.moved.append(key)

    def transfer(self):
        self.kept(new_id(), TRANSFER, *self.world.two(self.dice), self.dice.randint(1, 30),
                  self.dice.choice(REFERENCES))

    def deposit(self):
        self.kept(new_id(), 'SELECT * FROM bank.deposit(%s, %s, %s)',
                  self.world.one(self.dice), self.dice.randint(1, 40))

    def withdraw(self):
        self.kept(new_id(), 'SELECT * FROM bank.withdraw(%s, %s, %s)',
                  self.world.one(self.dice), self.dice.randint(1, 30))

    def drain(self):
        """Empties the accounts of a customer, so that they can be closed."""
        for account in self.world.accounts[self.world.customer(self.dice)][-6:]:
            available = self.session.row('SELECT available FROM bank.ledger_balance(%s)',
                                         account)['available']
            if available:
                self.kept(new_id(), 'SELECT * FROM bank.withdraw(%s, %s, %s)', account, available)

    def several(self):
        """Some transfers in one transaction, which may be rolled back.  They are
        between the same accounts, so that nobody is in a deadlock with it."""
        rows, accounts = {}, self.world.two(self.dice)
        self.session.begin()
        for _ in range(self.dice.randint(2, 4)):
            key = new_id()
            self.outcomes.refused[key] = 'rolled back'
            rows[key] = self.session.row('SELECT * FROM bank.transfer(%s, %s, %s, %s)',
                                         *accounts, 1, key)
            accounts.reverse()
        if self.dice.random() < 0.5:
            self.roll_back()
            return
        for key in rows:            # from here on the outcome may be unknown
            del self.outcomes.refused[key]
        self.session.commit()
        self.outcomes.done.update(rows)

    def reverse(self):
        original = self.dice.choice(self.world.moved or [new_id()])
        self.kept(new_id(), 'SELECT * FROM bank.reverse(%s, %s)', original)

    # Holds: who makes one is not who ends it.

    def hold(self):
        key, amount = new_id(), self.dice.randint(1, 20)
        expires = datetime.datetime.now(datetime.timezone.utc) \
            + datetime.timedelta(seconds=self.dice.choice(EXPIRES_S))
        try:
            self.keyed(self.outcomes.held, key, HOLD, *self.world.two(self.dice), amount, expires,
                       self.dice.choice(REFERENCES))
        finally:
            if key not in self.outcomes.refused:
                self.world.holds[key] = amount

    def end_hold(self, key, state, answers, sql, *values):
        """A lost answer leaves the hold for others to end again."""
        if key is None:
            return 'none'
        try:
            self.answered(answers, key, sql, *values)
        except psycopg2.Error as error:
            if error.pgcode in AWAY:
                self.outcomes.lost.add((key, state))
                raise
            assert error.pgcode != 'LG016' or key not in self.outcomes.held, f'{key} was made'
            self.world.holds.pop(key, None)
            raise
        self.world.holds.pop(key, None)
        return None

    def post_hold(self):
        key, amount = self.world.hold(self.dice)
        return self.end_hold(key, 'posted', self.outcomes.done, POST_HOLD,
                             self.dice.choice((None, self.dice.randint(1, amount))))

    def void_hold(self):
        key, _ = self.world.hold(self.dice)
        return self.end_hold(key, 'voided', self.outcomes.voided, VOID_HOLD)

    def expire(self):
        self.session.row('SELECT bank.expire_holds()')

    # Accounts.

    def set_limit(self):
        account, limit = self.world.one(self.dice), self.dice.randint(*LIMITS)
        row = self.session.row('SELECT * FROM bank.set_limit(%s, %s)', account, limit)
        self.outcomes.limits[account, row['version']] = limit

    def create(self):
        customer, account = self.world.customer(self.dice), new_id()
        self.session.row(CREATE, customer, 'BRL', account)
        self.outcomes.created.add(account)
        self.world.add(customer, account)

    def close_account(self):
        row = self.session.row('SELECT * FROM bank.inactivate_account(%s)',
                               self.world.one(self.dice))
        self.outcomes.closed[row['account_id']] = row

    def close_customer(self):
        rows = self.session.rows('SELECT * FROM bank.inactivate_customer(%s)',
                                 self.world.customer(self.dice))
        self.outcomes.closed.update({row['account_id']: row for row in rows})

    def reopen(self):
        customer = self.world.customer(self.dice)
        self.session.row('SELECT bank.reactivate_customer(%s)', customer)
        for _ in range(2):
            account = new_id()
            code = None
            try:
                self.session.row(CREATE, customer, 'BRL', account)
                self.world.add(customer, account)
                self.outcomes.created.add(account)
            except psycopg2.Error as error:
                code = error.pgcode
                if code != 'LG013':     # closed again by another client
                    raise
        return code


class Load:
    """Clients at work for as long as the block lasts."""

    def __init__(self, stack, clients=8, pause_s=0.0, may_be_away=False):
        self.stack, self.pause_s, self.may_be_away = stack, pause_s, may_be_away
        self.world = World(stack, 12)
        self.outcomes = Outcomes()
        self.stop = threading.Event()
        self.clients = [Client(self, number) for number in range(clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        deadline = time.monotonic() + DEADLINE_S
        for client in self.clients:
            client.join(deadline - time.monotonic())
            assert not client.is_alive(), 'a client is still waiting for an answer'

    def reached(self, postings):
        """True once so many postings were answered."""
        assert not self.outcomes.failures, self.outcomes.failures[0]
        return len(self.outcomes.done) >= postings
