"""bank.verify() while others write: one snapshot, no wait, no false alarm."""
import collections
import re
import threading
import time
import uuid

import pytest

from conftest import DEADLINE, Session, wait_until

CREATE = 'SELECT bank.create_account(%s, %s, %s)'
PAUSE = 0.02        # of a writer between its calls: load, not flood
POST = '''SELECT bank.transfer_batch(array_agg(p.account_id), array_agg(q.account_id),
                                     array_agg(1::bigint))
          FROM generate_series(1, 20) AS n
          CROSS JOIN LATERAL (SELECT account_id FROM unnest(%(all)s::uuid[]) AS a (account_id)
                              WHERE n > 0 ORDER BY random() LIMIT 1) AS p
          CROSS JOIN LATERAL (SELECT account_id FROM unnest(%(all)s::uuid[]) AS a (account_id)
                              WHERE account_id <> p.account_id ORDER BY random() LIMIT 1) AS q'''
HOLD = '''SELECT bank.void_hold((bank.hold(%s, %s, 1, now() + interval '1 h')).hold_id)'''


@pytest.fixture
def accounts(operator):
    """Eight accounts of one customer, each with money."""
    operator.rows('SET client_min_messages = warning')
    customer, made = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(8)]
    for account in made:
        operator.rows(CREATE, customer, 'BRL', account)
        operator.rows('SELECT bank.deposit(%s, 100000)', account)
    return made


class Writers:
    """Sessions that post until they are told to stop."""

    def __init__(self, *works):
        self.going, self.done, self.failures = True, [0] * len(works), []
        self.threads = [threading.Thread(target=self.write, args=(number, work))
                        for number, work in enumerate(works)]

    def write(self, number, work):
        session = Session()
        try:
            while self.going:
                work(session)
                self.done[number] += 1
                time.sleep(PAUSE)
        except Exception as failure:  # pylint: disable=broad-except
            self.failures.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        for thread in self.threads:
            thread.join(DEADLINE)


def test_it_is_sound_while_others_write(operator, session, accounts):
    def post(writer):
        with writer.connection.cursor() as cursor:
            cursor.execute(POST, {'all': accounts})

    def hold(writer):
        writer.rows(HOLD, *accounts[:2])

    def seal(writer):
        writer.rows('SELECT bank_ledger.seal_next()')

    session.rows('SET default_transaction_read_only = on')
    found = []
    with Writers(post, post, hold, seal) as writers:
        wait_until(lambda: writers.failures or all(n > 2 for n in writers.done),
                   'all of them write')
        before = list(writers.done)
        for _ in range(5):
            found += session.rows('SELECT * FROM bank.verify()')
            found += session.rows('SELECT * FROM bank.verify(%s)', accounts[0])
            found += session.rows("SELECT * FROM bank.verify(since => now() - interval '1 s')")
        after = list(writers.done)
    assert found == [] and writers.failures == []
    assert all(b > a for a, b in zip(before, after)), 'nobody waited for the verification'
    assert operator.rows('SELECT * FROM bank.verify()') == []


def test_it_can_be_cancelled(operator, session, accounts):
    """A lock on a table it needs keeps it waiting, and it still answers."""
    operator.rows('BEGIN')
    operator.rows('LOCK TABLE bank_ledger.transfer IN ACCESS EXCLUSIVE MODE')
    session.rows("SET statement_timeout = '50ms'")
    assert session.failure('SELECT bank.verify(%s)', accounts[0])[0] == '57014'
    operator.rows('ROLLBACK')


@pytest.mark.parametrize('arguments, checked', [
    ('', 'invariants 1, 2, 3, 4, 5, 6, 7, 8'),
    ("'{account}'", 'invariants 2, 3, 4, 5, 7, and in part 1, 6, 8'),
    ("since => now() - interval '1 h'", 'invariants 2, 4, 5, 7, and in part 1, 3, 6, 8'),
    ("since => '-infinity'", 'invariants 2, 4, 5, 7, and in part 1, 3, 6, 8'),
    ('until => now()', 'invariants 2, 4, 5, 7, and in part 1, 3, 6, 8'),
    ("'{account}', now() - interval '1 h'", 'invariants 2, 4, 5, 7, and in part 1, 3, 6, 8')])
def test_the_last_notice_names_what_was_checked(session, accounts, arguments, checked):
    session.rows(f'SELECT * FROM bank.verify({arguments.format(account=accounts[0])})')
    assert session.connection.notices[-1].rstrip().endswith(', ' + checked)


def told(session, arguments):
    """What a verification said it had come through, each with its last number."""
    session.connection.notices = collections.deque()
    assert session.rows(f'SELECT * FROM bank.verify({arguments})') == []
    return {what: int(number) for number, what in re.findall(
        r'verified (\d+) (.*?) so far', ''.join(session.connection.notices))}


def test_every_part_says_how_far_it_is(operator, session, accounts):
    """So that a long one is never silent for long, whatever it is at."""
    hold, key = str(uuid.uuid4()), str(uuid.uuid4())
    operator.rows("SELECT bank.hold(%s, %s, 5, 'infinity', %s)", *accounts[:2], hold)
    operator.rows('SELECT bank.post_hold(%s)', hold)
    operator.rows('SELECT bank.transfer(%s, %s, 5, %s)', *accounts[:2], key)
    operator.rows('SELECT bank.reverse(%s)', key)
    operator.rows('SELECT bank.inactivate_customer(%s)', str(uuid.uuid4()))
    newest = operator.value('SELECT coalesce(max(number), 0) FROM bank_ledger.seal')
    wait_until(lambda: operator.rows('SELECT bank_ledger.seal_next()') and operator.value(
        'SELECT max(number) FROM bank_ledger.seal') > newest + 1, 'what was posted is sealed')
    assert told(session, '') == {}, 'a short one says nothing'
    with operator.setting(session, progress_interval='0'):
        whole, part = told(session, ''), told(session, "since => '-infinity'")
        of_one = told(session, f"'{accounts[0]}'")
        of_seal = told(session, 'seal => bank.seal()')
    rows = dict(session.rows("""
        SELECT 'balances', count(*) FROM bank_ledger.account
        UNION ALL SELECT 'acts', count(*) FROM bank_ledger.operator_act
        UNION ALL SELECT 'reversals', count(*) FROM bank_ledger.transfer WHERE reverses IS NOT NULL
        UNION ALL SELECT 'sealed rows', sum(entries) FROM bank_ledger.seal
        UNION ALL SELECT 'holds', count(*) FROM bank_ledger.hold
        UNION ALL SELECT 'transfers by their holds', count(*) FROM bank_ledger.transfer"""))
    assert {what: whole.get(what) for what in rows} == rows
    assert {'accounts', 'holders of accounts', 'events', 'held amounts',
            'accounts by their entries'} <= set(whole)
    assert whole['transfers'] > 0 and whole['accounts'] >= len(accounts)
    assert part['entries out of order'] > 0 and of_one['transfers of the account'] > 0
    assert of_seal['sealed rows'] > 0
