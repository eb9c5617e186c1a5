"""The ledger as a sequential program: the states of accounts, and what each
call does to them or why it is refused.

This is the model; it knows nothing of sessions, locks and time but the date
that an entry has.
"""
from history import OK

BOUND = 2**53 - 1


class State:
    """An account after one of its versions."""

    __slots__ = ('account', 'customer', 'currency', 'active', 'balance', 'held', 'version',
                 'dated', 'closed_at')

    def __init__(self, account, customer, currency, dated):
        self.account, self.customer, self.currency = account, customer, currency
        self.active, self.balance, self.held, self.version = True, 0, 0, 1
        self.dated, self.closed_at = dated, None

    @property
    def is_settlement(self):
        return self.customer is None

    def next(self, dated):
        """A copy, one version on."""
        copy = State.__new__(State)
        for name in State.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.version += 1
        copy.dated = dated
        return copy

    def available(self):
        return self.balance - self.held

    def __str__(self):
        return (f'account {self.account} at version {self.version}: balance {self.balance}, '
                f'held {self.held}, {"active" if self.active else "closed"}, dated {self.dated}')


def moved(payer, payee, amount, dated):
    """Both states after the amount went from one to the other."""
    payer, payee = payer.next(dated), payee.next(dated)
    payer.balance -= amount
    payee.balance += amount
    return payer, payee


def closed(state, dated):
    state = state.next(dated)
    state.active, state.closed_at = False, dated
    return state


# Why a call is refused, as SQLSTATE; 00000 where it is not.

def judge_amount(amount):
    if amount <= 0:
        return '22023'
    return '22003' if amount > BOUND else OK


def judge_funds(payer, amount):
    return 'LG005' if payer.available() < amount else OK


def judge_room(payee, amount):
    return '22003' if payee.balance > BOUND - amount else OK


def judge_transfer(payer, payee, amount):
    """Between two accounts that exist, with a key that is free."""
    if payer.customer != payee.customer:
        return 'LG006'
    if not payer.active or not payee.active:
        return 'LG004'
    if payer.currency != payee.currency:
        return 'LG007'
    funds = judge_funds(payer, amount)
    return funds if funds != OK else judge_room(payee, amount)


def judge_deposit(payee, amount):
    return judge_room(payee, amount) if payee.active else 'LG004'


def judge_withdrawal(payer, amount):
    return judge_funds(payer, amount) if payer.active else 'LG004'


def judge_closing(states):
    return 'LG010' if any(state.balance or state.held for state in states) else OK
