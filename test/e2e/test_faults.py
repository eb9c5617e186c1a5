"""Everything holds after kill -9 of anything, at any moment (invariant 12).

Each test kills something while clients move money, brings the stack back by
deploy/up, lets it come to rest, and holds every system against the journal.
"""
import contextlib
import signal
import socket
import time
from urllib.parse import urlsplit

import pytest

import checker
from faults import SOME, Beside, counted, own_bridge, require_ended, under_load
from stack import ended, eventually, kill

STOP_S = 10             # in which SIGTERM must have ended the bridge


@pytest.mark.parametrize('role', ['publish', 'project', 'report'])
def test_killed_role(stack, role):
    """Its supervisor starts it again."""
    with under_load(stack):
        supervisor, before = stack.part('bridge'), stack.role(role)
        kill(before)
        eventually(lambda: stack.role(role) not in (None, before), f'{role} works again')
        assert stack.part('bridge') == supervisor and not ended(supervisor)


def test_killed_supervisor(stack):
    with under_load(stack):
        roles = [stack.role(name) for name in ('publish', 'project', 'report')]
        kill(stack.part('bridge'))
        require_ended(roles)
        stack.up()


def test_killed_postmaster(stack):
    with counted(stack, 'publish_connects_total', 'project_database_errors_total',
                 'report_database_errors_total'), under_load(stack):
        killed = stack.part('postgresql')
        kill(killed)
        require_ended([killed])
        stack.up()


def test_ages_go_on_while_the_server_is_away(stack):
    """An alarm on what waits for too long goes off also where nobody can look."""
    def age(name):
        return float(stack.sample(f'{name}_seconds'))
    ages = 'publish_lag', 'project_lag', 'report_lag', 'report_oldest'
    payer, payee = stack.customer('BRL', 'BRL', money=10)[1:]
    stack.bacen_answers({'status': 503, 'times': 0})
    stack.notified(stack.transfer(payer, payee, 1)['transfer_id'], 'pending')
    eventually(lambda: age('report_oldest') > 0, 'it is seen')
    killed = stack.part('postgresql')
    kill(killed)
    require_ended([killed])
    seen = {name: age(name) for name in ages}
    eventually(lambda: all(age(name) > seen[name] + 3 for name in ages), 'ages go on')
    stack.bacen_answers()
    stack.up()
    stack.quiet()
    eventually(lambda: max(age('project_lag'), age('report_lag')) < 1
               and age('report_oldest') == 0, 'nothing waits')


def test_server_stops_beside_an_idle_bridge(stack):
    """At once: nothing of the bridge holds it up."""
    stack.quiet()
    began, postmaster = time.monotonic(), stack.part('postgresql')
    kill(postmaster, signal.SIGINT)
    require_ended([postmaster])
    assert time.monotonic() - began <= STOP_S
    stack.up()
    stack.quiet()
    checker.require_sound(stack)


def test_killed_broker(stack):
    """And then the publisher, who alone knows what the broker never got."""
    with under_load(stack) as load:
        publish, broker = stack.role('publish'), stack.part('kafka')
        kill(broker)
        meanwhile = len(load.outcomes.done) + SOME
        eventually(lambda: load.reached(meanwhile), 'the ledger needs no broker')
        kill(publish)
        require_ended([publish, broker])
        stack.up()


def test_everything_killed_at_once(stack):
    with under_load(stack):
        killed = [stack.part(name) for name in ('bridge', 'kafka', 'postgresql', 'redis')]
        for pid in killed:
            kill(pid)
        require_ended(killed)
        stack.up()


def test_sigterm_ends_the_bridge_in_time(stack):
    with under_load(stack):
        supervisor = stack.part('bridge')
        kill(supervisor, signal.SIGTERM)
        require_ended([supervisor])
        with own_bridge('run', 'publish,project,report') as bridge:
            eventually(lambda: stack.health()['healthy'], 'a bridge of our own')
            began = time.monotonic()
            bridge.terminate()
            assert bridge.wait(10 * STOP_S) == 0
            assert time.monotonic() - began <= STOP_S
        stack.up()


