"""What waits, what is waited for, and for how long."""
import uuid

import pytest

from conftest import DEADLINE, Session, in_background, wait_until
from test_customer_api import address

CREATE = 'SELECT bank.create_account(%s, %s, %s)'


@pytest.fixture
def pair(operator):
    """Two accounts of one customer, the first with money."""
    customer, payer, payee = (str(uuid.uuid4()) for _ in range(3))
    operator.rows(CREATE, customer, 'BRL', payer)
    operator.rows(CREATE, customer, 'BRL', payee)
    operator.rows('SELECT bank.deposit(%s, 100)', payer)
    return customer, payer, payee


@pytest.mark.parametrize('call', [
    'SELECT bank.transfer({payer}, {payee}, 1)', 'SELECT bank.transfer({payee}, {payer}, 1)',
    'SELECT bank.deposit({payee}, 1)', 'SELECT bank.withdraw({payer}, 1)'])
def test_lock_timeout_is_lg009(session, pair, call):
    _, payer, payee = pair
    other = Session()
    other.rows('BEGIN')
    other.rows('SELECT bank.transfer(%s, %s, 1)', payer, payee)
    session.rows("SET lock_timeout = '50ms'")
    failure = session.failure(call.format(payer=f"'{payer}'", payee=f"'{payee}'"))
    other.rows('ROLLBACK')
    assert failure[0] == 'LG009' and 'lock_timeout' in failure[1]
    assert session.value('SELECT (bank.ledger_balance(%s)).balance', payer) == 100


def test_lock_timeout_of_creation_is_lg009(session, pair):
    other = Session()
    other.rows('BEGIN')
    other.rows(CREATE, pair[0], 'BRL', None)
    session.rows("SET lock_timeout = '50ms'")
    failure = session.failure(CREATE, pair[0], 'BRL', None)
    other.rows('ROLLBACK')
    assert failure[0] == 'LG009'


def test_customer_api_is_asked_without_a_lock(operator, session, silent):
    held = "SELECT l.relation::regclass::text FROM pg_locks AS l WHERE l.pid = %s " \
           "AND (l.locktype = 'advisory' OR l.relation >= 16384)"
    with operator.setting(session, customer_api_url=address(silent.port)):
        thread, _ = in_background(lambda: session.failure(
            CREATE, str(uuid.uuid4()), 'BRL', str(uuid.uuid4())))
        wait_until(silent.connections, 'customer-api is asked')
        locks = operator.rows(held, session.pid)
        operator.rows('SELECT pg_cancel_backend(%s)', session.pid)
        thread.join(DEADLINE)
    assert locks == []


def test_other_interrupts_are_served_while_customer_api_is_asked(operator, session, silent):
    """A barrier that every backend must pass is passed in time."""
    with operator.setting(session, customer_api_url=address(silent.port)):
        operator.rows('DROP DATABASE IF EXISTS passing')
        operator.rows('CREATE DATABASE passing')
        thread, _ = in_background(lambda: session.failure(
            CREATE, str(uuid.uuid4()), 'BRL', None))
        wait_until(silent.connections, 'customer-api is asked')
        operator.rows("SET statement_timeout = '10s'")
        operator.rows('DROP DATABASE passing')
        still_asking = thread.is_alive()
        operator.rows('SELECT pg_cancel_backend(%s)', session.pid)
        thread.join(DEADLINE)
    assert still_asking
