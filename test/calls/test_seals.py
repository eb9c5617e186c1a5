"""Seals: made when nothing can come late, the tree an auditor would make, and
what only they can find."""
import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import DEADLINE, Session, wait_until

CREATE = 'SELECT bank.create_account(%s, %s, %s)'
TRANSFER = 'SELECT transfer_id FROM bank.transfer(%s, %s, 1)'
DIGESTS = 'SELECT digests FROM bank_ledger.leaf WHERE period BETWEEN %s AND %s'


@pytest.fixture
def pair(operator):
    """Two accounts of one customer, the first with money."""
    operator.rows('SET client_min_messages = warning')
    customer, payer, payee = (str(uuid.uuid4()) for _ in range(3))
    operator.rows(CREATE, customer, 'BRL', payer)
    operator.rows(CREATE, customer, 'BRL', payee)
    operator.rows('SELECT bank.deposit(%s, 100)', payer)
    return payer, payee


def newest(session):
    return session.value('SELECT coalesce(max(number), 0) FROM bank_ledger.seal')


def step(session, times=4):
    for _ in range(times):
        session.rows('SELECT bank_ledger.seal_next()')


def seal_past(session, number):
    """Takes steps until a period is sealed: any transaction may hold it back a while."""
    def is_sealed():
        step(session, 1)
        return newest(session) >= number
    wait_until(is_sealed, f'period {number} is sealed')


def period_of(session, transfer_id):
    return session.value('SELECT period FROM bank_ledger.transfer WHERE transfer_id = %s',
                         transfer_id)


