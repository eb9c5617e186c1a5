"""Judges every answer of a history: what worked is what the model makes of
what the call met, and each refusal was right at some moment of the call."""
import itertools

import books
from history import (COMMITTED, LOST, OK, READ_COMMITTED, SERIALIZABLE, Call, RollbackTo,
                     Savepoint, microseconds)
from view import Company, Own, View

MONEY = {'transfer': 'transfer', 'deposit': 'deposit', 'withdraw': 'withdrawal'}
CLOSINGS = ('inactivate_account', 'inactivate_customer')


class Judge:
    def __init__(self, history, replay, calm, complaints):
        self.history, self.replay, self.calm = history, replay, calm
        self.complaints = complaints
        self.company = Company(history)
        for transaction in history.transactions:
            self.judge_transaction(transaction)

    def complain(self, invariant, call, text):
        self.complaints.append(f'{invariant}: {text}: {call}')

    def judge_transaction(self, transaction):
        own, kept = Own(), {}
        for step in transaction.steps:
            if isinstance(step, Savepoint):
                kept[step] = own.copy()
            elif isinstance(step, RollbackTo):
                own = kept[step.savepoint].copy()
            elif isinstance(step, Call) and step.state is not None:
                self.judge_call(step, own)

    def judge_call(self, call, own):
        since = call.called
        if call.operation == 'ledger_balance' and call.transaction.isolation != READ_COMMITTED:
            since = call.transaction.calls()[0].called
        view = View(self.replay, own, since, call.returned)
        if not call.worked:
            self.judge_refusal(call, view)
        elif call.operation in MONEY:
            self.judge_money(call, view)
        else:
            getattr(self, 'judge_' + call.operation)(call, view)

    # What worked.

    def is_effective(self, call):
        transaction = call.transaction
        return not call.undone and (transaction.outcome == COMMITTED or (
            transaction.outcome == LOST and transaction.group is not None))

    def judge_money(self, call, view):
        answer = call.rows[0]
        self.compare_arguments(call, answer)
        row, group = self.replay.keys.get(answer['transfer_id'], (None, None))
        if row is None and self.is_effective(call):
            self.complain(12, call, 'acknowledged, and not in the journal')
        elif answer['transfer_id'] in view.own.keys:
            self.expect(call, answer, view.own.keys[answer['transfer_id']])
        elif row is None or (not self.is_effective(call) and group.earliest > call.returned):
            self.judge_taken_back(call, answer, view)
        else:
            self.expect(call, answer, row.values)
            if call.transaction in group.candidates:
                self.remember(answer, view.own, self.replay.states,
                              len(group.candidates) > 1)
            elif group.earliest > call.returned:
                self.complain(8, call, 'answered before it was committed')

    def compare_arguments(self, call, answer):
        arguments = call.arguments
        expected = {'kind': MONEY[call.operation]}
        if call.operation == 'transfer':
            expected.update(from_account=arguments[0], to_account=arguments[1],
                            amount=arguments[2])
        else:
            side = 'to_account' if call.operation == 'deposit' else 'from_account'
            expected.update({side: arguments[0], 'amount': arguments[1]})
        self.expect(call, expected, answer)

    def expect(self, call, part, whole):
        wrong = {name: (value, whole[name]) for name, value in part.items()
                 if name in whole and whole[name] != value}
        if wrong:
            self.complain(2, call, f'not what stands there (answered, there): {wrong}')

    @staticmethod
    def remember(answer, own, states, unsure):
        own.keys[answer['transfer_id']] = answer
        for side in ('from', 'to'):
            account = answer[f'{side}_account']
            own.accounts[account] = states[account][answer[f'{side}_version']]
            if unsure:
                own.unsure.add(account)

    def judge_taken_back(self, call, answer, view):
        """Was rolled back later: right by what it met then."""
        dated = microseconds(answer['completed_at'])
        payers, payees = (view.accounts(answer[name]) for name in ('from_account', 'to_account'))
        for payer, payee in itertools.product(payers, payees):
            payer, payee = self.if_created(payer, answer, 'from'), \
                self.if_created(payee, answer, 'to')
            if payer is None or payee is None or \
                    (payer.version + 1, payee.version + 1) != \
                    (answer['from_version'], answer['to_version']):
                continue
            payer, payee = books.moved(payer, payee, answer['amount'], dated)
            self.expect(call, {'from_balance': payer.balance, 'from_held': payer.held,
                               'to_balance': payee.balance, 'to_held': payee.held}, answer)
            view.own.keys[answer['transfer_id']] = answer
            view.own.accounts.update({payer.account: payer, payee.account: payee})
            return
        self.complain('2, 5', call, 'no state it can have met leads to this answer')

    @staticmethod
    def if_created(state, answer, side):
        """A settlement account that the call itself made."""
        if state is None and answer[f'{side}_version'] == 2:
            state = books.State(answer[f'{side}_account'], None, answer['currency'], 0)
        return state

    def judge_ledger_balance(self, call, view):
        answer = call.rows[0]
        states = view.accounts(call.arguments[0])
        for state in states:
            if state is not None and state.version == answer['version']:
                self.expect(call, {
                    'balance': state.balance, 'held': state.held, 'currency': state.currency,
                    'available': state.balance - answer['held'], 'customer_id': state.customer,
                    'status': 'active' if state.active else 'inactive'}, answer)
                return
        self.complain(5, call, f'no such version then, there were {list(map(str, states))}')

    def judge_create_account(self, call, view):
        self.judge_account(call, call.rows[0], view, self.created)

    def judge_inactivate_account(self, call, view):
        self.judge_account(call, call.rows[0], view, self.closed)
        if call.rows[0]['status'] != 'inactive':
            self.complain(6, call, 'answered an account that is not closed')

    def judge_inactivate_customer(self, call, view):
        customer = call.arguments[0]
        for row in call.rows:
            self.judge_account(call, row, view, self.closed)
            if row['status'] != 'inactive':
                self.complain(6, call, 'answered an account that is not closed')
        answered = {row['account_id'] for row in call.rows}
        for account in view.accounts_of(customer) - answered:
            if None not in view.accounts(account):
                self.complain(6, call, f'account {account} was left out')
        view.own.closing[customer] = True

    def judge_reactivate_customer(self, call, view):
        view.own.closing[call.arguments[0]] = False

    @staticmethod
    def created(states, row):
        if None in states and row['version'] == 1:
            return books.State(row['account_id'], row['customer_id'], row['currency'],
                               microseconds(row['opened_at']))
        return None

    @staticmethod
    def closed(states, row):
        for state in states:
            if state is not None and state.active and state.version + 1 == row['version']:
                return books.closed(state, microseconds(row['closed_at']))
        return None

    def judge_account(self, call, row, view, effect):
        """An account row: a state the call met, or its own effect on one."""
        account = row['account_id']
        states = view.accounts(account)
        met = [state for state in states if state and state.version == row['version']]
        committed = self.replay.states[account].get(row['version'])
        made = effect(states, row)
        if self.is_effective(call):
            state = committed
        else:
            state = met[0] if met else made
        if state is None or not (met or made):
            self.complain(5, call, f'no state it can have met leads to {row}')
            return
        self.expect(call, {
            'balance': state.balance, 'held': state.held, 'version': state.version,
            'status': 'active' if state.active else 'inactive',
            'customer_id': state.customer, 'currency': state.currency}, row)
        if not met:
            view.own.accounts[account] = state

    # What was refused.

    def judge_refusal(self, call, view):
        reasons = {
            'LG009': self.may_be_in_progress, '40001': self.may_not_serialize,
            '40P01': self.may_deadlock}
        if call.state in self.history.disturbed and call.state != 'LG009':
            return
        if call.state in reasons and reasons[call.state](call):
            return
        if call.state not in getattr(self, 'refusals_of_' + call.operation)(view, *call.arguments):
            self.complain('5, 8', call, 'nothing it can have met is a reason to refuse it')

    def may_be_in_progress(self, call):
        return ((call.operation in CLOSINGS or 'LG009' in self.history.disturbed)
                and any(True for _ in self.company.beside(call)))

    def may_not_serialize(self, call):
        """Somebody committed a change to what it touches since its snapshot; a
        deposit or withdrawal may meet any other one's settlement account.
        SERIALIZABLE may see a danger in whatever runs beside it."""
        transaction = call.transaction
        if transaction.isolation == READ_COMMITTED:
            return False
        since = transaction.calls()[0].called
        if transaction.isolation == SERIALIZABLE:
            return any(True for _ in self.company.all_beside(call, since))
        if call.operation in ('deposit', 'withdraw'):
            others = self.company.all_beside(call, since)
        else:
            touches = set(call.touches).union(*(
                self.replay.accounts_of.get(customer, ()) for customer in call.touches))
            others = self.company.beside(call, touches, since)
        return any(other.outcome in (COMMITTED, LOST) and other.committing <= call.returned
                   for other in others)

    def may_deadlock(self, call):
        return self.calm.isdisjoint(call.touches) and self.company.several_beside(call)

    def refusals_of_transfer(self, view, payer, payee, amount, key):
        invalid = books.judge_amount(amount)
        if invalid == OK and payer == payee:
            invalid = '22023'
        if invalid != OK:
            yield invalid
            return
        for row in view.keys(key):
            if row is not None and (row['kind'], row['from_account'], row['to_account'],
                                    row['amount']) != ('transfer', payer, payee, amount):
                yield 'LG008'
        for a, b in itertools.product(view.accounts(payer), view.accounts(payee)):
            yield 'LG001' if a is None or b is None else books.judge_transfer(a, b, amount)

    def refusals_of_deposit(self, view, account, amount, key):
        return self.refusals_outside(view, account, amount, key, 'deposit', 'to_account',
                                     books.judge_deposit)

    def refusals_of_withdraw(self, view, account, amount, key):
        return self.refusals_outside(view, account, amount, key, 'withdrawal', 'from_account',
                                     books.judge_withdrawal)

    @staticmethod
    def refusals_outside(view, account, amount, key, kind, side, judge):
        invalid = books.judge_amount(amount)
        if invalid != OK:
            yield invalid
            return
        for row in view.keys(key):
            if row is not None and (row['kind'], row[side], row['amount']) != \
                    (kind, account, amount):
                yield 'LG008'
        for state in view.accounts(account):
            yield 'LG001' if state is None else judge(state, amount)

    @staticmethod
    def refusals_of_ledger_balance(view, account):
        if None in view.accounts(account):
            yield 'LG001'

    @staticmethod
    def refusals_of_create_account(view, customer, currency, account):
        for state in view.accounts(account):
            if state is not None and (state.customer, state.currency) != (customer, currency):
                yield 'LG008'
        if True in view.closing(customer):
            yield 'LG013'

    @staticmethod
    def refusals_of_inactivate_account(view, account):
        for state in view.accounts(account):
            yield 'LG001' if state is None else books.judge_closing([state])

    @staticmethod
    def refusals_of_inactivate_customer(view, customer):
        for account in view.accounts_of(customer):
            for state in view.accounts(account):
                if state is not None:
                    yield books.judge_closing([state])

    @staticmethod
    def refusals_of_reactivate_customer(view, customer):
        return ()
