"""The checker finds what it looks for: each case spoils one thing of what was
read from a sound stack."""
import copy
import json
from datetime import timedelta

import pytest

import checker
from stack import eventually


class Seen:
    """Everything the checker judges, and its judgement."""

    def __init__(self, stack, transfer_id):
        self.transfer_id = transfer_id
        self.journal = checker.Journal(stack.ledger)
        self.records = checker.read_topics(stack.env['BANK_KAFKA_BROKERS'])
        self.notifications = stack.ledger.rows('SELECT * FROM bank_report.notification')
        self.log, self.log_before = stack.bacen.log(), []

    def complaints(self):
        return checker.check_journal(self.journal) \
            + checker.check_events(self.journal, self.records) \
            + checker.check_once(self.records) \
            + checker.check_notifications(self.journal, self.notifications, self.log,
                                          self.log_before)

    # What is spoilt below.

    @property
    def transfer(self):
        return next(row for row in self.journal.transfers
                    if row['transfer_id'] == self.transfer_id)

    def own(self, rows, **values):
        """The row of our customer with those values."""
        return next(row for row in rows if row['customer_id'] == self.transfer['customer_id']
                    and all(row[name] == value for name, value in values.items()))

    def event(self, kind):
        return self.own(self.journal.events, kind=kind)

    def hold(self, state):
        return self.own(self.journal.holds.values(), state=state)

    @property
    def posted(self):
        return self.own(self.journal.transfers, kind='hold_posted')

    @property
    def withdrawn(self):
        return self.own(self.journal.transfers, kind='withdrawal')

    def reversal(self, transfer):
        return self.own(self.journal.transfers, reverses=transfer['transfer_id'])

    @property
    def payer(self):
        return self.journal.accounts[self.transfer['from_account']]

    @property
    def closed(self):
        return next(row for row in self.journal.accounts.values()
                    if row['status'] == 'inactive')

    def record(self, topic, id_):
        return next(r for r in self.records if r.id == (topic, id_))

    @property
    def told(self):
        return self.record('bank.transfers', self.transfer_id)

    @property
    def balance(self):
        return self.record('bank.balances', f'{self.transfer["from_account"]}:1:'
                                            f'{self.transfer["from_version"]}')

    def of_event(self, kind):
        """The record of an event on bank.balances."""
        row = self.event(kind)
        return self.record('bank.balances', f'{row["account_id"]}:1:{row["version"]}')

    @property
    def sealed(self):
        return next(r for r in self.records if r.topic == 'bank.seals')

    def notice(self, transfer):
        return self.own(self.notifications, transfer_id=transfer['transfer_id'])

    @property
    def notification(self):
        return self.notice(self.transfer)

    @property
    def heard(self):
        return next(entry for entry in self.log if
                    entry['headers']['idempotency-key'] == self.transfer_id)


def add(row, name, change):
    row[name] += change


def say(record, **changes):
    record.value = json.dumps({**json.loads(record.value), **changes})


def turn(row):
    """A transfer goes the other way."""
    row.update(from_account=row['to_account'], to_account=row['from_account'])


def head(record, name, value):
    record.headers[name] = value


def again(seen, **changes):
    twin = copy.deepcopy(seen.told)
    twin.place = (twin.place[0], 10**9)
    say(twin, **changes)
    seen.records.append(twin)


def swap_places(seen):
    account = [r for r in seen.records if r.topic == 'bank.balances' and
               r.key == seen.transfer['from_account']]
    account[0].place, account[1].place = account[1].place, account[0].place


def post_again(seen, **changes):
    seen.log.append({**copy.deepcopy(seen.heard), **changes})


