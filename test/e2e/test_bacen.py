"""BACEN away, busy, forgetful, slow or refusing: told once all the same."""
import signal
import time
from datetime import datetime, timedelta

import pytest

import checker
from faults import counted
from stack import eventually, kill

REFUSING = {'status': 503, 'times': 0}
PLACES = 64             # bacen.parallel: first attempts at the same time


@pytest.fixture(name='pair')
def pair_with_money(stack):
    return stack.customer('BRL', 'BRL', money=100000)[1:]


@pytest.fixture(autouse=True)
def nothing_is_left(stack):
    """What one test leaves due would be sent by the retry of the next."""
    yield
    stack.bacen_answers()
    eventually(stack.is_told, 'BACEN knows everything')
    found = checker.check_notifications(
        checker.Journal(stack.ledger),
        stack.ledger.rows('SELECT * FROM bank_report.notification'), stack.bacen.log())
    assert not found, checker.shortened(found)


def moved(stack, pair, amount=1050):
    return stack.transfer(*pair, amount)['transfer_id']


def tried_once(stack, transfer):
    """The notification once the first attempt has failed for now."""
    row = stack.notified(transfer, 'pending')
    assert row['attempts'] == 1 and row['next_attempt_at'] > row['first_attempt_at']
    return row


def delivered_by_retry(stack, transfer):
    def told():
        stack.retry()
        return stack.notification(transfer)['state'] == 'delivered'
    eventually(told, f'{transfer} delivered')
    return stack.notification(transfer)


def attempts(heard):
    return [entry['headers']['x-attempt'] for entry in heard]


def time_of(entry):
    return datetime.fromisoformat(entry['at'].replace('Z', '+00:00'))


def test_outage_delays_no_transfer_and_loses_none(stack, pair):
    stack.bacen_answers(REFUSING)
    with counted(stack, 'report_stored_total', 'report_sent_total', 'report_deferred_total'):
        transfers = [moved(stack, pair) for _ in range(20)]
        rows = [stack.notified(transfer, 'pending') for transfer in transfers]
    # Not tried are those for which no connection was free.
    assert {(row['attempts'], row['last_status']) for row in rows} <= {(1, 503), (0, None)}
    assert any(row['attempts'] for row in rows)
    stack.bacen_answers()
    for transfer, before in zip(transfers, rows):
        assert delivered_by_retry(stack, transfer)['attempts'] > before['attempts']
        heard = stack.heard(transfer)
        assert [entry['accepted'] for entry in heard] == [False] * (len(heard) - 1) + [True]
        assert attempts(heard) == [str(n + 1) for n in range(len(heard))]


def circuit(stack):
    return stack.ledger.row('SELECT * FROM bank_report.circuit')['state']


def test_circuit_is_shared(stack, pair):
    """Open by first attempts, it keeps others from being made; the first one
    after its pause is the probe."""
    stack.bacen_answers(REFUSING)
    for _ in range(10):
        stack.notified(moved(stack, pair), 'pending')
    assert circuit(stack) == 'open'
    stack.ledger.rows("UPDATE bank_report.gate SET opened_until = now() + interval '9 s'")
    kept = moved(stack, pair)
    row = stack.notified(kept, 'pending')
    assert (row['attempts'], row['first_attempt_at']) == (0, None)
    assert row['next_attempt_at'] <= stack.ledger.row('SELECT now() AS now')['now']
    assert stack.heard(kept) == []
    stack.bacen_answers()
    stack.ledger.rows('UPDATE bank_report.gate SET opened_until = now()')
    assert stack.notified(moved(stack, pair), 'delivered')['attempts'] == 1
    assert circuit(stack) == 'closed'
    assert delivered_by_retry(stack, kept)['attempts'] == 1


def test_retry_after_is_obeyed(stack, pair):
    stack.bacen_answers({'status': 429, 'headers': {'Retry-After': '3'}, 'times': 1})
    transfer = moved(stack, pair)
    row = tried_once(stack, transfer)
    assert row['last_status'] == 429
    wait = timedelta(seconds=3)
    assert row['next_attempt_at'] - row['first_attempt_at'] >= wait
    assert delivered_by_retry(stack, transfer)['attempts'] == 2
    first, second = stack.heard(transfer)
    assert time_of(second) - time_of(first) >= wait


@pytest.mark.parametrize('answer, status', [
    ({'drop': True}, None), ({'status': 500}, 500)])
def test_accepted_without_saying_so_is_accepted_once(stack, pair, answer, status):
    stack.bacen_answers({**answer, 'accept': True, 'times': 1})
    transfer = moved(stack, pair)
    assert tried_once(stack, transfer)['last_status'] == status
    assert delivered_by_retry(stack, transfer)['last_status'] == 409
    heard = stack.heard(transfer)
    assert [entry['accepted'] for entry in heard] == [True, False]
    assert len({entry['body'] for entry in heard}) == 1, 'the same request again'


