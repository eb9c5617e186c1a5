"""The retry: what it holds while it waits, what a cancel leaves, and that no
attempt is sent twice."""
import collections
import os

import pytest

from conftest import Session, in_background, resident, time_of_cancel, wait_until

RETRY = 'CALL bank_report.retry()'
LOOPS = int(os.environ.get('BANK_LOOPS', '300'))


@pytest.fixture
def reporter():
    return Session(user='bank_report')


@pytest.fixture
def due(operator):
    """Makes notifications that are due; none is left afterwards."""
    def make(count):
        operator.rows('DELETE FROM bank_report.notification')
        operator.rows(
            "INSERT INTO bank_report.notification (transfer_id, customer_id, from_account,"
            " to_account, amount, currency, completed_at, state, next_attempt_at)"
            " SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),"
            " 1050, 'BRL', now(), 'pending', now() - interval '1 second'"
            " FROM generate_series(1, %s)", count)
    yield make
    operator.rows('DELETE FROM bank_report.notification')


def states(operator):
    return dict(operator.rows('SELECT state, count(*) FROM bank_report.notification GROUP BY 1'))


def make_due(operator):
    operator.rows("UPDATE bank_report.notification"
                  " SET next_attempt_at = now() - interval '1 second'"
                  " WHERE state IN ('pending', 'sending')")


def attempts(bacen):
    return collections.Counter((entry['headers']['idempotency-key'], entry['headers']['x-attempt'])
                               for entry in bacen.log())


def test_holds_nothing_while_it_waits(operator, reporter, bacen, due):
    due(40)
    bacen.answer({'path': '/notificacoes', 'delay_ms': 1500, 'times': 16})
    thread, result = in_background(lambda: reporter.failure(RETRY))
    wait_until(lambda: len(bacen.log()) == 16, 'sixteen are under way')
    held = operator.rows("SELECT locktype FROM pg_locks WHERE pid = %s ORDER BY 1", reporter.pid)
    snapshot = operator.rows('SELECT backend_xmin, backend_xid FROM pg_stat_activity'
                             ' WHERE pid = %s', reporter.pid)
    other = Session(user='bank_report')
    assert other.failure(RETRY) is None and other.connection.notices[-1].startswith('NOTICE')
    thread.join()
    assert result == [None]
    assert held == [('advisory',), ('virtualxid',)]
    assert snapshot == [(None, None)]
    assert states(operator) == {'delivered': 40}
    assert set(attempts(bacen).values()) == {1} and len(attempts(bacen)) == 40


def test_cancel(operator, reporter, bacen, due):
    due(40)
    bacen.answer({'path': '/notificacoes', 'delay_ms': 20000, 'times': 16})
    assert time_of_cancel(operator, reporter, RETRY, lambda: len(bacen.log()) == 16) < 0.2
    assert states(operator) == {'pending': 24, 'sending': 16}
    assert operator.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    reporter.rows(RETRY)
    assert states(operator) == {'delivered': 24, 'sending': 16}, 'their lease has not ended'
    make_due(operator)
    reporter.rows(RETRY)
    assert states(operator) == {'delivered': 40}
    assert set(attempts(bacen).values()) == {1}
    accepted = collections.Counter(entry['headers']['idempotency-key']
                                   for entry in bacen.log() if entry['accepted'])
    assert len(accepted) == 40 and set(accepted.values()) == {1}


def test_terminate(operator, reporter, bacen, due):
    due(1)
    bacen.answer({'path': '/notificacoes', 'delay_ms': 20000, 'times': 1})
    thread, _ = in_background(lambda: reporter.failure(RETRY))
    wait_until(lambda: len(bacen.log()) == 1, 'it is under way')
    operator.rows('SELECT pg_terminate_backend(%s)', reporter.pid)
    thread.join()
    wait_until(lambda: operator.value(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0, 'the lock is gone')
    assert states(operator) == {'sending': 1}


def test_interrupted_again_and_again(operator, reporter, bacen, due):
    """No file, no memory and no lock is left, however often."""
    bacen.answer({'path': '/notificacoes', 'delay_ms': 1000, 'times': 0})
    due(1)
    reporter.rows("SET statement_timeout = '5ms'")
    seen = []
    for number in range(LOOPS):
        operator.rows('UPDATE bank_report.notification SET state = \'pending\','
                      ' next_attempt_at = now()')
        operator.rows('UPDATE bank_report.gate SET failures = 0, opened_until = NULL')
        assert reporter.failure(RETRY)[0] == '57014'
        if number in (LOOPS // 10, LOOPS - 1):
            seen.append((reporter.sockets(), resident(reporter)))
    (sockets, memory), (sockets_after, memory_after) = seen
    assert len(bacen.log()) > LOOPS // 2, 'most were under way'
    assert sockets_after <= sockets and memory_after < memory + 4 * 1024 * 1024, seen
    assert operator.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


def test_reload_gives_up_nothing(operator, reporter, bacen, due):
    due(1)
    bacen.answer({'path': '/notificacoes', 'delay_ms': 500, 'times': 1})
    thread, result = in_background(lambda: reporter.failure(RETRY))
    wait_until(lambda: len(bacen.log()) == 1, 'it is under way')
    operator.rows('SELECT pg_reload_conf()')
    thread.join()
    assert result == [None] and states(operator) == {'delivered': 1}


def test_late_result_changes_nothing(operator, reporter, bacen, due):
    due(1)
    bacen.answer({'path': '/notificacoes', 'delay_ms': 500, 'times': 1})
    thread, result = in_background(lambda: reporter.failure(RETRY))
    wait_until(lambda: len(bacen.log()) == 1, 'it is under way')
    operator.rows('UPDATE bank_report.notification SET attempts = attempts + 1')
    thread.join()
    assert result == [None] and states(operator) == {'sending': 1}


def test_slow_answer_is_tried_again(operator, reporter, bacen, due):
    due(1)
    bacen.answer({'path': '/notificacoes', 'delay_ms': 5000, 'times': 1})
    with operator.setting(operator, bacen_timeout='200ms'):
        wait_until(lambda: operator.value('SHOW bank.bacen_timeout') == '200ms', 'it is set')
        reporter.rows(RETRY)
    assert states(operator) == {'pending': 1}
    make_due(operator)
    reporter.rows(RETRY)
    assert states(operator) == {'delivered': 1}


def test_unknown_currency_is_dead(operator, reporter, bacen, due):
    due(1)
    operator.rows("UPDATE bank_report.notification SET currency = 'XXQ'")
    reporter.rows(RETRY)
    assert states(operator) == {'dead': 1} and bacen.log() == []


def test_no_address(operator, reporter, due):
    due(1)
    with operator.setting(operator, bacen_url=''):
        assert reporter.failure(RETRY)[0] == 'F0000'
    assert states(operator) == {'pending': 1}


def test_of_two_at_once_one_sends(operator, bacen, due):
    due(200)
    sessions = [Session(user='bank_report') for _ in range(4)]
    running = [in_background(lambda s=s: s.failure(RETRY)) for s in sessions]
    for thread, _ in running:
        thread.join()
    assert [result for _, result in running] == [[None]] * 4
    assert states(operator) == {'delivered': 200}
    assert set(attempts(bacen).values()) == {1} and len(attempts(bacen)) == 200
