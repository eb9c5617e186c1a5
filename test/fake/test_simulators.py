"""The simulators keep the contract of control, log and ordered answers."""
import http.client
import json
import os
import sys
import time
import uuid

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bacen import Bacen                 # noqa: E402
from customer_api import CustomerApi    # noqa: E402
from simulator import start             # noqa: E402


class Client:
    def __init__(self, server):
        self.connection = http.client.HTTPConnection('127.0.0.1', server.server_port, timeout=10)

    def __call__(self, method, path, body=None, **headers):
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        self.connection.request(method, path, body, headers)
        reply = self.connection.getresponse()
        self.headers = reply.headers
        data = reply.read()
        return reply.status, json.loads(data) if data[:1] in (b'{', b'[') else data

    def log(self):
        return self('GET', '/_log')[1]


@pytest.fixture(name='bacen')
def bacen_client():
    return Client(start(Bacen()))


@pytest.fixture(name='customers')
def customers_client():
    return Client(start(CustomerApi()))


def notify(client, key, **headers):
    return client('POST', '/notificacoes', {'id': key, 'valor': 10.5},
                  Idempotency_Key=key, X_Attempt='1', **headers)


def order(client, **answer):
    assert client('PUT', '/_control/answers', [{'path': '/notificacoes', **answer}])[0] == 204


def test_bacen_accepts_a_key_once(bacen):
    assert notify(bacen, 'a') == (201, {'id': 'a'})
    assert notify(bacen, 'a') == (409, {'id': 'a'})
    first, second = bacen.log()
    assert (first['status'], first['accepted']) == (201, True)
    assert (second['status'], second['accepted']) == (409, False)
    assert first['headers']['idempotency-key'] == 'a' and first['headers']['x-attempt'] == '1'
    assert json.loads(first['body'])['valor'] == 10.5
    assert first['method'] == 'POST' and first['path'] == '/notificacoes'
    assert first['at'] <= second['at'] and first['at'].endswith('Z')


def test_log_is_emptied_and_does_not_log_itself(bacen):
    notify(bacen, 'a')
    assert bacen('DELETE', '/_log')[0] == 204
    assert bacen.log() == []


def test_answers_are_counted(bacen):
    order(bacen, status=429, headers={'Retry-After': '1'}, body='slow', times=2)
    assert notify(bacen, 'a') == (429, b'slow')
    assert bacen.headers['Retry-After'] == '1'
    assert notify(bacen, 'a')[0] == 429
    assert notify(bacen, 'a')[0] == 201
    assert [entry['accepted'] for entry in bacen.log()] == [False, False, True]


def test_zero_times_lasts_until_changed(bacen):
    order(bacen, status=503, times=0)
    assert [notify(bacen, 'a')[0] for _ in range(5)] == [503] * 5
    assert bacen('PUT', '/_control/answers', [])[0] == 204
    assert notify(bacen, 'a')[0] == 201


def test_first_match_counts_and_path_is_a_prefix(bacen):
    bacen('PUT', '/_control/answers', [
        {'path': '/other', 'status': 500, 'times': 0},
        {'path': '/not', 'status': 502, 'times': 1},
        {'path': '/notificacoes', 'status': 503, 'times': 1}])
    assert [notify(bacen, 'a')[0] for _ in range(3)] == [502, 503, 201]


def test_accept_takes_effect_before_the_answer(bacen):
    order(bacen, status=500, accept=True, times=1)
    assert notify(bacen, 'a')[0] == 500
    assert notify(bacen, 'a') == (409, {'id': 'a'})
    assert [entry['accepted'] for entry in bacen.log()] == [True, False]


