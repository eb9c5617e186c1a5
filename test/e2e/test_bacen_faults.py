"""Whatever stands where BACEN should be: report stores each transfer at once,
tries it once, believes nothing that is not proven, and leaves it due."""
import contextlib
import signal
import sys
import time

import pytest

import checker
from faults import own_bridge, require_ended
from stack import ROOT, RUN, eventually, kill

sys.path.insert(0, str(ROOT / 'test/fake'))

from certificates import Authority                      # noqa: E402
from impostor import FAULTS, OK, Impostor, send, tls    # noqa: E402

ROLES = ['publish', 'project', 'report']
TIMEOUT_MS = 700
BUSY = b'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'


@contextlib.contextmanager
def bridge_to(stack, bacen, **settings):
    """A bridge in place of the stack's, that takes another one for BACEN."""
    pids = [stack.part('bridge'), *map(stack.role, ROLES)]
    kill(pids[0], signal.SIGTERM)
    require_ended(pids)
    with own_bridge('run', ','.join(ROLES), bacen_timeout_ms=str(TIMEOUT_MS),
                    **settings) as bridge:
        eventually(lambda: stack.health()['healthy'], 'a bridge of our own')
        yield bacen
        bridge.terminate()
        assert bridge.wait(60) == 0
    stack.up()
    open_gate(stack)
    stack.ledger.rows('UPDATE bank_report.notification SET next_attempt_at = now() '
                      "WHERE state = 'pending'")
    stack.quiet()
    checker.require_sound(stack)


def open_gate(stack):
    stack.ledger.rows('UPDATE bank_report.gate SET failures = 0, opened_until = NULL,'
                      ' probing = false, paused_until = NULL, slowdowns = 0')


def first_attempt(stack, bacen):
    """The notification of a transfer once its first attempt has ended, in time
    and by one request at most."""
    open_gate(stack)
    before = len(bacen.requests)
    payer, payee = stack.customer('BRL', 'BRL', money=100)[1:]
    transfer = stack.transfer(payer, payee, 1)['transfer_id']
    began = time.monotonic()
    row = stack.notified(transfer, 'pending')
    assert time.monotonic() - began < 10 * TIMEOUT_MS / 1000
    assert row['attempts'] == 1 and row['next_attempt_at'] > row['first_attempt_at']
    assert len(bacen.requests) <= before + 1
    assert all(transfer.encode() in request for request in bacen.requests[before:])
    return row


def test_certificates(stack):
    """What is not proven is told nothing; what is proven is.  The first of them,
    before the others have their bridge."""
    authority = Authority(RUN / 'certificates')
    bacen = Impostor(send(BUSY))
    with bridge_to(stack, bacen, bacen_ca=authority.certificate,
                   bacen_url=f'https://localhost:{bacen.port}/notificacoes'):
        for what, pair in authority.unproven().items():
            bacen.context = tls(*pair)
            error = first_attempt(stack, bacen)['last_error']
            assert error.startswith('no answer') and bacen.requests == [], what
        bacen.context = tls(*authority.issue('bacen', 'localhost'))
        assert first_attempt(stack, bacen)['last_status'] == 503
    bacen.stop()


@pytest.fixture(name='bacen', scope='module')
def plain(whole_stack):
    bacen = Impostor(send())
    with bridge_to(whole_stack, bacen,
                   bacen_url=f'http://127.0.0.1:{bacen.port}/notificacoes'):
        yield bacen


@pytest.mark.parametrize('name', FAULTS)
def test_answers_that_are_none(stack, bacen, name):
    bacen.answer, expected = FAULTS[name]
    before = len(bacen.requests)
    row = first_attempt(stack, bacen)
    assert row['last_error'].startswith(expected)
    assert len(bacen.requests) == before + 1


def test_redirect_is_not_followed(stack, bacen):
    target = Impostor(send(OK))
    bacen.answer = send(b'HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:%d/\r\n'
                        b'Content-Length: 0\r\n\r\n' % target.port)
    assert first_attempt(stack, bacen)['last_status'] == 307
    assert target.requests == []
    target.stop()


@pytest.mark.parametrize('retry_after, least_s, most_s', [
    (None, 0, 120), ('7', 7, 60), ('Wed, 21 Oct 2015 07:28:00 GMT', 0, 120), ('-5', 0, 120),
    ('1000000000', 3599, 3601), ('soon', 0, 120)])
def test_retry_after_of_every_kind(stack, bacen, retry_after, least_s, most_s):
    header = f'Retry-After: {retry_after}\r\n' if retry_after else ''
    bacen.answer = send(f'HTTP/1.1 429 Slow\r\n{header}Content-Length: 0\r\n\r\n'.encode())
    row = first_attempt(stack, bacen)
    assert row['last_status'] == 429
    waits = (row['next_attempt_at'] - row['first_attempt_at']).total_seconds()
    assert least_s <= waits <= most_s + 10 * TIMEOUT_MS / 1000
    paused = stack.ledger.row('SELECT paused_until - clock_timestamp() AS left, failures '
                              'FROM bank_report.circuit')
    assert 0 < paused['left'].total_seconds() <= 61 and paused['failures'] == 0


def test_refused_connection(stack, bacen):
    """The last of them: nobody listens any more."""
    bacen.stop()
    assert first_attempt(stack, bacen)['last_error'].startswith('no answer')
