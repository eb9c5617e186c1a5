"""Ways that lose packets without a word, and a slow, narrow and broken way to
the brokers.  Run by make chaos."""
import contextlib
import os
from urllib.parse import urlsplit

import checker
from brokers import ROLES, Brokers, bridge_on
from faults import under_load
from proxy import Proxy
from stack import eventually, kill

ROUNDS = int(os.environ.get('BANK_CHAOS_ROUNDS', '20'))
LONG_S = 1800
FLOWING = ('publish_acknowledged_total', 'project_records_total', 'report_records_total')
SLOW_S = 2              # each way
NARROW = 1000           # bytes a second, of each connection
STARTED_S = 240         # a start asks some dozen questions, one after the other
DETECTED_S = 120        # 30 s for the lost way, as long until the server sees it too


class Ways:
    """Proxies before the servers the bridge works with."""

    def __init__(self, stack, broker):
        redis = urlsplit(stack.env['BANK_REDIS_URL'])
        self.kafka = Proxy(('127.0.0.1', broker.bridge))
        self.server = Proxy(f'{stack.env["PGHOST"]}/.s.PGSQL.{stack.env["PGPORT"]}')
        self.redis = Proxy((redis.hostname, redis.port))
        broker.advertised = self.kafka.port
        at = f'host=127.0.0.1 port={self.server.port}'
        self.settings = {
            'publish_dsn': f'{at} dbname=bank user=bank_publish',
            'project_dsn': f'{at} dbname=bank_search user=bank_project',
            'report_dsn': f'{at} dbname=bank user=bank_report',
            'redis_url': f'redis://default:{redis.password}@127.0.0.1:{self.redis.port}'}


@contextlib.contextmanager
def bridge_by_proxies(stack):
    brokers = Brokers(stack)
    ways = Ways(stack, brokers.nodes[0])
    with ways.kafka, ways.server, ways.redis, brokers, \
            bridge_on(stack, brokers, **ways.settings):
        yield ways
        ways.server.end_lost()


def test_lost_packets(stack):
    """Whichever way is lost, a new one is taken, and what was under way arrives."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    with bridge_by_proxies(stack) as ways, under_load(stack, within_s=LONG_S):
        for way in (ways.redis, ways.kafka, ways.server):
            assert way.lose() > 0
            moved = stack.transfer(payer, payee, 1)
            eventually(lambda moved=moved: stack.notification(moved['transfer_id']),
                       'it is stored', DETECTED_S)
            eventually(lambda moved=moved: int(stack.redis.balance(payee)['version'])
                       >= moved['to_version'], 'it is in Redis', DETECTED_S)
            eventually(lambda: stack.health()['healthy'], 'all work again', DETECTED_S)


def test_slow_narrow_and_broken_way_to_the_brokers(stack):
    with bridge_by_proxies(stack) as ways, under_load(stack, within_s=LONG_S) as load:
        for delay_s, bytes_per_s in ((SLOW_S, 0), (0, NARROW), (0, 0)):
            ways.kafka.delay_s, ways.kafka.bytes_per_s = delay_s, bytes_per_s
            for name, before in {name: stack.metric(name) for name in FLOWING}.items():
                eventually(lambda name=name, before=before: stack.metric(name) > before + 100,
                           f'{name} grows', LONG_S)
        for _ in range(ROUNDS):
            ways.kafka.cut()
            more = len(load.outcomes.done) + 10
            eventually(lambda more=more: load.reached(more), 'postings between two cuts')


def works_anew(stack, before):
    """Whether every role works, in another process than before."""
    now = {role: stack.role(role) for role in ROLES}
    return all(now[role] not in (None, before[role]) for role in ROLES)


def test_started_by_slow_ways(stack):
    """Each role gets through its start at the first go, and delivers what was
    under way before and what came meanwhile."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    with bridge_by_proxies(stack) as ways:
        stack.quiet(LONG_S)             # all that rebuild has sent is read
        for way in (ways.kafka, ways.server):
            way.delay_s = SLOW_S
        before = {role: stack.role(role) for role in ROLES}
        connects = stack.metric('publish_connects_total')
        for pid in before.values():
            stack.transfer(payer, payee, 1)
            kill(pid)
        stack.transfer(payer, payee, 1)
        eventually(lambda: works_anew(stack, before), 'all work', STARTED_S)
        assert stack.metric('publish_connects_total') == connects + 1
        stack.transfer(payer, payee, 1)
        stack.quiet(DETECTED_S)
        for way in (ways.kafka, ways.server):
            way.delay_s = 0
        checker.require_sound(stack)