def test_killed_redis_is_read_around(stack):
    """Redis away: a balance comes from the database."""
    _, account = stack.customer('BRL', money=7)
    stack.quiet()
    with counted(stack, 'project_redis_errors_total'):
        kill(stack.part('redis'))
        row = stack.ledger.row('SELECT balance, source FROM bank.balance(%s)', account)
        assert row == {'balance': 7, 'source': 'database'}
    stack.up()
    stack.quiet()


LOOK_S = 5              # between two looks at the slot
SEGMENT = 16 * 1024 * 1024
WAITING = ('publish_in_flight_records', 'publish_in_flight_transactions', 'publish_queue_bytes')


@contextlib.contextmanager
def little_wal(stack):
    """A slot soon holds more WAL than the server would keep for itself, and has
    a limit."""
    stack.ledger.rows("ALTER SYSTEM SET max_wal_size = '32MB'")
    stack.ledger.rows("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'")
    stack.ledger.rows('SELECT pg_reload_conf()')
    try:
        yield
    finally:
        for name in ('max_wal_size', 'max_slot_wal_keep_size'):
            stack.ledger.rows(f'ALTER SYSTEM RESET {name}')
        stack.ledger.rows('SELECT pg_reload_conf()')


def test_metrics_of_a_silent_broker(stack):
    """Records, bytes and seconds that wait, and how the slot stands: told while
    it lasts, and over when it is over."""
    def lag():
        return float(stack.sample('publish_lag_seconds'))
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    stack.quiet()
    assert stack.metric('publish_safe_wal_bytes') == -1
    broker = stack.part('kafka')
    with little_wal(stack):
        safe = eventually(lambda: max(stack.metric('publish_safe_wal_bytes'), 0), 'a limit is told')
        kill(broker, signal.SIGSTOP)
        try:
            stack.transfer(payer, payee, 1)
            for name in WAITING:
                eventually(lambda name=name: stack.metric(name) > 0, f'{name} grows')
            for _ in range(4):
                stack.ledger.rows("SELECT pg_logical_emit_message(false, 'test', 'x')")
                stack.ledger.rows('SELECT pg_switch_wal()')
            eventually(lambda: stack.metric('publish_slot_state') == 1, 'more than max_wal_size')
            assert stack.metric('publish_lag_bytes') > 3 * SEGMENT
            assert stack.metric('publish_safe_wal_bytes') <= safe - 3 * SEGMENT
            eventually(lambda: lag() > 2 * LOOK_S, 'it is late')
        finally:
            kill(broker, signal.SIGCONT)
        eventually(lambda: all(stack.metric(name) == 0 for name in WAITING), 'nothing waits')
        eventually(lambda: lag() < LOOK_S, 'it is not late')
        eventually(lambda: stack.ledger.rows('CHECKPOINT') or
                   stack.metric('publish_slot_state') == 0, 'the slot has moved on')
    eventually(lambda: stack.metric('publish_safe_wal_bytes') == -1, 'no limit is told')
    stack.quiet()


SLOW_CLIENTS = 40
ASKED = 50


class SlowClients(Beside):
    """They send a request byte by byte, and come again when they are put out."""

    def __init__(self, stack):
        super().__init__()
        at = urlsplit(stack.env['BANK_BRIDGE_METRICS_URL'])
        self.address = (at.hostname, at.port)

    def run(self):
        clients = [None] * SLOW_CLIENTS
        while not self.over.wait(0.05):
            clients = [self.drip(client) for client in clients]
        for client in filter(None, clients):
            client.close()

    def drip(self, client):
        try:
            client = client or socket.create_connection(self.address)
            client.send(b'G')
            return client
        except OSError:
            if client:
                client.close()
            return None


def test_slow_clients_keep_nobody_from_health(stack):
    with SlowClients(stack):
        for _ in range(ASKED):
            assert stack.health()['healthy']
            time.sleep(0.05)            # the clients' own rhythm
