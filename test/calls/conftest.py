"""Helpers of the tests that call out of a backend: settings, simulators, a
server that accepts and keeps silent."""
import contextlib
import json
import os
import pathlib
import resource
import socket
import threading
import time
import urllib.request

import psycopg2
import pytest

DEADLINE = 30


def wait_until(holds, what):
    """Waits for a condition; one that does not come is a failure."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, f'waited in vain until {what}'
        time.sleep(0.01)


class Session:
    def __init__(self, user='postgres', database='bank'):
        self.connection = psycopg2.connect(dbname=database, user=user)
        self.connection.autocommit = True
        self.pid = self.connection.get_backend_pid()

    def rows(self, query, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def value(self, query, *values):
        return self.rows(query, *values)[0][0]

    def failure(self, query, *values):
        """The SQLSTATE a query fails with, and its detail; None where it does not."""
        try:
            self.rows(query, *values)
        except psycopg2.Error as error:
            return error.pgcode, error.diag.message_detail or ''
        return None

    def sockets(self):
        """How many sockets the backend has open."""
        folder = f'/proc/{self.pid}/fd'
        return sum(os.readlink(f'{folder}/{name}').startswith('socket:')
                   for name in os.listdir(folder))


def resident(session):
    """Bytes in memory of a session's backend."""
    pages = pathlib.Path(f'/proc/{session.pid}/statm').read_text().split()[1]
    return int(pages) * resource.getpagesize()


class Operator(Session):
    """A superuser's session that changes the server's settings."""

    @contextlib.contextmanager
    def setting(self, session, **values):
        """Sets bank.<name> for a while; session has it when this begins."""
        self.rows("LOAD 'bank'")
        wanted = {}
        for name, value in values.items():
            wanted[f'bank.{name}'] = str(value)
            self.rows(f'ALTER SYSTEM SET bank.{name} = %s', str(value))
        self.rows('SELECT pg_reload_conf()')
        wait_until(lambda: all(session.value('SHOW ' + name) == value
                               for name, value in wanted.items()), 'the settings are loaded')
        try:
            yield
        finally:
            for name in wanted:
                self.rows(f'ALTER SYSTEM RESET {name}')
            self.rows('SELECT pg_reload_conf()')
            wait_until(lambda: all(session.value('SHOW ' + name) != value
                                   for name, value in wanted.items()), 'they are back')


@pytest.fixture(scope='session', autouse=True)
def settings_of_the_server():
    """Nothing that a run before left behind."""
    operator = Operator()
    operator.rows('ALTER SYSTEM RESET ALL')
    operator.rows('SELECT pg_reload_conf()')


class Simulator:
    def __init__(self, url):
        self.url = url

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE) as reply:
            return reply.read()

    def answer(self, *orders):
        self.ask('PUT', '/_control/answers', list(orders))

    def log(self):
        return json.loads(self.ask('GET', '/_log'))


@contextlib.contextmanager
def simulator(name):
    url = os.environ[name]
    found = Simulator(url)
    found.ask('DELETE', '/_log')
    yield found
    found.answer()


@pytest.fixture
def session():
    """Closed at the end, so that a test which fails keeps no locks from others."""
    made = Session()
    yield made
    made.connection.close()


@pytest.fixture
def operator():
    made = Operator()
    yield made
    made.connection.close()


@pytest.fixture
def bacen():
    with simulator('BANK_BACEN_URL') as found:
        yield found


class Silent:
    """Accepts connections and never says anything."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.clients = []

    def connections(self):
        """How many came until now."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.clients.append(self.listener.accept()[0])
        return len(self.clients)

    def close(self):
        for open_socket in [self.listener, *self.clients]:
            open_socket.close()


@pytest.fixture
def silent():
    made = Silent()
    yield made
    made.close()


def in_background(call):
    """Runs a call in a thread; returns the thread and where its result goes."""
    result = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()
    return thread, result


def time_of_cancel(operator, session, query, reached):
    """Seconds a query takes to end by 57014, cancelled once it has reached
    what it waits for."""
    thread, result = in_background(lambda: (session.failure(query), time.monotonic()))
    wait_until(reached, 'the call is under way')
    began = time.monotonic()
    operator.rows('SELECT pg_cancel_backend(%s)', session.pid)
    thread.join(DEADLINE)
    failure, ended = result[0]
    assert failure[0] == '57014'
    return ended - began
