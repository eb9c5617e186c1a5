"""Judges every answer of a history: what worked is what the model makes of
what the call met, and each refusal was right at some moment of the call."""
import itertools

import books
import refusals
from history import (COMMITTED, LOST, OK, READ_COMMITTED, SERIALIZABLE, Call, RollbackTo,
                     Savepoint, microseconds)
from order import changed_by
from replay import PENDING, POSTED, VOIDED, HoldState
from view import Company, Own, View

KINDS = {'transfer': 'transfer', 'deposit': 'deposit', 'withdraw': 'withdrawal',
         'post_hold': 'hold_posted', 'reverse': 'reversal'}
CLOSINGS = ('inactivate_account', 'inactivate_customer')
USES_SETTLEMENT = ('deposit', 'withdraw', 'reverse')


class Judge:
    def __init__(self, history, replay, calm, complaints):
        self.history, self.replay, self.calm = history, replay, calm
        self.complaints = complaints
        self.company = Company(history)
        for transaction in history.transactions:
            self.judge_transaction(transaction)
            self.judge_snapshot(transaction)

    def complain(self, invariant, call, text):
        steps = call.transaction.steps
        before = ''.join(f'\n    after {step}' for step in steps[:steps.index(call)])
        self.complaints.append(f'{invariant}: {text}: {call}{before}')

    def judge_transaction(self, transaction):
        own, kept = Own(), {}
        for step in transaction.steps:
            if isinstance(step, Savepoint):
                kept[step] = own.copy()
            elif isinstance(step, RollbackTo):
                own = kept[step.savepoint].copy()
            elif isinstance(step, Call) and step.state is not None:
                self.judge_call(step, own)

    def judge_snapshot(self, transaction):
        """What sees only its snapshot writes over nothing that came after it:
        there 40001 was due."""
        if transaction.isolation == READ_COMMITTED or transaction.group is None:
            return
        first = transaction.calls()[0]
        for account in {account for row in transaction.group.rows for account, _ in row.entries}:
            timeline = self.replay.visible[account]
            at = next((at for at, (_, group) in enumerate(timeline)
                       if group is transaction.group), 0)
            if at and timeline[at - 1][1] and timeline[at - 1][1].earliest > first.returned:
                self.complain(5, first, f'its transaction wrote over {timeline[at - 1][0]}')

    def judge_call(self, call, own):
        named = {call.arguments[0], *call.touches, *changed_by(call)}
        if not own.unknown.isdisjoint(named):
            own.unknown.update(named)
            return
        since = call.called
        if call.operation == 'ledger_balance' and call.transaction.isolation != READ_COMMITTED:
            since = call.transaction.calls()[0].called
        view = View(self.replay, own, since, call.returned)
        if not call.worked:
            self.judge_refusal(call, view)
        elif call.operation in KINDS:
            self.judge_money(call, view)
        else:
            getattr(self, 'judge_' + call.operation)(call, view)

    def is_effective(self, call):
        transaction = call.transaction
        return not call.undone and (transaction.outcome == COMMITTED or (
            transaction.outcome == LOST and transaction.group is not None))

    def expect(self, call, part, whole):
        wrong = {name: (value, whole[name]) for name, value in part.items()
                 if name in whole and whole[name] != value}
        if wrong:
            self.complain(2, call, f'not what stands there (answered, there): {wrong}')

    # What worked: money.

    def judge_money(self, call, view):
        answer = call.rows[0]
        self.expect(call, self.as_asked(call), answer)
        key = answer['transfer_id']
        row, group = self.replay.keys.get(key, (None, None))
        if row is None and self.is_effective(call):
            self.complain(12, call, 'acknowledged, and not in the journal')
        elif key in view.own.keys:
            self.expect(call, answer, view.own.keys[key])
        elif row is None or (not self.is_effective(call) and group.earliest > call.returned) \
                or self.is_another_after_loss(call, answer, row):
            self.judge_taken_back(call, answer, view)
        else:
            self.expect(call, answer, row.values)
            if call.transaction in group.candidates:
                self.remember(answer, view.own, len(group.candidates) > 1)
            elif group.earliest > call.returned:
                self.complain(8, call, 'answered before it was committed')

    @staticmethod
    def is_another_after_loss(call, answer, row):
        """Ended behind the client's back, it left the key to somebody else, who
        may have posted before the client read the answer."""
        return call.transaction.outcome == LOST and \
            answer['completed_at'] != row.values['completed_at']

    @staticmethod
    def as_asked(call):
        name, arguments = call.operation, call.arguments
        asked = {'kind': KINDS[name]}
        if name == 'transfer':
            asked.update(zip(('from_account', 'to_account', 'amount', 'transfer_id', 'reference'),
                             arguments))
        elif name == 'reverse':
            asked.update(reverses=arguments[0], transfer_id=arguments[1])
        elif name == 'post_hold':
            asked['transfer_id'] = arguments[0]
            if arguments[1] is not None:
                asked['amount'] = arguments[1]
        else:
            side = 'to_account' if name == 'deposit' else 'from_account'
            asked.update(zip((side, 'amount', 'transfer_id', 'reference'), arguments))
        return asked

    def remember(self, answer, own, unsure):
        """The transaction's own posting: what it met next is what this left."""
        own.keys[answer['transfer_id']] = answer
        if answer['kind'] == 'reversal':
            own.reversals[answer['reverses']] = answer['transfer_id']
        for side in ('from', 'to'):
            account = answer[f'{side}_account']
            own.accounts[account] = self.replay.states[account][answer[f'{side}_version']]
            if unsure:
                own.unsure.add(account)
        if answer['kind'] == 'hold_posted':
            hold = self.replay.holds[answer['transfer_id']][0][0].hold
            own.holds[hold.hold_id] = HoldState(hold, POSTED, answer['amount'])

    def judge_taken_back(self, call, answer, view):
        """Was rolled back later: right by what it met then."""
        dated = microseconds(answer['completed_at'])
        payers, payees = (view.accounts(answer[name]) for name in ('from_account', 'to_account'))
        for payer, payee in itertools.product(payers, payees):
            payer, payee = self.before(payer, answer, 'from', dated), \
                self.before(payee, answer, 'to', dated)
            if payer is not None and answer['kind'] == 'hold_posted':
                payer = self.post(payer, answer, view, dated)
            if payer is None or payee is None or (payer.version + 1, payee.version + 1) != (
                    answer['from_version'], answer['to_version']):
                continue
            payer, payee = books.moved(payer, payee, answer['amount'], dated,
                                       books.counts_as_spent(answer['kind']))
            self.expect(call, {'from_balance': payer.balance, 'from_held': payer.held,
                               'to_balance': payee.balance, 'to_held': payee.held}, answer)
            view.own.keys[answer['transfer_id']] = answer
            if answer['kind'] == 'reversal':
                view.own.reversals[answer['reverses']] = answer['transfer_id']
            view.own.accounts.update({payer.account: payer, payee.account: payee})
            return
        self.complain('2, 5', call, 'no state it can have met leads to this answer')

    @staticmethod
    def before(state, answer, side, dated):
        """The account just before the posting; a settlement account may have
        been made by it."""
        if state is None:
            return books.State(answer[f'{side}_account'], None, answer['currency'], 0) \
                if answer[f'{side}_version'] == 2 else None
        return books.with_due_ended(state, dated)

    @staticmethod
    def post(payer, answer, view, dated):
        hold = payer.holds.get(answer['transfer_id'])
        if hold is None:
            return None
        view.own.holds[hold.hold_id] = HoldState(hold, POSTED, answer['amount'])
        return books.ended(payer, hold, dated, answer['amount'])

    # What worked: batches.

    def judge_transfer_batch(self, call, view):
        items = list(zip(*call.arguments))
        results = [(row['transfer_id'], row['result']) for row in call.rows]
        if [row['item'] for row in call.rows] != list(range(1, len(items) + 1)) or \
                [key for key, _ in results] != [item[3] for item in items]:
            self.complain(8, call, 'the rows are not those of the items')
            return
        posted = self.rows_of_batch(call)
        if posted is None:
            view.own.unknown.update(call.touches)
            return
        for at, (item, (_, result)) in enumerate(zip(items, results)):
            moment = BatchMoment(view, self.replay.states, posted, at)
            if result == 'ok':
                self.judge_posted_item(call, item, view)
            elif view.own.unsure.isdisjoint(item[:2]) and \
                    result not in refusals.of_transfer(moment, *item):
                self.complain('5, 8', call, f'nothing refuses item {at + 1} with {result}, '
                              f'{[str(found) for name in item[:2] for found in moment.aged(name)]}')
        self.remember_batch(posted, view.own)

    def rows_of_batch(self, call):
        """Per item the journal's row that it posted, or None; None for all
        where it was rolled back or another may have posted them."""
        if not self.is_effective(call):
            return None
        posted, seen = [], set()
        for key, row in zip(call.arguments[3], call.rows):
            found, group = self.replay.keys.get(key, (None, None))
            if row['result'] != 'ok' or found is None or key in seen or \
                    call.transaction not in group.candidates:
                posted.append(None)
                continue
            if len(group.candidates) > 1:
                return None
            seen.add(key)
            posted.append(found)
        return posted

    def judge_posted_item(self, call, item, view):
        row, group = self.replay.keys.get(item[3], (None, None))
        if row is None:
            self.complain(12, call, f'item {item} was acknowledged, and is not in the journal')
            return
        self.expect(call, dict(zip(('from_account', 'to_account', 'amount'), item),
                               kind='transfer'), row.values)
        if call.transaction not in group.candidates and group.earliest > call.returned:
            self.complain(8, call, f'item {item} was answered before it was committed')

    def remember_batch(self, posted, own):
        for row in posted:
            if row is not None:
                own.keys[row.key] = row.values
                for account, version in row.entries:
                    own.accounts[account] = self.replay.states[account][version]

    # What worked: holds and limits.

    def judge_hold(self, call, view):
        answer = call.rows[0]
        payer, payee, amount, expires_at, hold_id, reference = call.arguments
        self.expect(call, {'from_account': payer, 'to_account': payee, 'amount': amount,
                           'expires_at': expires_at, 'reference': reference,
                           'state': PENDING}, answer)
        self.judge_hold_event(call, answer, view, hold_id, 0, self.hold_made)

    def judge_void_hold(self, call, view):
        answer = call.rows[0]
        self.expect(call, {'state': VOIDED, 'hold_id': call.arguments[0]}, answer)
        self.judge_hold_event(call, answer, view, call.arguments[0], 1, self.hold_ended)

    def judge_hold_event(self, call, answer, view, hold_id, place, effect):
        """The first (made) or second (ended) event of a hold, as the row says."""
        timeline = self.replay.holds.get(hold_id, ())
        found, group = timeline[place] if len(timeline) > place else (None, None)
        if found is None and self.is_effective(call):
            self.complain(12, call, 'acknowledged, and not in the journal')
        elif found is None or (not self.is_effective(call) and group.earliest > call.returned):
            self.judge_hold_taken_back(call, answer, view, effect)
        else:
            event = found.event.values
            self.expect(call, {'balance': event['balance'], 'held': event['held'],
                               'version': event['version'], 'occurred_at': event['occurred_at'],
                               'from_account': event['account_id'],
                               'to_account': event['counterparty'], 'amount': event['amount'],
                               'expires_at': event['due_at'],
                               'reference': event['reference']}, answer)
            if call.transaction in group.candidates:
                account = event['account_id']
                view.own.holds[hold_id] = found
                view.own.accounts[account] = self.replay.states[account][event['version']]
                if len(group.candidates) > 1:
                    view.own.unsure.add(account)
            elif group.earliest > call.returned:
                self.complain(8, call, 'answered before it was committed')

    def judge_hold_taken_back(self, call, answer, view, effect):
        if answer['hold_id'] in view.own.holds and call.operation == 'hold':
            return                      # a replay of the transaction's own
        dated = microseconds(answer['occurred_at'])
        for state in view.accounts(answer['from_account']):
            made = effect(state and books.with_due_ended(state, dated), answer, dated, view)
            if made is not None and made.version == answer['version']:
                self.expect(call, {'balance': made.balance, 'held': made.held}, answer)
                view.own.accounts[made.account] = made
                return
        if view.own.holds.get(answer['hold_id'], HoldState(None, None)).state != VOIDED:
            self.complain('2, 5', call, 'no state it can have met leads to this answer')

    @staticmethod
    def hold_made(state, answer, dated, view):
        if state is None:
            return None
        hold = books.Hold(answer['hold_id'], answer['from_account'], answer['to_account'],
                          answer['amount'], microseconds(answer['expires_at']),
                          books.day_of(dated))
        view.own.holds[hold.hold_id] = HoldState(hold, PENDING)
        return books.holding(state, hold, dated)

    @staticmethod
    def hold_ended(state, answer, dated, view):
        hold = state and state.holds.get(answer['hold_id'])
        if not hold:
            return None
        view.own.holds[hold.hold_id] = HoldState(hold, VOIDED)
        return books.ended(state, hold, dated)

    def judge_expire_holds(self, call, view):
        """What it did is in the journal; it names no hold."""

    def judge_set_limit(self, call, view):
        answer, account = call.rows[0], call.arguments[0]
        state = self.replay.states[account].get(answer['version'])
        if not self.is_effective(call):
            state = self.limited(view.accounts(account), call, answer['version'])
        if state is None:
            self.complain('2, 5', call, 'no state it can have met leads to this answer')
            return
        self.expect(call, {'daily_amount': state.limit, 'next_amount': state.next_limit,
                           'spent': state.spent, 'account_id': account}, answer)
        view.own.accounts[account] = state

    @staticmethod
    def limited(states, call, version):
        """The answer has no date: as many holds were due as its version says,
        and those the earliest."""
        for state in states:
            if state is None:
                continue
            due = sorted(state.due(call.returned), key=lambda hold: hold.expires_at)
            number = version - 1 - state.version
            if 0 <= number <= len(due):
                for hold in due[:number]:
                    state = books.ended(state, hold, call.returned)
                return books.limited(state, call.arguments[1], call.returned)
        return None

    # What worked: accounts.

    def judge_ledger_balance(self, call, view):
        answer = call.rows[0]
        states = view.accounts(call.arguments[0])
        for state in states:
            if state is not None and state.version == answer['version']:
                self.expect(call, {
                    'balance': state.balance, 'currency': state.currency,
                    'available': state.balance - answer['held'], 'customer_id': state.customer,
                    'status': 'active' if state.active else 'inactive'}, answer)
                if answer['held'] not in [aged.held for aged in view.ages(state)]:
                    self.complain(3, call, f'other holds are live: {state}')
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
        dated = microseconds(row['closed_at'])
        for state in states:
            if state is not None and state.active:
                state = books.with_due_ended(state, dated)
                if state.version + 1 == row['version']:
                    return books.closed(state, dated)
        return None

    def judge_account(self, call, row, view, effect):
        """An account row: a state the call met, or its own effect on one."""
        account = row['account_id']
        states = view.accounts(account)
        met = [state for state in states if state and state.version == row['version']]
        made = effect(states, row)
        state = self.replay.states[account].get(row['version']) if self.is_effective(call) else \
            met[0] if met else made
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
        if call.state not in refusals.of_call(view, call):
            self.complain('5, 8', call, 'nothing it can have met is a reason to refuse it')

    def may_be_in_progress(self, call):
        """A closing meets who touches the same; a lock_timeout of moments may also
        end a wait for settlement, or for a table that is being extended."""
        if call.operation in CLOSINGS:
            others = self.company.beside(call, call.touches, call.called)
        elif 'LG009' in self.history.disturbed:
            others = self.company.all_beside(call, call.called)
        else:
            return False
        return any(True for _ in others)

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
        if call.operation in USES_SETTLEMENT:
            others = self.company.all_beside(call, since)
        else:
            touches = set(call.touches).union(*(
                self.replay.accounts_of.get(customer, ()) for customer in call.touches))
            others = self.company.beside(call, touches, since)
        return any(other.outcome in (COMMITTED, LOST) and other.committing <= call.returned
                   for other in others)

    def may_deadlock(self, call):
        return self.calm.isdisjoint(call.touches) and self.company.several_beside(call)


class BatchMoment:
    """What an item of a batch meets: the accounts as the items before it left
    them; else, and for keys, what the batch met."""

    def __init__(self, view, states, posted, at):
        self.view, self.states = view, states
        self.before = [row for row in posted[:at] if row is not None]
        self.later = [row for row in posted[at:] if row is not None]
        self.until = view.until

    def aged(self, account):
        before, later = self.versions(self.before, account), self.versions(self.later, account)
        if before or later:
            return [self.states[account][max(before) if before else min(later) - 1]]
        return list(self.view.aged(account))

    @staticmethod
    def versions(rows, account):
        return [version for row in rows for name, version in row.entries if name == account]

    def keys(self, key):
        mine = [row.values for row in self.before if row.key == key]
        return mine or self.view.keys(key)
