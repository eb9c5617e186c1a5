"""The ledger as a sequential program: the states of accounts, and what each
call does to them or why it is refused.

This is the model; it knows nothing of sessions, locks and time but the date
that an entry has.
"""
from history import OK

BOUND = 2**53 - 1
SECOND_US = 1_000_000
# bank.time_zone is America/Sao_Paulo, which has had no summer time since 2019.
DAY_US, ZONE_US = 86_400 * SECOND_US, -3 * 3600 * SECOND_US


def day_of(dated):
    """The local day of a date, counted from 1970."""
    return (dated + ZONE_US) // DAY_US


class Hold:
    """A hold's terms; they never change."""

    def __init__(self, hold_id, payer, payee, amount, expires_at, counted_day):
        self.hold_id, self.payer, self.payee, self.amount = hold_id, payer, payee, amount
        self.expires_at, self.counted_day = expires_at, counted_day

    def is_due(self, at):
        return self.expires_at <= at

    def __str__(self):
        return f'hold {self.hold_id} of {self.amount}, expires {self.expires_at}'


class State:
    """An account after one of its versions.  holds: the pending ones, by id."""

    __slots__ = ('account', 'customer', 'currency', 'active', 'balance', 'held', 'version',
                 'dated', 'closed_at', 'holds', 'spent', 'spent_day', 'limit', 'next_limit',
                 'next_day')

    def __init__(self, account, customer, currency, dated):
        self.account, self.customer, self.currency = account, customer, currency
        self.active, self.balance, self.held, self.version = True, 0, 0, 1
        self.dated, self.closed_at, self.holds = dated, None, {}
        self.spent, self.spent_day = 0, None
        self.limit, self.next_limit, self.next_day = None, None, None

    @property
    def is_settlement(self):
        return self.customer is None

    def copy(self):
        made = State.__new__(State)
        for name in State.__slots__:
            setattr(made, name, getattr(self, name))
        return made

    def next(self, dated):
        """A copy, one version on."""
        made = self.copy()
        made.version += 1
        made.dated = dated
        return made

    def available(self):
        return self.balance - self.held

    def due(self, at):
        return [hold for hold in self.holds.values() if hold.is_due(at)]

    # Limits.

    def limit_on(self, day):
        return self.next_limit if self.changes_by(day) else self.limit

    def changes_by(self, day):
        return self.next_day is not None and self.next_day <= day

    def begin_day(self, day):
        if self.spent_day != day:
            self.spent = 0
        self.spent_day = day
        if self.changes_by(day):
            self.limit, self.next_limit, self.next_day = self.next_limit, None, None

    def spend(self, amount, dated):
        self.begin_day(day_of(dated))
        self.spent += amount

    def release(self, hold, posted):
        """The hold is no longer pending; what was not posted is given back."""
        self.holds = {key: other for key, other in self.holds.items() if key != hold.hold_id}
        self.held -= hold.amount
        if self.spent_day == hold.counted_day:
            self.spent -= min(self.spent, hold.amount - posted)

    def __str__(self):
        return (f'account {self.account} at version {self.version}: balance {self.balance}, '
                f'held {self.held}, {"active" if self.active else "closed"}, spent {self.spent} '
                f'of {self.limit}, dated {self.dated}, {list(map(str, self.holds.values()))}')


# What calls do.

def moved(payer, payee, amount, dated, counts):
    """Both states after the amount went from one to the other."""
    payer, payee = payer.next(dated), payee.next(dated)
    payer.balance -= amount
    payee.balance += amount
    if counts:
        payer.spend(amount, dated)
    return payer, payee


def counts_as_spent(kind):
    return kind in ('transfer', 'withdrawal')


def closed(state, dated):
    state = state.next(dated)
    state.active, state.closed_at = False, dated
    return state


def holding(state, hold, dated):
    state = state.next(dated)
    state.held += hold.amount
    state.holds = {**state.holds, hold.hold_id: hold}
    state.spend(hold.amount, dated)
    return state


def ended(state, hold, dated, posted=0):
    """After the event that ends a hold."""
    state = state.next(dated)
    state.release(hold, posted)
    return state


def with_due_ended(state, dated):
    """After the events of all holds that are due."""
    for hold in state.due(dated):
        state = ended(state, hold, dated)
    return state


def aged(state, at):
    """The account as it counts at a date: what is due is held no more."""
    due = state.due(at)
    if due:
        state = state.copy()
        for hold in due:
            state.release(hold, 0)
    return state


def limited(state, amount, dated):
    """Lower at once, higher or none from the next local day."""
    state = state.next(dated)
    today = day_of(dated)
    state.begin_day(today)
    is_lower = amount is not None and (state.limit is None or amount < state.limit)
    if is_lower or amount == state.limit:
        state.limit, state.next_limit, state.next_day = amount, None, None
    else:
        state.next_limit, state.next_day = amount, today + 1
    return state


# Why a call is refused, as SQLSTATE; 00000 where it is not.

def judge_amount(amount):
    if amount <= 0:
        return '22023'
    return '22003' if amount > BOUND else OK


def judge_limit(payer, amount, dated):
    day = day_of(dated)
    limit = payer.limit_on(day)
    spent = payer.spent if payer.spent_day == day else 0
    return 'LG012' if limit is not None and spent > limit - amount else OK


def judge_posting(payer, payee, amount, counts, dated):
    """Between two accounts whose due holds have ended."""
    if not (payer.is_settlement or payee.is_settlement) and payer.customer != payee.customer:
        return 'LG006'
    if not payer.active or not payee.active:
        return 'LG004'
    if payer.currency != payee.currency:
        return 'LG007'
    if not payer.is_settlement and payer.available() < amount:
        return 'LG005'
    if counts and judge_limit(payer, amount, dated) != OK:
        return 'LG012'
    if not payee.is_settlement and payee.balance > BOUND - amount:
        return '22003'
    return OK


def judge_hold(payer, payee, amount, dated):
    refusal = judge_posting(payer, payee, amount, False, dated)
    return refusal if refusal != OK else judge_limit(payer, amount, dated)


def judge_closing(states):
    return 'LG010' if any(state.balance or state.held for state in states) else OK
