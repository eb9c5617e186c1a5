"""bank.balance with a Redis or a search database that is away, slow or wrong."""
import pathlib
import sys
import time
import uuid

import pytest

from conftest import Session, resident, time_of_cancel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'fake'))

from impostor import Impostor, say_nothing, send     # noqa: E402

BALANCE = "SELECT source FROM bank.balance(%s)"


@pytest.fixture
def account():
    search = Session(database='bank_search')
    made = str(uuid.uuid4())
    search.rows("INSERT INTO bank_search.balance VALUES"
                " (%s, gen_random_uuid(), 'BRL', 1050, 0, 'active', 1, 3, now())", made)
    return made


def seconds(session, account):
    began = time.monotonic()
    assert session.value(BALANCE, account) == 'database'
    return time.monotonic() - began


def test_redis_is_away(operator, session, account):
    with operator.setting(session, redis_url='redis://127.0.0.1:1'):
        assert session.value(BALANCE, account) == 'database'
    for url in ('http://x', 'redis://', 'nonsense'):
        with operator.setting(session, redis_url=url):
            assert session.value(BALANCE, account) == 'database', url


def test_redis_is_silent(operator, session, silent, account):
    with operator.setting(session, redis_url=f'redis://127.0.0.1:{silent.port}',
                          redis_timeout='300ms'):
        assert seconds(session, account) >= 0.3, 'waited for'
        assert seconds(session, account) < 0.3, 'then left alone'


def trickle(client, stopped):
    client.sendall(b'*9\r\n$1000\r\n')
    while not stopped.wait(0.05):
        client.sendall(b'x')


def endless(head, part):
    def answer(client, stopped):
        client.sendall(head)
        while not stopped.is_set():
            client.sendall(part)
    return answer


REDIS = {
    'drops': send(),
    'says nothing': say_nothing,
    'trickles': trickle,
    'cuts its answer': send(b'*9\r\n$4\r\nha'),
    'is an HTTP server': send(b'HTTP/1.1 400 Bad Request\r\n\r\n'),
    'is binary': send(bytes(range(256)) * 8),
    'answers with an error': send(b'-ERR unknown command\r\n'),
    'is loading': send(b'-LOADING Redis is loading the dataset in memory\r\n'),
    'has another answer': send(b'*2\r\n:1\r\n:2\r\n'),
    'has arrays in arrays': endless(b'', b'*1\r\n'),
    'has no end of text': endless(b'$536870912\r\n', b'x' * 65536),
    'has no end of line': endless(b'+', b'x' * 65536),
    'has no end of answers': endless(b'*100000000\r\n', b'$1\r\nx\r\n' * 1000),
    'promises too much': endless(b'*2147483647\r\n', b''),
}


@pytest.mark.parametrize('name', REDIS)
def test_redis_is_none(operator, session, account, name):
    """The read ends within the timeout, and little is kept of what was said."""
    redis = Impostor(REDIS[name])
    session.value(BALANCE, account)
    before = resident(session)
    try:
        with operator.setting(session, redis_url=f'redis://127.0.0.1:{redis.port}',
                              redis_timeout='300ms'):
            assert seconds(session, account) < 0.3 + 1, 'and a second for a busy machine'
            assert redis.requests != []
            assert resident(session) < before + 16 * 1024 * 1024
    finally:
        redis.stop()


def test_redis_comes_back(operator, session, account):
    with operator.setting(session, redis_url='redis://127.0.0.1:1'):
        assert session.value(BALANCE, account) == 'database'
    assert session.value(BALANCE, account) == 'database'
    assert session.value(BALANCE, account) == 'redis'


def test_search_database_is_away(operator, session, account):
    with operator.setting(session, redis_url='', search_dsn='host=127.0.0.1 port=1'):
        assert session.failure(BALANCE, account)[0] == '08006'
    with operator.setting(session, redis_url='', search_dsn='no connection string'):
        assert session.failure(BALANCE, account)[0] == '08006'


def test_search_database_is_silent(operator, session, silent, account):
    dsn = f'host=127.0.0.1 port={silent.port} dbname=x user=x'
    with operator.setting(session, redis_url='', search_dsn=dsn, search_timeout='300ms'):
        began = time.monotonic()
        assert session.failure(BALANCE, account)[0] == '08006'
        assert 0.3 <= time.monotonic() - began < 3
    with operator.setting(session, redis_url='', search_dsn=dsn, search_timeout='1min'):
        before = silent.connections()
        assert time_of_cancel(operator, session, f"SELECT bank.balance('{account}')",
                              lambda: silent.connections() > before) < 0.2
    assert session.value(BALANCE, account) in ('redis', 'database')


def test_search_database_has_no_such_table(operator, session, account):
    host = session.value('SHOW unix_socket_directories')
    port = session.value('SHOW port')
    dsn = f'host={host} port={port} dbname=postgres user=postgres'
    with operator.setting(session, redis_url='', search_dsn=dsn):
        assert session.failure(BALANCE, account)[0] == '58000'


def test_search_database_ended_the_session(operator, session, account):
    with operator.setting(session, redis_url=''):
        assert session.value(BALANCE, account) == 'database'
        ended = operator.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                               " WHERE application_name = 'bank'")
        assert ended >= 1
        assert session.value(BALANCE, account) == 'database'


def test_search_database_is_this_one(operator, account):
    here = Session(database='bank_search')
    with operator.setting(here, redis_url='', search_dsn=''):
        assert here.value(BALANCE, account) == 'database'
        assert here.failure(BALANCE, str(uuid.uuid4()))[0] == 'LG014'


def test_nothing_is_left_open(operator, session, silent, account):
    session.value(BALANCE, account)
    before = session.sockets()
    dsn = f'host=127.0.0.1 port={silent.port} dbname=x user=x'
    with operator.setting(session, redis_url='', search_dsn=dsn):
        session.rows("SET statement_timeout = '2ms'")
        for _ in range(200):
            assert session.failure(BALANCE, account)[0] == '57014'
        session.rows('RESET statement_timeout')
    session.value(BALANCE, account)
    assert session.sockets() <= before