@pytest.mark.parametrize('accept, then', [(False, 201), (True, 409)])
def test_drop_closes_without_an_answer(bacen, accept, then):
    order(bacen, status=200, drop=True, accept=accept, times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        notify(bacen, 'a')
    assert notify(bacen, 'a')[0] == then
    assert bacen.log()[0]['status'] == 0 and bacen.log()[0]['accepted'] is accept


def test_delay_is_slept_and_logged_at_receipt(bacen):
    order(bacen, status=201, delay_ms=300, times=1)
    started = time.monotonic()
    assert notify(bacen, 'a')[0] == 201
    assert time.monotonic() - started >= 0.3
    order(bacen, delay_ms=10, times=1)      # late, otherwise as usual
    assert notify(bacen, 'a') == (201, {'id': 'a'})


def test_orders_never_apply_to_control_and_log(bacen):
    bacen('PUT', '/_control/answers', [{'path': '/', 'status': 500, 'times': 0}])
    assert bacen('GET', '/_log') == (200, [])
    assert bacen('PUT', '/_control/answers', [])[0] == 204


@pytest.mark.parametrize('body', [
    '', '{', '{}', '[1]', '[{}]', '[{"path": 1}]', '[{"path": "x"}]', b'\xff\xfe', '[' * 100000,
    '[{"path": "/", "status": 99}]', '[{"path": "/", "status": "429"}]',
    '[{"path": "/", "status": true}]', '[{"path": "/", "times": -1}]',
    '[{"path": "/", "delay_ms": 0.5}]', '[{"path": "/", "drop": 1}]',
    '[{"path": "/", "headers": {"A": "b\\r\\nC: d"}}]', '[{"path": "/", "headers": []}]',
    '[{"path": "/", "headers": {"Content-Length": "3"}}]', '[{"path": "/", "body": 1}]',
    '[{"path": "/", "unknown": 1}]', '[{"path": "/", "status": 500}, 1]'])
def test_garbage_orders_change_nothing(bacen, body):
    order(bacen, status=418, times=0)
    assert bacen('PUT', '/_control/answers', body)[0] == 400
    assert notify(bacen, 'a')[0] == 418


def test_garbage_requests_are_refused(bacen):
    assert bacen('POST', '/notificacoes', 'x', Idempotency_Key='a')[0] == 400
    assert bacen('POST', '/notificacoes', {'id': 'a'})[0] == 400
    assert bacen('GET', '/notificacoes')[0] == 405
    assert bacen('POST', '/elsewhere', {})[0] == 404
    assert bacen('PUT', '/_control/customers/x', {})[0] == 404
    assert bacen('PUT', '/_control/answers', '[]', Content_Length='x')[0] == 400
    assert all(not entry['accepted'] for entry in bacen.log())


def test_customer_is_unknown_active_inactive_unknown(customers):
    customer_id = str(uuid.uuid4())
    path, control = f'/clientes/{customer_id}', f'/_control/customers/{customer_id}'
    assert customers('GET', path)[0] == 404
    assert customers('PUT', control, {'ativo': True})[0] == 204
    status, customer = customers('GET', path)
    assert status == 200 and customer['id'] == customer_id and customer['ativo'] is True
    assert isinstance(customer['nome'], str)
    assert customers('PUT', control.upper().replace('_CONTROL/CUSTOMERS', '_control/customers'),
                     {'ativo': False})[0] == 204
    assert customers('GET', path)[1]['ativo'] is False
    assert customers('DELETE', control)[0] == 204
    assert customers('GET', path)[0] == 404


def test_default_is_for_the_unlisted(customers):
    customers('PUT', '/_control/default', {'ativo': True})
    assert customers('GET', f'/clientes/{uuid.uuid4()}')[1]['ativo'] is True
    gone = uuid.uuid4()
    customers('DELETE', f'/_control/customers/{gone}')
    assert customers('GET', f'/clientes/{gone}')[0] == 404
    assert customers('DELETE', '/_control/default')[0] == 204
    assert customers('GET', f'/clientes/{uuid.uuid4()}')[0] == 404


@pytest.mark.parametrize('body', ['', '{', '[]', '{}', '{"ativo": 1}', '{"ativo": true, "x": 1}'])
def test_garbage_about_a_customer_changes_nothing(customers, body):
    customer_id = uuid.uuid4()
    customers('PUT', f'/_control/customers/{customer_id}', {'ativo': True})
    assert customers('PUT', f'/_control/customers/{customer_id}', body)[0] == 400
    assert customers('PUT', '/_control/default', body)[0] == 400
    assert customers('PUT', '/_control/customers/no-uuid', {'ativo': True})[0] == 400
    assert customers('GET', f'/clientes/{customer_id}')[1]['ativo'] is True


def test_customer_answers_can_be_ordered(customers):
    customers('PUT', '/_control/default', {'ativo': True})
    customers('PUT', '/_control/answers',
              [{'path': '/clientes', 'status': 200, 'body': 'garbage', 'times': 1}])
    path = f'/clientes/{uuid.uuid4()}'
    assert customers('GET', path) == (200, b'garbage')
    assert customers('GET', path)[1]['ativo'] is True
    assert [entry['path'] for entry in customers.log()] == [path, path]
