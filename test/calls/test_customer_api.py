"""Whatever customer-api does, a call ends soon, says what it was, and leaves
nothing behind."""
import os
import uuid

import pytest

from conftest import Simulator, time_of_cancel

CREATE = 'SELECT bank.create_account(gen_random_uuid())'


def address(port):
    return f'http://127.0.0.1:{port}/clientes/{{customer_id}}'


@pytest.fixture
def customer_api():
    return Simulator(os.environ['BANK_CUSTOMER_API_URL'])


@pytest.fixture
def answered(customer_api, session):
    """Asks for an account of a new customer whom customer-api answers so."""
    def ask(**order):
        customer = str(uuid.uuid4())
        body = order.pop('body', '').replace('CUSTOMER', customer)
        customer_api.ask('DELETE', '/_log')
        customer_api.answer({'path': f'/clientes/{customer}', 'body': body, 'times': 1, **order})
        found = session.failure('SELECT bank.create_account(%s)', customer)
        asked = [entry for entry in customer_api.log() if entry['path'].endswith(customer)]
        assert len(asked) == 1, 'asked once'
        rows = session.value('SELECT count(*) FROM bank_ledger.account WHERE customer_id = %s',
                             customer)
        assert rows == (1 if found is None else 0)
        return found and found[0]
    yield ask
    no, busy = '00000000-0000-4000-8000-000000000404', '00000000-0000-4000-8000-000000000503'
    customer_api.answer({'path': f'/clientes/{no}', 'status': 404, 'times': 0},
                        {'path': f'/clientes/{busy}', 'status': 503, 'times': 0})


@pytest.mark.parametrize('body', [
    '{"id": "CUSTOMER", "nome": "A", "ativo": true}', '{}', '{"nome": "A"}',
    '{"id": "CUSTOMER"}', '{"ativo": true, "more": [1, {}]}'])
def test_active(answered, body):
    assert answered(status=200, body=body) is None


@pytest.mark.parametrize('body', ['{"ativo": false}', '{"id": "CUSTOMER", "ativo": false}'])
def test_not_active(answered, body):
    assert answered(status=200, body=body) == 'LG003'


@pytest.mark.parametrize('body', ['', '{"ativo": false}', 'gone'])
def test_unknown(answered, body):
    assert answered(status=404, body=body) == 'LG002'


@pytest.mark.parametrize('body', [
    '', 'ok', '[]', 'null', 'true', '"ativo"', '{"ativo": "true"}', '{"ativo": 1}',
    '{"ativo": null}', '{"ativo": true', '{"ativo": true} {}', '{"ativo": true, "ativo": false}',
    '{"id": "00000000-0000-4000-8000-000000000000", "ativo": true}', '{"id": 7, "ativo": true}',
    '{"ativo": true, "nome": "' + 'a' * 70000 + '"}', '[' * 30000])
def test_not_understood(answered, body):
    assert answered(status=200, body=body) == 'LG011'


@pytest.mark.parametrize('status', [201, 204, 301, 302, 400, 401, 403, 409, 410, 429, 500, 503])
def test_other_status(answered, status):
    assert answered(status=status, headers={'Location': '/clientes/x'}) == 'LG011'


def test_dropped(answered, session):
    session.failure(CREATE)             # a kept connection: libcurl would ask twice
    assert answered(drop=True) == 'LG011'


def test_retry_after_is_passed_on(customer_api, session):
    customer = str(uuid.uuid4())
    customer_api.answer({'path': f'/clientes/{customer}', 'status': 503, 'times': 1,
                         'headers': {'Retry-After': '7'}})
    with session.connection.cursor() as cursor:
        with pytest.raises(Exception) as raised:
            cursor.execute('SELECT bank.create_account(%s)', (customer,))
    assert raised.value.diag.message_hint == 'Try again in 7 s.'


def test_no_address(operator, session):
    for url in ('http://127.0.0.1:1/{customer_id}', 'http://no.such.invalid/{customer_id}',
                'file:///etc/hostname?{customer_id}', 'http://127.0.0.1/', '{customer_id}', ' '):
        with operator.setting(session, customer_api_url=url):
            assert session.failure(CREATE)[0] == 'LG011', url


def test_timeout(operator, session, silent):
    with operator.setting(session, customer_api_url=address(silent.port),
                          customer_api_timeout='300ms'):
        code, detail = session.failure(CREATE)
    assert code == 'LG011' and 'gave no answer' in detail


def test_cancel(operator, session, silent):
    with operator.setting(session, customer_api_url=address(silent.port)):
        assert time_of_cancel(operator, session, CREATE, silent.connections) < 0.2
    assert session.failure(CREATE) is None


def test_nothing_is_left_open(operator, session, silent):
    session.failure(CREATE)
    before = session.sockets()
    for _ in range(1000):
        session.failure('SELECT bank.create_account(%s)', '00000000-0000-4000-8000-000000000503')
    with operator.setting(session, customer_api_url=address(silent.port)):
        session.rows("SET statement_timeout = '2ms'")
        for _ in range(200):
            assert session.failure(CREATE)[0] == '57014'
        session.rows('RESET statement_timeout')
    assert session.sockets() <= before + 1
