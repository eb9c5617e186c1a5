"""Replays the journal in its order through the model: each row must be what
the model makes of it (invariants 1 to 7)."""
import collections

import books
from books import State
from history import OK, microseconds


class Replay:
    """The states of all accounts, and of the customers, over the run.

    states: account: {version: State}.  visible: account: [(State, group)], the
    last state of each group, which is what others could see; the first entry
    of a settlement account that was there before has no group.
    closing: customer: [(flag, group)].
    """

    def __init__(self, journal, order, complaints):
        self.complaints = complaints
        self.states = collections.defaultdict(dict)
        self.visible = collections.defaultdict(list)
        self.closing = collections.defaultdict(list)
        self.last = {}
        self.keys = {}                                      # key: (row, group)
        self.accounts_of = collections.defaultdict(list)
        for account in journal.before:
            state = State(account['account_id'], None, account['currency'],
                          microseconds(account['updated_at']))
            state.balance, state.version = account['balance'], account['version']
            self.put(state)
            self.visible[state.account].append((state, None))
        for group in order.nodes:
            if hasattr(group, 'rows'):
                self.replay_group(group)

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
            getattr(self, 'replay_' + row.kind)(row)

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
        payer, payee = books.moved(payer, payee, values['amount'], row.dated)
        self.put(payer)
        self.put(payee)
        self.compare(row, values, {
            'from_version': payer.version, 'from_balance': payer.balance, 'from_held': payer.held,
            'to_version': payee.version, 'to_balance': payee.balance, 'to_held': payee.held,
            'currency': payer.currency, 'customer_id': payer.customer or payee.customer})
        if row.key in self.keys:
            self.complain(8, row, 'the key is there twice')
        self.keys[row.key] = row, group

    @staticmethod
    def judge(row, payer, payee):
        amount = row.values['amount']
        invalid = books.judge_amount(amount)
        if invalid != OK:
            return invalid
        if payer.is_settlement and not payee.is_settlement:
            return books.judge_deposit(payee, amount) if row.kind == 'deposit' else 'a kind'
        if payee.is_settlement:
            return books.judge_withdrawal(payer, amount) if row.kind == 'withdrawal' else 'a kind'
        return books.judge_transfer(payer, payee, amount) if row.kind == 'transfer' else 'a kind'

    def compare(self, row, values, expected):
        wrong = {name: (values[name], value) for name, value in expected.items()
                 if values[name] != value}
        if wrong:
            self.complain('1, 2', row, f'not what the model has (found, expected): {wrong}')

    def compare_event(self, row, state):
        self.compare(row, row.values, {
            'version': state.version, 'balance': state.balance, 'held': state.held,
            'status': 'active' if state.active else 'inactive', 'currency': state.currency,
            'customer_id': state.customer})

    def replay_created(self, row):
        values = row.values
        if any(flag for flag, _ in self.closing[values['customer_id']][-1:]):
            self.complain(6, row, 'created while the customer is closing')
        state = State(values['account_id'], values['customer_id'], values['currency'], row.dated)
        self.put(state)
        self.compare_event(row, state)

    def replay_inactivated(self, row):
        state = self.last[row.values['account_id']]
        if not state.active or books.judge_closing([state]) != OK:
            self.complain(6, row, f'closed, and it was {state}')
        if row.dated <= state.dated:
            self.complain(4, row, 'the closing is not dated after the last entry')
        state = books.closed(state, row.dated)
        self.put(state)
        self.compare_event(row, state)

    def compare_accounts(self, journal):
        """The accounts' own table says what the journal adds up to."""
        tables = {**journal.accounts, **journal.settlement}
        for account, state in self.last.items():
            found = tables.get(account)
            expected = {
                'customer_id': state.customer, 'currency': state.currency,
                'status': 'active' if state.active else 'inactive', 'balance': state.balance,
                'held': state.held, 'version': state.version}
            if found is None:
                self.complaints.append(f'2: {state} is missing')
            elif any(found.get(name, value) != value for name, value in expected.items()):
                self.complaints.append(f'2: {state}, but the table has {found}')
        for account in set(journal.accounts) - set(self.last):
            self.complaints.append(f'2: account {account} has no journal')
