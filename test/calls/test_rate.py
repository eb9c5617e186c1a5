"""Rate and circuit towards BACEN, as the retry meets them: what opens and
closes them, and that nothing begins against them."""
import datetime
import time

import pytest

from conftest import Session, in_background, wait_until
from test_retry import RETRY, attempts, due, make_due, reporter, states  # noqa: F401

FAILURES = 5            # in a row, that open the circuit
PLACES = 16             # of one retry, under way at once


@pytest.fixture(autouse=True)
def gate(operator):
    """A gate that limits nothing, before and after."""
    def reset():
        operator.rows('UPDATE bank_report.gate SET tokens = 0, refilled_at = to_timestamp(0),'
                      ' failures = 0, openings = 0, opened_until = NULL, probing = false,'
                      ' slowdowns = 0, paused_until = NULL')
    reset()
    yield
    reset()


def circuit(operator):
    return operator.value('SELECT state FROM bank_report.circuit')


def reopen(operator):
    """Lets the circuit's pause be over."""
    operator.rows("UPDATE bank_report.gate SET opened_until = now() - interval '1 second'"
                  ' WHERE opened_until IS NOT NULL')


@pytest.mark.parametrize('answer', [{'status': 503}, {'drop': True}, {'status': 500}])
def test_failures_open_the_circuit(operator, reporter, bacen, due, answer):
    due(200)
    bacen.answer({'path': '/notificacoes', 'times': 0, **answer})
    reporter.rows(RETRY)
    sent = len(bacen.log())
    assert FAILURES <= sent < FAILURES + PLACES, 'no more than were under way'
    assert circuit(operator) == 'open'
    make_due(operator)
    reporter.rows(RETRY)
    assert len(bacen.log()) == sent, 'open: none is sent'
    assert states(operator) == {'pending': 200}


def test_one_probe_when_half_open(operator, reporter, bacen, due):
    due(50)
    bacen.answer({'path': '/notificacoes', 'status': 503, 'times': 0})
    reporter.rows(RETRY)
    sent = len(bacen.log())
    make_due(operator)
    reopen(operator)
    assert circuit(operator) == 'half open'
    reporter.rows(RETRY)
    assert len(bacen.log()) == sent + 1 and circuit(operator) == 'open'
    bacen.answer({'path': '/notificacoes', 'delay_ms': 700, 'times': 1})
    make_due(operator)
    reopen(operator)
    thread, result = in_background(lambda: reporter.failure(RETRY))
    wait_until(lambda: len(bacen.log()) == sent + 2, 'the probe is sent')
    time.sleep(0.2)
    assert len(bacen.log()) == sent + 2, 'and nothing beside it'
    assert operator.value('SELECT bank_report.admit(1)') == 0, 'nor by anybody else'
    thread.join()
    assert result == [None] and circuit(operator) == 'closed'
    assert states(operator) == {'delivered': 50}, 'then all the others, in the same call'
    assert set(attempts(bacen).values()) == {1}


def test_refusals_are_no_failures(operator, reporter, bacen, due):
    due(30)
    bacen.answer({'path': '/notificacoes', 'status': 422, 'times': 0})
    reporter.rows(RETRY)
    assert states(operator) == {'dead': 30} and circuit(operator) == 'closed'


def test_429_slows_and_is_no_failure(operator, reporter, bacen, due):
    due(40)
    bacen.answer({'path': '/notificacoes', 'status': 429, 'times': PLACES,
                  'headers': {'Retry-After': '20'}})
    began = operator.value('SELECT clock_timestamp()')
    reporter.rows(RETRY)
    assert len(bacen.log()) == PLACES, 'the rest waits'
    assert circuit(operator) == 'closed'
    paused = operator.value('SELECT paused_until FROM bank_report.circuit') - began
    assert datetime.timedelta(seconds=20) <= paused < datetime.timedelta(seconds=60)
    assert operator.value('SELECT failures FROM bank_report.circuit') == 0
    operator.rows('UPDATE bank_report.gate SET paused_until = now()')
    make_due(operator)
    reporter.rows(RETRY)
    assert states(operator) == {'delivered': 40}


