"""bank.expire_holds: how many it ends, and whose."""
import uuid

import pytest

from conftest import Session

CREATE = 'SELECT account_id FROM bank.create_account(%s)'
HOLD = "SELECT hold_id FROM bank.hold(%s, %s, 1, clock_timestamp() + interval '100 ms')"
EXPIRE = 'SELECT bank.expire_holds(%s)'


@pytest.fixture(autouse=True)
def none_is_due(operator):
    """Nor of those that other tests have left."""
    while operator.value(EXPIRE, 10000) > 0:
        pass


def payer_and_payee(session):
    customer = str(uuid.uuid4())
    payer, payee = (session.value(CREATE, customer) for _ in range(2))
    session.rows('SELECT bank.deposit(%s, 100)', payer)
    return payer, payee


def wait_until_due(session, hold):
    session.rows('SELECT pg_sleep_until(expires_at) FROM bank.holds WHERE hold_id = %s', hold)


def state_of(session, hold):
    return session.value('SELECT state FROM bank.holds WHERE hold_id = %s', hold)


def test_no_more_end_than_were_asked_for(session):
    payer, payee = payer_and_payee(session)
    holds = [session.value(HOLD, payer, payee) for _ in range(3)]
    wait_until_due(session, holds[2])
    assert [session.value(EXPIRE, rows) for rows in (1, 2, 1)] == [1, 2, 0]
    assert {state_of(session, hold) for hold in holds} == {'expired'}
    assert session.value('SELECT held FROM bank.accounts WHERE account_id = %s', payer) == 0


def test_holds_of_a_busy_account_do_not_stop_others(session):
    """Its holds were due first, and are more than is asked for."""
    busy, free = payer_and_payee(session), payer_and_payee(session)
    left = [session.value(HOLD, *busy) for _ in range(3)]
    ended = session.value(HOLD, *free)
    wait_until_due(session, ended)
    other = Session()
    other.rows('BEGIN')
    other.rows('SELECT bank.deposit(%s, 1)', busy[1])
    other.rows('SELECT FROM bank_ledger.account WHERE account_id = %s FOR UPDATE', busy[0])
    assert [session.value(EXPIRE, 2), session.value(EXPIRE, 2)] == [1, 0]
    assert state_of(session, ended) == 'expired'
    assert {state_of(session, hold) for hold in left} == {'pending'}
    other.rows('ROLLBACK')
    assert [session.value(EXPIRE, 2), session.value(EXPIRE, 2)] == [2, 1]
