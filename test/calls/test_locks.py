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


def test_batches_with_the_same_keys_in_opposite_orders(operator, session, pair):
    """Their accounts differ, so that the index of keys alone makes them meet:
    its entries are made in the order of the keys, and one of them waits."""
    other, gate = Session(), Session()
    customer, payer, payee = (str(uuid.uuid4()) for _ in range(3))
    for account in (payer, payee):
        operator.rows(CREATE, customer, 'BRL', account)
    operator.rows('SELECT bank.deposit(%s, 10000)', payer)
    operator.rows('SELECT bank.deposit(%s, 10000)', pair[1])
    batch = ('SELECT DISTINCT r.result FROM bank.transfer_batch(array_fill(%s::uuid, ARRAY[{0}]), '
             'array_fill(%s::uuid, ARRAY[{0}]), array_fill(1::bigint, ARRAY[{0}]), %s::uuid[]) '
             'AS r').format(3000)
    keys = [str(uuid.uuid4()) for _ in range(3000)]
    gate.rows('BEGIN')
    gate.rows('LOCK TABLE bank_ledger.transfer IN SHARE MODE')
    threads = [in_background(lambda: session.rows(batch, *pair[1:], keys)),
               in_background(lambda: other.rows(batch, payer, payee, keys[::-1]))]
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (%s, %s)"
    wait_until(lambda: operator.value(waiting, session.pid, other.pid) == 2, 'both are at the gate')
    gate.rows('COMMIT')
    for thread, _ in threads:
        thread.join(DEADLINE)
    assert sorted(result for _, (result,) in threads) == [[('LG008',)], [('ok',)]]