@pytest.mark.parametrize('retry_after, least_s, most_s', [
    (None, 1, 3), ('7', 7, 9), ('Wed, 21 Oct 2015 07:28:00 GMT', 1, 3), ('-5', 1, 3),
    ('1000000000', 60, 62), ('soon', 1, 3)])
def test_retry_after_of_every_kind(operator, reporter, bacen, due, retry_after, least_s, most_s):
    """How long everything pauses; a row of its own waits up to an hour."""
    due(1)
    headers = {} if retry_after is None else {'Retry-After': retry_after}
    bacen.answer({'path': '/notificacoes', 'status': 429, 'times': 1, 'headers': headers})
    began = operator.value('SELECT clock_timestamp()')
    reporter.rows(RETRY)
    paused = operator.value('SELECT paused_until FROM bank_report.circuit') - began
    assert least_s <= paused.total_seconds() < most_s + 5
    waits = operator.value('SELECT next_attempt_at FROM bank_report.notification') - began
    assert waits.total_seconds() <= 3601
    if retry_after == '1000000000':
        assert waits.total_seconds() >= 3600
    if retry_after == '7':
        assert waits.total_seconds() >= 7


def test_retry_after_as_a_date(operator, reporter, bacen, due):
    due(1)
    date = operator.value("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '30 s',"
                          " 'Dy, DD Mon YYYY HH24:MI:SS') || ' GMT'")
    bacen.answer({'path': '/notificacoes', 'status': 429, 'times': 1,
                  'headers': {'Retry-After': date}})
    began = operator.value('SELECT clock_timestamp()')
    reporter.rows(RETRY)
    waits = operator.value('SELECT next_attempt_at FROM bank_report.notification') - began
    assert 25 <= waits.total_seconds() <= 60


def test_rate(operator, reporter, bacen, due):
    due(60)
    with operator.setting(reporter, bacen_rate=20):
        began = time.monotonic()
        reporter.rows(RETRY)
        took = time.monotonic() - began
    assert states(operator) == {'delivered': 60}
    assert took > 1.5, 'twenty at once, then twenty a second'


def test_rate_is_shared(operator, reporter, bacen, due):
    """What others took is not there for the retry, and the other way round."""
    due(10)
    with operator.setting(reporter, bacen_rate=1, bacen_retry_time='1500ms'):
        wait_until(lambda: operator.value('SHOW bank.bacen_rate') == '1', 'it is set')
        assert operator.value('SELECT bank_report.admit(5)') == 1
        assert operator.value('SELECT bank_report.admit(5)') == 0
        reporter.rows(RETRY)
        assert 1 <= len(bacen.log()) <= 3
        assert states(operator)['pending'] >= 7
    reporter.rows(RETRY)


def test_retry_ends_before_the_next(operator, reporter, bacen, due):
    """What is slow is left to the next call, so that calls do not pile up."""
    due(200)
    bacen.answer({'path': '/notificacoes', 'delay_ms': 400, 'times': 0})
    with operator.setting(reporter, bacen_retry_time='500ms'):
        began = time.monotonic()
        reporter.rows(RETRY)
        assert time.monotonic() - began < 5
    left = states(operator)
    assert left['delivered'] >= PLACES and left['pending'] >= 100 and 'sending' not in left


def test_open_circuit_stops_a_call_under_way(operator, reporter, bacen, due):
    due(100)
    bacen.answer({'path': '/notificacoes', 'times': 20},
                 {'path': '/notificacoes', 'status': 503, 'times': 0})
    reporter.rows(RETRY)
    # Successes under way when the first failures came end their row.
    assert 20 + FAILURES <= len(bacen.log()) < 20 + FAILURES + 2 * PLACES
    assert states(operator)['delivered'] == 20


def test_row_is_needed(operator, reporter, due):
    due(1)
    other = Session()
    other.rows('BEGIN')
    other.rows('DELETE FROM bank_report.gate')
    assert other.failure('SELECT bank_report.admit(1)')[0] == '22000'
    other.rows('ROLLBACK')
    for call in ('admit(NULL)', 'note_answers(0, 0, 0, NULL)'):
        assert operator.failure(f'SELECT bank_report.{call}')[0] == '22004'
    for call in ('admit(-1)', 'note_answers(0, -1, 0, 0)'):
        assert operator.failure(f'SELECT bank_report.{call}')[0] == '22023'
