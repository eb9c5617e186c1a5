"""The verdict can say no: a short run is right, and spoiled in any of these
ways it is not."""
import collections
import copy
import functools

import pytest

from authors import groups_of, marks_of_call
from history import COMMITTED, REPEATABLE_READ, ROLLED_BACK, Call
from order import Order
from readers import Readers
from replay import Replay
from run import Run
from verdict import complaints_of

SECOND_US = 1_000_000
KEY = 3                             # where a transfer's key stands


TRUTHS = 5                          # what one run lacks by chance, another has


@functools.lru_cache(maxsize=None)
def true_run(_number):
    run = Run(seconds=1, least=4000)
    run.work()
    journal = run.journal()
    assert complaints_of(run.history, journal, run.plan.calm) == []
    return run, journal


@pytest.fixture
def truth():
    return true_run(0)


class TooShort(Exception):
    """The run has no call of the kind that is to be spoiled."""


class Spoiled:
    """Copies of what a way to spoil changes; the truth stays."""

    def __init__(self, run, journal):
        self.plan = run.plan
        self.history, self.journal = copy.copy(run.history), copy.copy(journal)
        self.history.transactions = [copy.copy(kept) for kept in run.history.transactions]
        for transaction in self.history.transactions:
            transaction.steps = [
                copy.copy(step) if isinstance(step, Call) else step for step in transaction.steps]
            for call in transaction.calls():
                call.transaction = transaction
                call.rows = [dict(row) for row in call.rows]
        self.journal.rows = [copy.copy(row) for row in journal.rows]
        self.journal.holds = [dict(row) for row in journal.holds]
        self.journal.accounts = {account: dict(row) for account, row in journal.accounts.items()}

    def complaints(self):
        return complaints_of(self.history, self.journal, self.plan.calm)

    def change(self, row, **values):
        row.values = {**row.values, **values}

    def some_row(self, *kinds):
        """One from the middle of the run."""
        rows = [row for row in self.journal.rows if row.kind in kinds]
        rows.sort(key=lambda row: row.dated)
        return rows[len(rows) // 2]

    def some_call(self, fits):
        calls = [call for call in self.history.calls() if fits(call)]
        if not calls:
            raise TooShort
        return calls[len(calls) // 2]

    def some_posting(self, fits):
        """A transfer that worked, by a key that no other call has."""
        used = collections.Counter(key for call in self.history.calls()
                                   for _, key, *_ in marks_of_call(call))
        return self.some_call(lambda call: call.operation == 'transfer' and call.worked
                              and used[call.arguments[KEY]] == 1 and fits(call))


def lose_a_row(it):
    it.journal.rows.remove(it.some_row('transfer'))


def lose_the_last_row(it):
    """An acknowledged transfer is gone, and nothing else shows it."""
    last = {}
    for row in it.journal.rows:
        for account, version in row.entries:
            last[account] = max(last.get(account, 0), version)
    row = max((row for row in it.journal.rows if row.kind == 'transfer' and all(
        last[account] == version for account, version in row.entries)),
              key=lambda row: row.dated)
    it.journal.rows.remove(row)
    for side, sign in (('from', 1), ('to', -1)):
        account = it.journal.accounts[row.values[f'{side}_account']]
        account['version'] -= 1
        account['balance'] += sign * row.values['amount']


def add_a_row_of_nobody(it):
    row = copy.copy(it.some_row('transfer'))
    row.key = it.plan.id('nobody')
    it.change(row, transfer_id=row.key, xid='3')
    it.journal.rows.append(row)


def change_an_amount(it):
    row = it.some_row('transfer')
    it.change(row, amount=row.values['amount'] + 1)


def change_a_balance(it):
    row = it.some_row('deposit')
    it.change(row, to_balance=row.values['to_balance'] + 1)


def change_an_account(it):
    account = it.journal.accounts[it.some_row('transfer').values['from_account']]
    account['balance'] += 1


def date_an_entry_back(it):
    it.some_row('transfer').dated -= SECOND_US


def date_a_closing_back(it):
    """At its account's last entry, not after it."""
    row = it.some_row('inactivated')
    (account, version), = row.entries
    row.dated = next(other.dated for other in it.journal.rows
                     if (account, version - 1) in other.entries)


def answer_another_balance(it):
    call = it.some_posting(lambda call: call.transaction.single)
    call.rows[0]['from_balance'] += 1


def answer_later_than_it_was(it):
    """A transaction that began only after others had seen what it did."""
    call = it.some_posting(lambda call: call.transaction.single)
    transaction = call.transaction
    for name in ('began', 'committing', 'ended'):
        setattr(transaction, name, getattr(transaction, name) + SECOND_US)


def answer_before_it_was(it):
    call = it.some_posting(lambda call: call.transaction.single)
    call.transaction.ended = call.transaction.committing = call.called - SECOND_US


def read_an_old_version(it):
    """A balance from before what had long been answered."""
    call = it.some_call(lambda call: call.operation == 'ledger_balance' and call.worked
                        and call.transaction.single and call.rows[0]['version'] > 6)
    call.called += 2 * SECOND_US
    call.returned += 2 * SECOND_US


def read_another_balance(it):
    call = it.some_call(lambda call: call.operation == 'ledger_balance' and call.worked)
    call.rows[0]['balance'] += 1


def commit_what_was_rolled_back(it):
    call = it.some_posting(lambda call: call.transaction.outcome == ROLLED_BACK
                           and not call.undone)
    call.transaction.outcome = COMMITTED


def roll_back_what_was_committed(it):
    call = it.some_posting(lambda call: call.transaction.single)
    call.transaction.outcome = ROLLED_BACK


def take_a_snapshot_long_before(it):
    """Then others had changed since what the transaction wrote over."""
    call = it.some_posting(lambda call: call.transaction.outcome == COMMITTED
                           and call.transaction.isolation == REPEATABLE_READ
                           and call is call.transaction.steps[0])
    for name in ('called', 'returned'):
        setattr(call, name, getattr(call, name) - SECOND_US)


def undo_half_a_transaction(it):
    call = it.some_posting(lambda call: call.transaction.outcome == COMMITTED
                           and not call.transaction.single and not call.undone)
    call.undone = True


def lose_a_holds_end(it):
    it.journal.rows.remove(it.some_row('hold_voided'))


def change_a_hold(it):
    hold = next(hold for hold in it.journal.holds if hold['state'] == 'voided')
    hold['state'] = 'pending'


def end_a_hold_late(it):
    """Voided when it had expired."""
    row = it.some_row('hold_voided')
    created = next(other for other in it.journal.rows
                   if other.kind == 'hold_created' and other.key == row.key)
    it.change(created, due_at=row.values['occurred_at'])


def answer_another_held(it):
    call = it.some_call(lambda call: call.operation == 'void_hold' and call.worked)
    call.rows[0]['held'] += 1


def reverse_another(it):
    row = it.some_row('reversal')
    other = it.some_row('deposit')
    it.change(row, reverses=other.key)


def answer_a_batch(was, becomes):
    """An item's result is another than it was, in a batch that is surely the
    author of its rows."""
    def spoil(it):
        posted = {row.key for row in it.journal.rows if row.table == 'transfer'}

        def fits(row):
            return row['result'] == was and (was == 'ok') == (row['transfer_id'] in posted)
        call = it.some_call(lambda call: call.operation == 'transfer_batch'
                            and call.transaction.single and call.transaction.group
                            and any(map(fits, call.rows)))
        next(filter(fits, call.rows))['result'] = becomes
    spoil.__name__ = f'answer_a_batch_{becomes}_for_{was}'
    return spoil


def ignore_a_limit(it):
    """As if the limit had been lower."""
    row = next(row for row in it.journal.rows
               if row.kind == 'limit_set' and row.values['amount'] == 100_000)
    it.change(row, amount=1)


def refuse(operation, was, becomes):
    """Refusals that nothing was a reason for; by chance one of them may be
    right, so all such calls are changed."""
    def spoil(it):
        calls = [call for call in it.history.calls() if call.operation == operation
                 and call.state == was and call.transaction.single]
        if not calls:
            raise TooShort
        for call in calls:
            call.state = becomes
    spoil.__name__ = f'refuse_{operation}_with_{becomes}'
    return spoil


def refuse_a_closing_as_busy(it):
    """Nobody was there."""
    call = it.some_call(lambda call: call.operation == 'inactivate_account'
                        and call.state == 'LG010')
    call.state = 'LG009'
    for other in it.history.calls():
        if other.transaction is not call.transaction:
            other.touches = other.touches - call.touches


WAYS = [
    lose_a_row, lose_the_last_row, add_a_row_of_nobody, change_an_amount, change_a_balance,
    change_an_account, date_an_entry_back, date_a_closing_back, answer_another_balance,
    answer_later_than_it_was, answer_before_it_was, read_an_old_version, read_another_balance,
    commit_what_was_rolled_back, roll_back_what_was_committed, undo_half_a_transaction,
    take_a_snapshot_long_before,
    lose_a_holds_end, change_a_hold, end_a_hold_late, answer_another_held, reverse_another,
    answer_a_batch('LG005', 'ok'), answer_a_batch('22023', 'LG005'),
    answer_a_batch('ok', 'LG005'), ignore_a_limit,
    refuse('transfer', 'LG004', 'LG005'), refuse('transfer', 'LG006', 'LG004'),
    refuse('deposit', 'LG004', 'LG008'), refuse('transfer', 'LG005', '40001'),
    refuse('transfer', 'LG012', 'LG006'), refuse('hold', 'LG005', 'LG006'),
    refuse('post_hold', 'LG015', 'LG016'), refuse('void_hold', 'LG016', 'LG015'),
    refuse('reverse', 'LG017', 'LG016'), refuse('reverse', 'LG016', 'LG017'),
    refuse('inactivate_account', 'LG010', 'LG004'), refuse_a_closing_as_busy,
]


def is_found(spoil, truth):
    """False also where the run has nothing that could be spoiled so."""
    spoiled = Spoiled(*truth)
    try:
        spoil(spoiled)
    except (TooShort, StopIteration, IndexError):
        return False
    return bool(spoiled.complaints())


@pytest.mark.parametrize('spoil', WAYS, ids=lambda spoil: spoil.__name__)
def test_what_is_wrong_is_found(spoil):
    """A spoiled answer can be right by chance, but not in every run."""
    assert any(is_found(spoil, true_run(number)) for number in range(TRUTHS)), spoil.__doc__


def test_what_looks_back_is_held_against_the_model(truth):
    run, journal = truth
    replay = Replay(journal, Order(groups_of(journal, run.history, []), run.history, []), [])
    found = []
    Readers(run.reader(), replay, found)
    assert found == []
    for states in replay.states.values():
        for state in states.values():
            state.balance += state.version
    Readers(run.reader(), replay, found)
    assert {complaint.split()[1] for complaint in found} == {'balance_at', 'the'}