SPOILT = {
    '1: an amount': lambda s: add(s.payer, 'balance', 1),
    '1: a currency': lambda s: s.transfer.update(currency='USD'),
    '2: a version': lambda s: add(s.payer, 'version', 1),
    '2: an entry': lambda s: s.journal.transfers.remove(s.transfer),
    '2: a running balance': lambda s: add(s.transfer, 'from_balance', 1),
    '2: a creation': lambda s: s.journal.events.remove(
        next(e for e in s.journal.events if e['account_id'] == s.payer['account_id'])),
    '3: a hold': lambda s: s.transfer.update(from_held=10**6),
    '3: what an account has held': lambda s: add(s.payer, 'held', 1),
    '3: an event that holds more': lambda s: add(s.event('hold_voided'), 'held', 1),
    '3: a hold missing': lambda s: s.journal.holds.pop(s.hold('voided')['hold_id']),
    '3: a hold without its end': lambda s: s.journal.events.remove(s.event('hold_expired')),
    '3: a hold ended twice': lambda s: s.journal.events.append(s.event('hold_voided')),
    '3: another end': lambda s: s.hold('voided').update(state='expired'),
    '3: another amount held': lambda s: add(s.hold('voided'), 'amount', 1),
    '3: another one to be paid': lambda s: s.event('hold_posted').update(counterparty=None),
    '3: another reference': lambda s: s.hold('posted').update(reference='x'),
    '3: an end at another version': lambda s: add(s.hold('voided'), 'ended_version', 1),
    '3: a void too late': lambda s: s.event('hold_voided').update(
        occurred_at=s.hold('voided')['expires_at']),
    '3: an expiry too early': lambda s: s.event('hold_expired').update(
        occurred_at=s.event('created')['occurred_at']),
    '3: more posted than moved': lambda s: add(s.hold('posted'), 'posted_amount', 1),
    '3: more posted than held': lambda s: s.hold('posted').update(posted_amount=41) or
    s.posted.update(amount=41),
    '3: a posted hold that moved nothing': lambda s: s.journal.transfers.remove(s.posted),
    '3: a transfer that posts no hold': lambda s: s.transfer.update(kind='hold_posted'),
    '3: another one paid': lambda s: turn(s.posted),
    '4: a date': lambda s: add(s.transfer, 'completed_at', timedelta(days=-1)),
    '4: a closing': lambda s: s.payer.update(closed_at=s.transfer['completed_at']),
    '6: a status': lambda s: s.closed.update(status='active'),
    '6: a closing customer': lambda s: s.journal.closing.add(s.payer['customer_id']),
    '7: a holder': lambda s: s.payer.update(customer_id=s.closed['customer_id']),
    '7: a kind': lambda s: s.transfer.update(kind='deposit'),
    '8: a key': lambda s: s.journal.transfers.append(s.transfer),
    '8: reversed twice': lambda s: s.journal.transfers.append(
        {**s.reversal(s.transfer), 'transfer_id': 'x'}),
    '8: reversed for another amount': lambda s: add(s.reversal(s.transfer), 'amount', 1),
    '8: reversed in the same direction': lambda s: turn(s.reversal(s.withdrawn)),
    '8: a reversal of a reversal': lambda s: s.reversal(s.transfer).update(
        reverses=s.reversal(s.withdrawn)['transfer_id']),
    '8: a reversal of nothing': lambda s: s.reversal(s.transfer).update(reverses=None),
    '8: a withdrawal that reverses': lambda s: s.withdrawn.update(reverses=s.transfer_id),
    '9: a record missing': lambda s: s.records.remove(s.balance),
    '9: a record of nothing': lambda s: head(s.told, 'ce_id', 'x') or
    setattr(s.told, 'id', ('bank.transfers', 'x')),
    '9: a value': lambda s: say(s.balance, held=1),
    '9: a float': lambda s: say(s.told, amount=float(s.transfer['amount'])),
    '9: a reference': lambda s: say(s.told, reference=None),
    '9: what is reversed': lambda s: say(s.record(
        'bank.transfers', s.reversal(s.transfer)['transfer_id']), reverses=None),
    '9: a kind': lambda s: say(s.record(
        'bank.transfers', s.posted['transfer_id']), kind='transfer'),
    '9: a hold missing': lambda s: s.records.remove(s.of_event('hold_created')),
    '9: a hold without its id': lambda s: say(s.of_event('hold_expired'), transfer_id=None),
    '9: a hold that goes on': lambda s: say(s.of_event('hold_posted'), held=40),
    '9: a limit missing': lambda s: s.records.remove(s.of_event('limit_set')),
    '9: a field more': lambda s: say(s.told, more=1),
    '9: a key': lambda s: setattr(s.told, 'key', 'x'),
    '9: a type': lambda s: head(s.told, 'ce_type', 'x'),
    '9: a source': lambda s: head(s.told, 'ce_source', '/bank/x'),
    '9: a time': lambda s: head(s.balance, 'ce_time', '2026-01-01T00:00:00.000000Z'),
    '9: a header more': lambda s: head(s.told, 'x', 'x'),
    '9: a record twice': again,
    '9: another one of the same id': lambda s: again(s, amount=1),
    '9: an index': lambda s: add(vars(s.balance), 'index', 1),
    '9: an order': swap_places,
    '9: a seal missing': lambda s: s.records.remove(s.sealed),
    '9: a seal of something else': lambda s: say(s.sealed, root='00'),
    '9: a transaction torn': lambda s: add(vars(s.balance), 'lsn', -8),
    '11: a notification': lambda s: s.notifications.remove(s.notification),
    '11: a notification of what': lambda s: s.notification.update(amount=1),
    '11: a second first attempt': lambda s: post_again(s, accepted=False),
    '11: accepted twice': lambda s: post_again(
        s, headers={**s.heard['headers'], 'x-attempt': '2'}) or s.notification.update(attempts=9),
    '11: an attempt not begun': lambda s: s.heard['headers'].update({'x-attempt': '9'}),
    '11: a posted hold without one': lambda s: s.notifications.remove(s.notice(s.posted)),
    '11: a reversal without one': lambda s: s.notifications.remove(
        s.notice(s.reversal(s.transfer))),
    '11: that of a withdrawal taken back': lambda s: s.notifications.append(
        {**s.notification, 'transfer_id': s.reversal(s.withdrawn)['transfer_id']}),
    '11: never told': lambda s: s.log.remove(s.heard),
    '11: accepted before, and again': lambda s: s.log_before.append(s.heard),
    '11: another key': lambda s: s.heard['headers'].update({'idempotency-key': 'x'}),
    '11: another body': lambda s: s.heard.update(
        body=s.heard['body'].replace('"valor": ', '"valor": 1')),
}


