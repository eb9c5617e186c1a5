"""What a call may have met: its own transaction's changes, else whatever was
committed at some moment between its call and its answer."""
import bisect
import collections

import books
from history import LOST
from plan import ANYTHING
from replay import PENDING

GRACE_US = 5_000_000                # a lost session's locks may outlive its connection


class Own:
    """What a transaction has changed so far and not taken back.

    unsure: accounts whose rows another transaction may have written instead.
    unknown: accounts that a batch changed which was rolled back later; what it
    made of them was not answered.
    """

    def __init__(self):
        self.accounts, self.keys, self.closing, self.holds, self.reversals = {}, {}, {}, {}, {}
        self.unsure, self.unknown = set(), set()

    def copy(self):
        made = Own()
        for name, value in vars(self).items():
            setattr(made, name, value.copy())
        return made


class View:
    """The world as one call may have seen it."""

    def __init__(self, replay, own, since, until):
        self.replay, self.own, self.since, self.until = replay, own, since, until

    def accounts(self, account):
        """The states an account may have been in; None: it was not there."""
        if account in self.own.accounts and account not in self.own.unsure:
            return [self.own.accounts[account]]
        found = self.window(self.replay.visible.get(account, []), None)
        if account in self.own.accounts:
            found.append(self.own.accounts[account])
        return found

    def aged(self, account):
        """The same as they count by date: due holds may have ended any time."""
        for state in self.accounts(account):
            yield from self.ages(state)

    def ages(self, state):
        if state is None or not state.holds:
            yield state
            return
        moments = {self.since, *(hold.expires_at for hold in state.holds.values()
                                 if self.since < hold.expires_at <= self.until)}
        for moment in moments:
            yield books.aged(state, moment)

    def keys(self, key):
        """What a key may have named: a row's values, or None."""
        if key in self.own.keys:
            return [self.own.keys[key]]
        row, group = self.replay.keys.get(key, (None, None))
        return self.window([(row.values, group)] if row else [], None)

    def reversals(self, original):
        """The keys that may have reversed a transfer, or None."""
        if original in self.own.reversals:
            return [self.own.reversals[original]]
        row, group = self.replay.reversals.get(original, (None, None))
        return self.window([(row.key, group)] if row else [], None)

    def holds(self, hold_id):
        """What a hold may have been, or None."""
        if hold_id in self.own.holds:
            return [self.own.holds[hold_id]]
        return self.window(self.replay.holds.get(hold_id, []), None)

    def may_be_held_for(self, account):
        """Whether a live hold may have been to pay the account."""
        ids = [*self.replay.holds_for.get(account, ()), *self.own.holds]
        return any(found is not None and found.state == PENDING and found.hold.payee == account
                   and not found.hold.is_due(self.since)
                   for hold_id in ids for found in self.holds(hold_id))

    def closing(self, customer):
        if customer in self.own.closing:
            return [self.own.closing[customer]]
        return self.window(self.replay.closing.get(customer, []), False)

    def accounts_of(self, customer):
        """His accounts, also those that may be there only after the call."""
        own = [state.account for state in self.own.accounts.values()
               if state.customer == customer]
        return {*self.replay.accounts_of.get(customer, ()), *own}

    def window(self, timeline, before):
        """Those of a timeline that were in force between since and until."""
        first = bisect.bisect_left(timeline, self.since,
                                   key=lambda entry: entry[1].latest if entry[1] else 0)
        last = bisect.bisect_right(timeline, self.until,
                                   key=lambda entry: entry[1].earliest if entry[1] else 0)
        found = [value for value, _ in timeline[max(first - 1, 0):last]]
        if first == 0:
            found.insert(0, before)
        return found


class Company:
    """Which transactions were under way at the same time, by what they touch."""

    def __init__(self, history):
        self.by_touch = collections.defaultdict(list)
        self.by_began = []
        for transaction in history.transactions:
            span = (transaction.began, self.end_of(transaction), transaction)
            for touch in set().union(*(call.touches for call in transaction.calls())):
                self.by_touch[touch].append(span)
            self.by_began.append(span)
        self.by_began.sort(key=lambda span: span[0])

    @staticmethod
    def end_of(transaction):
        is_lost = transaction.outcome == LOST or any(
            call.state is None for call in transaction.calls())
        return transaction.ended + (GRACE_US if is_lost else 0)

    def beside(self, call, touches, since):
        """The transactions of others that were under way while the call was,
        and touch one of these."""
        for touch in (*touches, ANYTHING):
            for began, ended, transaction in self.by_touch.get(touch, ()):
                if (transaction is not call.transaction and began <= call.returned
                        and ended >= since):
                    yield transaction

    def all_beside(self, call, since):
        """All transactions of others that were under way, the latest first."""
        first = bisect.bisect_right(self.by_began, call.returned, key=lambda span: span[0])
        for at in range(first - 1, -1, -1):
            _, ended, transaction = self.by_began[at]
            if transaction is not call.transaction and ended >= since:
                yield transaction

    def several_beside(self, call):
        return any(not other.single for other in self.all_beside(call, call.transaction.began))