def test_refused_for_good_is_dead_until_requeued(stack, pair):
    stack.bacen_answers({'status': 422, 'body': '{"erro": "conta"}', 'times': 1})
    with counted(stack, 'report_refused_total', 'report_given_up'):
        transfer = moved(stack, pair)
        row = stack.notified(transfer, 'dead')
    assert (row['last_status'], row['next_attempt_at']) == (422, None)
    assert 'conta' in row['last_error']
    stack.retry()
    assert len(stack.heard(transfer)) == 1, 'dead is not sent again'
    assert stack.ledger.row('SELECT bank_report.requeue(%s) AS done', transfer)['done']
    assert delivered_by_retry(stack, transfer)['attempts'] == 2
    assert attempts(stack.heard(transfer)) == ['1', '2']
    eventually(lambda: stack.metric('report_given_up') == 0, 'none is given up')


def test_slow_bacen_slows_nothing(stack, pair):
    """Far more transfers than slow answers would let through one by one."""
    stack.bacen_answers({'delay_ms': 3000, 'times': 0})
    transfers = [moved(stack, pair) for _ in range(60)]
    eventually(lambda: all(map(stack.notification, transfers)), 'all are stored', seconds=20)
    assert len([t for t in transfers if stack.notification(t)['state'] == 'delivered']) < 60
    stack.bacen_answers()


def test_hanging_bacen_slows_nothing(stack, pair):
    """It takes connections and never answers: every transfer is stored, and all
    are told when it goes on.  By turns with a BACEN that answers, so that the
    machine is as busy for both, no transfer takes longer."""
    bacen = stack.part('bacen')
    times = {signal.SIGCONT: [], signal.SIGSTOP: []}
    try:
        for state in list(times) * 10:
            kill(bacen, state)
            for _ in range(20):
                began = time.monotonic()
                moved(stack, pair, 1)
                times[state].append(time.monotonic() - began)
        eventually(lambda: stack.ledger.row(
            'SELECT count(*) = 0 AS none FROM bank_ledger.transfer AS t LEFT JOIN'
            ' bank_report.notification AS n USING (transfer_id)'
            " WHERE t.kind = 'transfer' AND n.transfer_id IS NULL")['none'],
            'all are stored', seconds=20)
        median = {state: sorted(kept)[len(kept) // 2] for state, kept in times.items()}
        assert median[signal.SIGSTOP] < 2 * median[signal.SIGCONT] + 0.005, median
    finally:
        kill(bacen, signal.SIGCONT)


def test_hanging_bacen_fills_all_places(stack, pair):
    """With as many attempts under way as there may be, storing goes on."""
    bacen = stack.part('bacen')
    kill(bacen, signal.SIGSTOP)
    try:
        keys = [row['transfer_id'] for row in stack.ledger.rows(
            'SELECT transfer_id FROM bank.transfer_batch(array_fill(%s::uuid, ARRAY[500]), '
            'array_fill(%s::uuid, ARRAY[500]), array_fill(1::bigint, ARRAY[500]))', *pair)]
        attempts = ('SELECT count(*) AS stored, count(*) FILTER (WHERE attempts = 0) AS untried '
                    'FROM bank_report.notification WHERE transfer_id = ANY (%s::uuid[])')
        eventually(lambda: stack.ledger.row(attempts, keys)['stored'] == len(keys),
                   'all are stored', seconds=20)
        assert stack.ledger.row(attempts, keys)['untried'] >= len(keys) - PLACES
        eventually(lambda: stack.metric('report_sending') >= 1, 'some are under way')
    finally:
        kill(bacen, signal.SIGCONT)


def test_report_holds_nothing_while_it_waits(stack, pair):
    """Neither a row lock nor a snapshot: others may change its rows."""
    stack.bacen_answers({'delay_ms': 3000, 'times': 20})
    transfers = [moved(stack, pair) for _ in range(20)]
    for transfer in transfers:
        stack.notified(transfer, 'sending')
    eventually(lambda: all(map(stack.heard, transfers)), 'all are under way')
    session = stack.ledger.row(
        'SELECT pid, state, backend_xid, backend_xmin FROM pg_stat_activity '
        "WHERE application_name = 'bank-bridge report'")
    locks = stack.ledger.rows('SELECT locktype FROM pg_locks WHERE pid = %s', session['pid'])
    stack.ledger.rows('SELECT 1 FROM bank_report.notification FOR UPDATE NOWAIT')
    assert {stack.notification(transfer)['state'] for transfer in transfers} == {'sending'}
    assert (session['state'], session['backend_xid'], session['backend_xmin']) == \
        ('idle', None, None)
    assert locks == []


def test_two_retries_at_once_send_once(stack, pair):
    stack.bacen_answers(REFUSING)
    transfers = [moved(stack, pair) for _ in range(10)]
    for transfer in transfers:
        stack.notified(transfer, 'pending')
    told = {transfer: len(stack.heard(transfer)) for transfer in transfers}
    stack.bacen_answers({'delay_ms': 500, 'times': 0})
    stack.ledger.rows('UPDATE bank_report.gate SET opened_until = NULL, failures = 0')
    stack.ledger.rows('UPDATE bank_report.notification SET next_attempt_at = now() '
                      "WHERE state = 'pending'")
    first, second = (stack.session(PGUSER='bank_report') for _ in range(2))
    calls = [stack.in_thread(session.rows, 'CALL bank_report.retry()')
             for session in (first, second)]
    for call in calls:
        call.result(60)
    for transfer in transfers:
        assert len(stack.heard(transfer)) == told[transfer] + 1