def held(stack, payer, payee, amount, until='1 hour'):
    return stack.ledger.row(
        "SELECT hold_id FROM bank.hold(%s, %s, %s, clock_timestamp() + %s::interval, "
        "reference => 'rent')", payer, payee, amount, until)['hold_id']


def expired(stack, hold):
    stack.ledger.rows('SELECT bank.expire_holds()')
    return stack.ledger.rows(
        "SELECT 1 FROM bank.holds WHERE hold_id = %s AND state = 'expired'", hold)


def move_in_every_way(stack, payer, payee, moved):
    """Holds of every end and one that has none, a limit and reversals."""
    short = held(stack, payer, payee, 30, '50 ms')
    stack.ledger.rows('SELECT bank.post_hold(%s, 25)', held(stack, payer, payee, 40))
    stack.ledger.rows('SELECT bank.void_hold(%s)', held(stack, payer, payee, 20))
    held(stack, payer, payee, 10)
    stack.ledger.rows('SELECT bank.set_limit(%s, 100000)', payer)
    withdrawn = stack.ledger.row('SELECT * FROM bank.withdraw(%s, 5)', payee)
    for row in (moved, withdrawn):
        stack.ledger.rows('SELECT bank.reverse(%s)', row['transfer_id'])
    eventually(lambda: expired(stack, short), 'a hold expires')


@pytest.fixture(name='sound', scope='module')
def sound_stack(whole_stack):
    _, payer, payee = whole_stack.customer('BRL', 'BRL', money=1050)
    moved = whole_stack.ledger.row(
        "SELECT * FROM bank.transfer(%s, %s, 50, reference => 'rent')", payer, payee)
    move_in_every_way(whole_stack, payer, payee, moved)
    whole_stack.ledger.rows('SELECT bank.inactivate_customer(%s)', whole_stack.customer()[0])
    whole_stack.notified(moved['transfer_id'], 'delivered')
    for _ in range(4):
        whole_stack.ledger.rows('SELECT bank_ledger.seal_next()')
    whole_stack.quiet()
    seen = Seen(whole_stack, moved['transfer_id'])
    assert seen.complaints() == []
    return seen


@pytest.mark.parametrize('what', SPOILT)
def test_what_is_spoilt_is_found(sound, what):
    seen = copy.deepcopy(sound)
    SPOILT[what](seen)
    found = seen.complaints()
    number = what.partition(':')[0]
    assert found and (number in ('9', '11') or
                      any(complaint.startswith(f'{number}:') for complaint in found)), found