def sha256(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def merkle(leaves):
    if len(leaves) <= 1:
        return sha256(b'\0', leaves[0]) if leaves else sha256()
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    return sha256(b'\1', merkle(leaves[:left]), merkle(leaves[left:]))


def test_a_seal_waits_for_every_posting_of_its_period(operator, session, pair):
    session.rows('BEGIN')
    transfer_id = session.value(TRANSFER, *pair)
    period = period_of(session, transfer_id)
    step(operator, 6)
    assert newest(operator) < period, 'sealed before its last row was committed'
    session.rows('COMMIT')
    seal_past(operator, period)
    digests = operator.value(
        'SELECT from_digest || to_digest FROM bank_ledger.transfer WHERE transfer_id = %s',
        transfer_id).tobytes()
    leaves = sorted(row[0].tobytes() for row in operator.rows(DIGESTS, period, period))
    assert digests in leaves
    entries, root = operator.rows(
        'SELECT entries, root FROM bank_ledger.seal WHERE number = %s', period)[0]
    assert (entries, root.tobytes()) == (len(leaves), merkle(leaves))


def test_a_transaction_that_has_not_posted_holds_no_seal_back_for_ever(operator, session, pair):
    """Such a one gets its id late, and posts in the period open then."""
    session.rows('BEGIN')
    session.rows('SELECT count(*) FROM bank_ledger.account')
    number = newest(operator)
    seal_past(operator, number + 2)
    transfer_id = session.value(TRANSFER, *pair)
    session.rows('COMMIT')
    assert period_of(operator, transfer_id) > number + 2


@pytest.mark.parametrize('level', ['READ COMMITTED', 'REPEATABLE READ'])
def test_a_seal_covers_an_act_that_is_committed_late(operator, session, level):
    customer = str(uuid.uuid4())
    session.rows(f'BEGIN ISOLATION LEVEL {level}')
    session.rows('SELECT count(*) FROM bank_ledger.sealing')
    seal_past(operator, newest(operator) + 2)
    session.rows('SELECT bank.inactivate_customer(%s)', customer)
    period = session.value('SELECT period FROM bank_ledger.operator_act WHERE customer_id = %s',
                           customer)
    step(operator, 6)
    assert newest(operator) < period, 'sealed before its last row was committed'
    session.rows('COMMIT')
    seal_past(operator, period)
    seal = operator.value('SELECT root FROM bank_ledger.seal WHERE number = %s', period)
    leaves = sorted(row[0].tobytes() for row in operator.rows(DIGESTS, period, period))
    assert seal.tobytes() == merkle(leaves)
    assert operator.rows("SELECT * FROM bank.verify() WHERE subject LIKE 'seal%%'") == []


def test_a_backend_that_waited_posts_in_the_period_open_then(operator, session, pair):
    """It keeps the open period between calls, and gets its id after the barrier."""
    def sealing(column):
        return operator.value(f'SELECT {column} FROM bank_ledger.sealing')

    def advanced(column, before):
        step(operator, 1)
        return sealing(column) != before

    wait_until(lambda: advanced('barrier', None), 'the period before can be sealed')
    before = period_of(session, session.value(TRANSFER, *pair))
    other = Session()
    other.rows('BEGIN')
    other.rows('SELECT 1 FROM bank_ledger.account WHERE account_id IN (%s, %s) FOR UPDATE', *pair)
    with ThreadPoolExecutor() as pool:
        posted = pool.submit(session.value, TRANSFER, *pair)
        wait_until(lambda: operator.value('SELECT wait_event_type FROM pg_stat_activity '
                                          'WHERE pid = %s', session.pid) == 'Lock',
                   'the transfer waits for the lock')
        wait_until(lambda: advanced('period', before), 'the next period is open')
        other.rows('COMMIT')
        assert period_of(operator, posted.result(DEADLINE)) == before + 1


def test_of_two_at_once_one_takes_a_step(operator, session):
    """The other neither waits nor comes between a period's opening and its barrier."""
    state = 'SELECT period, barrier FROM bank_ledger.sealing'
    session.rows('BEGIN')
    session.rows('SELECT bank_ledger.seal_next()')
    before = operator.rows(state)
    operator.rows(f"SET statement_timeout = '{DEADLINE}s'")
    operator.rows('SELECT bank_ledger.seal_next()')
    assert operator.rows(state) == before
    session.rows('COMMIT')


def test_an_id_older_than_the_opening_is_no_barrier(operator, session, pair):
    """Whoever gets his id between it and the opening posts in the period before."""
    opener, late = Session(), Session()
    wait_until(lambda: step(operator, 1) or operator.value(
        'SELECT barrier IS NOT NULL FROM bank_ledger.sealing'), 'the period before can be sealed')
    opener.rows('BEGIN')
    wait_until(lambda: opener.rows('SELECT bank_ledger.seal_next()') and opener.value(
        'SELECT barrier IS NULL FROM bank_ledger.sealing'), 'the next period is open')
    late.rows('BEGIN')
    late.rows('SELECT pg_current_xact_id()')
    session.rows('BEGIN')
    period = period_of(session, session.value(TRANSFER, *pair))
    opener.rows('COMMIT')
    late.rows('SELECT bank_ledger.seal_next()')
    late.rows('COMMIT')
    step(operator, 6)
    assert newest(operator) < period, 'sealed before its last row was committed'
    session.rows('COMMIT')
    seal_past(operator, period)
    assert operator.rows("SELECT * FROM bank.verify() WHERE subject LIKE 'seal%%'") == []


def test_an_epoch_that_begins_is_waited_for_by_no_seal(operator, session):
    """Neither waits for the other while an epoch of the same number is undecided."""
    session.rows('BEGIN')
    session.rows('INSERT INTO bank_ledger.epoch (number, system_identifier, timeline, at, period) '
                 'SELECT max(number) + 1, 0, 1, now(), 1 FROM bank_ledger.epoch')
    other = Session()
    other.rows('BEGIN')
    with ThreadPoolExecutor() as pool:
        begun = pool.submit(other.value, 'SELECT bank_ledger.begin_epoch(0)')
        wait_until(lambda: operator.value('SELECT wait_event_type FROM pg_stat_activity '
                                          'WHERE pid = %s', other.pid) == 'Lock',
                   'the epoch waits for the other')
        operator.rows(f"SET statement_timeout = '{DEADLINE}s'")
        operator.rows('SELECT bank_ledger.seal_next()')
        session.rows('ROLLBACK')
        assert begun.result(DEADLINE) > 1
    other.rows('ROLLBACK')


def test_seals_follow_from_each_other(operator, pair):
    operator.value(TRANSFER, *pair)
    seal_past(operator, newest(operator) + 2)
    seals = operator.rows('SELECT number, previous, root, '
                          '(extract(epoch FROM sealed_at) * 1000000)::bigint '
                          'FROM bank_ledger.seal ORDER BY number')
    chain = bytes(32)
    for place, (number, previous, root, microseconds) in enumerate(seals, 1):
        assert (number, previous.tobytes()) == (place, chain)
        chain = sha256(previous.tobytes(), root.tobytes(), microseconds.to_bytes(8, 'big'))


@pytest.mark.parametrize('size', [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33])
def test_the_tree_is_that_of_rfc_6962(session, size):
    leaves = [bytes([number]) * number for number in range(size)]
    root = session.value('SELECT bank_ledger.merkle(l ORDER BY n) '
                         'FROM unnest(%s::bytea[]) WITH ORDINALITY AS u (l, n)', leaves)
    assert root.tobytes() == merkle(leaves)


def test_seal_answers_for_a_range(operator, pair):
    period = period_of(operator, operator.value(TRANSFER, *pair))
    seal_past(operator, period)
    operator.value(TRANSFER, *pair)
    seal_past(operator, newest(operator) + 1)
    last = newest(operator)
    first_period, last_period, entries, root = operator.rows(
        'SELECT first_period, last_period, entries, root FROM bank.seal(%s)', period)[0]
    leaves = sorted(row[0].tobytes() for row in operator.rows(DIGESTS, period, last))
    assert (first_period, last_period, entries, root.tobytes()) == \
        (period, last, len(leaves), merkle(leaves))
    assert operator.value('SELECT s.root = r.root FROM bank_ledger.seal AS s, '
                          'bank.seal(%s, %s) AS r WHERE s.number = %s', period, period, period)
    assert operator.value('SELECT first_period FROM bank.seal()') == 1
    for bad in ((0, 1), (2, 1), (1, last + 1)):
        assert operator.failure('SELECT bank.seal(%s, %s)', *bad)[0] == '22023'


def cut_tail(operator, transfer_id, sealed):
    """Takes a transfer away with every trace of it that a database holds."""
    for table in ('transfer', 'seal'):
        operator.rows(f'ALTER TABLE bank_ledger.{table} DISABLE TRIGGER USER')
    operator.rows('DELETE FROM bank_ledger.transfer WHERE transfer_id = %s', transfer_id)
    operator.rows('DELETE FROM bank_ledger.account WHERE account_id IN '
                  '(SELECT account_id FROM saved)')
    operator.rows('INSERT INTO bank_ledger.account SELECT * FROM saved')
    operator.rows('DELETE FROM bank_ledger.seal WHERE number >= %s', sealed)
    operator.rows('UPDATE bank_ledger.sealing SET period = %s', sealed)
    operator.rows("SELECT bank_ledger.init('ledger', 'test')")


def test_only_a_seal_kept_elsewhere_finds_a_cut_off_tail(operator, pair):
    operator.rows('CREATE TEMPORARY TABLE saved AS SELECT * FROM bank_ledger.account '
                  'WHERE account_id = ANY (%s::uuid[])', list(pair))
    seal_past(operator, newest(operator) + 2)
    transfer_id = operator.value(TRANSFER, *pair)
    period = period_of(operator, transfer_id)
    seal_past(operator, period)
    kept = operator.value('SELECT s::text FROM bank.seal(%s, %s) AS s', period, period)
    verify = 'SELECT invariant, subject FROM bank.verify(seal => %s::bank.seal_row)'
    assert operator.rows(verify, kept) == []
    empty = f'({period},{period},,,,)'
    assert operator.rows(verify, empty) == [('2', f'seal {period} to {period}')]

    operator.rows('BEGIN')
    try:
        cut_tail(operator, transfer_id, period)
        assert operator.rows('SELECT * FROM bank.verify()') == []
        assert operator.rows(verify, kept) == [('2', f'seal {period} to {period}')] * 2
    finally:
        operator.rows('ROLLBACK')
    assert operator.rows(verify, kept) == []
