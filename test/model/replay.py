"""Replays the journal in its order through the model: each row must be what
the model makes of it (invariants 1 to 8)."""
import collections

import books
from books import Hold, State
from history import OK, microseconds

PENDING, POSTED, VOIDED, EXPIRED = 'pending', 'posted', 'voided', 'expired'
FOREVER = float('inf')


class HoldState:
    """What a hold was after one of its two events."""

    def __init__(self, hold, state, posted=None, dated=None, event=None):
        self.hold, self.state, self.posted = hold, state, posted
        self.dated, self.event = dated, event


class Replay:
    """The states of all accounts, customers and holds over the run.

    states: account: {version: State}.  visible: account: [(State, group)], the
    last state of each group, which is what others could see; the first entry
    of a settlement account that was there before has no group.
    closing: customer: [(flag, group)].  holds: hold: [(HoldState, group)].
    reversals: original: (row, group).
    """

    def __init__(self, journal, order, complaints):
        self.complaints = complaints
        self.states = collections.defaultdict(dict)
        self.visible = collections.defaultdict(list)
        self.closing = collections.defaultdict(list)
        self.holds = collections.defaultdict(list)
        self.holds_for = collections.defaultdict(list)      # payee: [hold_id]
        self.last, self.keys, self.reversals = {}, {}, {}
        self.just_posted = {}                               # account: (hold_id, version)
        self.accounts_of = collections.defaultdict(list)
        self.outlived = {account: microseconds(found['updated_at'])
                         for account, found in journal.accounts.items()}
        for account in journal.before:
            state = State(account['account_id'], None, account['currency'],
                          microseconds(account['updated_at']))
            state.balance, state.version = account['balance'], account['version']
            self.put(state)
            self.visible[state.account].append((state, None))
        for group in order.nodes:
            if hasattr(group, 'rows'):
                self.replay_group(group)
        self.compare_accounts(journal)
        self.compare_holds(journal)

    def complain(self, invariant, row, text):
        self.complaints.append(f'{invariant}: {text}: {row}')

    def put(self, state):
        if state.account not in self.last and state.customer is not None:
            self.accounts_of[state.customer].append(state.account)
        self.states[state.account][state.version] = state
        self.last[state.account] = state

    def replay_group(self, group):
        """Rows in the order of the versions of each account."""
        rows = collections.deque(sorted(group.rows, key=lambda row: row.dated))
        posted = [row for row in rows if row.kind == 'hold_posted' and row.table == 'transfer']
        self.posted = {row.key: row.values['amount'] for row in posted}
        self.posted_at = {row.key: row.dated for row in posted}
        touched, idle = {}, 0
        while rows:
            row = rows.popleft()
            if not self.is_next(row) and idle < len(rows):
                rows.append(row)
                idle += 1
                continue
            idle = 0
            self.replay_row(row, group)
            touched.update(dict.fromkeys(account for account, _ in row.entries))
        for account in touched:
            if account in self.last:
                self.visible[account].append((self.last[account], group))

    def is_next(self, row):
        return all(version == (self.last[account].version + 1 if account in self.last else 1)
                   for account, version in row.entries)

    def replay_row(self, row, group):
        if not self.is_next(row):
            self.complain(2, row, 'a version does not follow the one before')
        elif row.table == 'transfer':
            self.replay_transfer(row, group)
        elif row.table == 'act':
            self.closing[row.values['customer_id']].append((row.kind == 'customer_closing', group))
        else:
            getattr(self, 'replay_' + row.kind)(row, group)

    # Transfers.

    def replay_transfer(self, row, group):
        values = row.values
        payer, payee = (self.last.get(values[name]) for name in ('from_account', 'to_account'))
        if payer is None or payee is None:
            self.complain(2, row, 'an account was never created')
            return
        refusal = self.judge(row, payer, payee)
        if refusal != OK:
            self.complain('3, 5, 7', row, f'the model refuses with {refusal}, {payer}, {payee}')
        if row.dated < max(payer.dated, payee.dated):
            self.complain(4, row, 'dated before an entry before it')
        self.require_none_due(row, payer, payee)
        payer, payee = books.moved(payer, payee, values['amount'], row.dated,
                                   books.counts_as_spent(row.kind))
        self.put(payer)
        self.put(payee)
        self.compare(row, values, {
            'from_version': payer.version, 'from_balance': payer.balance, 'from_held': payer.held,
            'to_version': payee.version, 'to_balance': payee.balance, 'to_held': payee.held,
            'currency': payer.currency, 'customer_id': payer.customer or payee.customer})
        if row.key in self.keys:
            self.complain(8, row, 'the key is there twice')
        self.keys[row.key] = row, group
        if row.kind == 'reversal':
            self.reversals[values['reverses']] = row, group

    def require_none_due(self, row, *states):
        """Whoever touches an account ends what is due first; a date that comes
        from the other account's last entry may be later than the clock."""
        for state in states:
            if row.dated > max(other.dated for other in states) and state.due(row.dated):
                self.complain(3, row, f'a hold that is due was not ended, {state}')

    def judge(self, row, payer, payee):
        amount = row.values['amount']
        invalid = books.judge_amount(amount)
        if invalid != OK:
            return invalid
        if not self.has_its_kind(row, payer, payee):
            return 'the wrong kind'
        if row.kind == 'reversal' and not self.reverses(row):
            return 'LG017'
        if row.kind == 'hold_posted' and \
                self.just_posted.get(payer.account) != (row.key, payer.version):
            return 'LG015'
        return books.judge_posting(payer, payee, amount, books.counts_as_spent(row.kind),
                                   row.dated)

    @staticmethod
    def has_its_kind(row, payer, payee):
        if row.kind == 'reversal':
            return True
        return row.kind == ('deposit' if payer.is_settlement else
                            'withdrawal' if payee.is_settlement else
                            row.kind if row.kind in ('transfer', 'hold_posted') else None)

    def reverses(self, row):
        """Whether it takes back, as the first, a transfer that is no reversal."""
        original = self.keys.get(row.values['reverses'], (None,))[0]
        if original is None or original.kind == 'reversal' or original.key in self.reversals:
            return False
        there, back = original.values, row.values
        return there['amount'] == back['amount'] and all(
            there[one] == back[other] or self.last[back[other]].is_settlement
            and self.last[there[one]].is_settlement
            for one, other in (('from_account', 'to_account'), ('to_account', 'from_account')))

    def compare(self, row, values, expected):
        wrong = {name: (values[name], value) for name, value in expected.items()
                 if values[name] != value}
        if wrong:
            self.complain('1, 2', row, f'not what the model has (found, expected): {wrong}')

    # Events.

    def put_event(self, row, state):
        if row.dated < self.last.get(state.account, state).dated:
            self.complain(4, row, 'dated before the entry before it')
        self.put(state)
        self.compare(row, row.values, {
            'version': state.version, 'balance': state.balance, 'held': state.held,
            'status': 'active' if state.active else 'inactive', 'currency': state.currency,
            'customer_id': state.customer})

    def replay_created(self, row, group):
        values = row.values
        if any(flag for flag, _ in self.closing[values['customer_id']][-1:]):
            self.complain(6, row, 'created while the customer is closing')
        self.put_event(row, State(values['account_id'], values['customer_id'],
                                  values['currency'], row.dated))

    def replay_inactivated(self, row, group):
        state = self.last[row.values['account_id']]
        if not state.active or books.judge_closing([state]) != OK:
            self.complain(6, row, f'closed, and it was {state}')
        if row.dated <= state.dated:
            self.complain(4, row, 'the closing is not dated after the last entry')
        self.put_event(row, books.closed(state, row.dated))

    def replay_hold_created(self, row, group):
        values = row.values
        payer, payee = self.last[values['account_id']], self.last[values['counterparty']]
        refusal = books.judge_hold(payer, payee, values['amount'], row.dated)
        if refusal != OK:
            self.complain(3, row, f'the model refuses with {refusal}, {payer}, {payee}')
        if row.key in self.holds:
            self.complain(8, row, 'the hold is there twice')
        self.require_none_due(row, payer)
        hold = Hold(row.key, payer.account, payee.account, values['amount'],
                    microseconds(values['due_at']), books.day_of(row.dated))
        self.put_event(row, books.holding(payer, hold, row.dated))
        self.holds[row.key].append((HoldState(hold, PENDING, dated=row.dated, event=row), group))
        self.holds_for[payee.account].append(row.key)

    def end_hold(self, row, group, state, posted=None):
        payer = self.last[row.values['account_id']]
        hold = payer.holds.get(row.key)
        if hold is None:
            self.complain(3, row, f'it ends a hold that is not pending, {payer}')
            return
        over = hold.is_due(self.posted_at.get(row.key, row.dated))
        if state == EXPIRED:        # also where its payee has outlived it, ahead of the clock
            over = over or hold.is_due(self.outlived[hold.payee])
        if (state == EXPIRED) != over:
            self.complain(3, row, f'dated on the wrong side of its end, {hold}')
        self.put_event(row, books.ended(payer, hold, row.dated, posted or 0))
        self.compare(row, row.values, {'amount': hold.amount, 'counterparty': hold.payee})
        self.holds[row.key].append((HoldState(hold, state, posted, row.dated, row), group))

    def replay_hold_posted(self, row, group):
        amount = self.posted.get(row.key)
        if amount is None:
            self.complain(3, row, 'posted, and there is no transfer')
            return
        self.end_hold(row, group, POSTED, amount)
        self.just_posted[row.values['account_id']] = row.key, row.values['version']

    def replay_hold_voided(self, row, group):
        self.end_hold(row, group, VOIDED)

    def replay_hold_expired(self, row, group):
        self.end_hold(row, group, EXPIRED)

    def replay_limit_set(self, row, group):
        state = self.last[row.values['account_id']]
        if not state.active:
            self.complain(5, row, 'an account that is closed')
        limited = books.limited(state, row.values['amount'], row.dated)
        self.put_event(row, limited)
        counts_from = microseconds(row.values['due_at'])
        if books.day_of(counts_from) != (limited.next_day or books.day_of(row.dated)):
            self.complain(3, row, 'the limit begins to count on another day')

    # The tables that say what is so now.

    def compare_accounts(self, journal):
        tables = {**journal.accounts, **journal.settlement}
        for account, state in self.last.items():
            found = tables.get(account)
            expected = {
                'customer_id': state.customer, 'currency': state.currency,
                'status': 'active' if state.active else 'inactive', 'balance': state.balance,
                'held': state.held, 'version': state.version}
            if state.spent_day is not None:
                expected.update(spent=state.spent, daily_limit=state.limit,
                                next_limit=state.next_limit)
            if found is None:
                self.complaints.append(f'2: {state} is missing')
            elif any(found.get(name, value) != value for name, value in expected.items()):
                self.complaints.append(f'2: {state}, but the table has {found}')
        for account in set(journal.accounts) - set(self.last):
            self.complaints.append(f'2: account {account} has no journal')

    def compare_holds(self, journal):
        tables = {row['hold_id']: row for row in journal.holds}
        for hold_id, timeline in self.holds.items():
            last, found = timeline[-1][0], tables.pop(hold_id, {})
            if (found.get('state'), found.get('posted_amount')) != (last.state, last.posted):
                self.complaints.append(
                    f'3: {last.hold} is {last.state} of {last.posted}, the table has {found}')
            self.compare_payee(timeline)
        self.complaints += [f'3: a hold without a journal: {row}' for row in tables.values()]

    def compare_payee(self, timeline):
        """No payee was closed before the hold, or while it was live."""
        hold, created = timeline[0][0].hold, timeline[0][0].dated
        over = min(timeline[1][0].dated if len(timeline) > 1 else FOREVER, hold.expires_at)
        closed_at = self.last[hold.payee].closed_at
        if closed_at is not None and (closed_at <= created or closed_at < over):
            self.complaints.append(f'3, 6: {hold} of {created} to {over}, and its payee was '
                                   f'closed at {closed_at}')
