"""Faults that last: connections cut again and again, a slow way to the server,
a broker that is silent for minutes, a transaction of a million rows, a
neighbour that writes while the ledger is idle.  Run by make chaos."""
import contextlib
import datetime
import os
import signal
import time

import pytest

import checker
from faults import own_bridge, require_ended, under_load
from proxy import Proxy
from stack import ended, eventually, kill
from test_memory import LIMIT, Watch
from test_publisher import short_sender_timeout     # noqa: F401  pylint: disable=unused-import

ROLES = ['publish', 'project', 'report']
ROUNDS = int(os.environ.get('BANK_CHAOS_ROUNDS', '20'))
SILENCE_S = int(os.environ.get('BANK_CHAOS_SILENCE', '600'))
ROWS = int(os.environ.get('BANK_CHAOS_ROWS', '1000000'))
MINUTES = int(os.environ.get('BANK_CHAOS_MINUTES', '3'))
PLACES = 16             # attempts of a retry at the same time
SLOW_ANSWER_S = 50
STALL_S = 60            # after which publish gives its connection back
LONG_S = 1800


def test_walsender_ended_every_second(stack):
    """Each connection goes on where the one before stood, and nothing is twice."""
    with under_load(stack, within_s=LONG_S):
        for _ in range(ROUNDS):
            stack.ledger.rows('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots '
                              'WHERE active_pid IS NOT NULL')
            time.sleep(1)               # the fault's own rhythm


@contextlib.contextmanager
def bridge_through(stack, proxy):
    """The bridge, whose publisher reaches the server through the proxy."""
    pids = [stack.part('bridge'), *map(stack.role, ROLES)]
    kill(pids[0], signal.SIGTERM)
    require_ended(pids)
    dsn = f'host=127.0.0.1 port={proxy.port} dbname=bank user=bank_publish'
    with own_bridge('run', ','.join(ROLES), publish_dsn=dsn) as bridge:
        eventually(lambda: stack.health()['healthy'], 'it works through the proxy')
        yield
        bridge.terminate()
        assert bridge.wait(60) == 0
    stack.up()


def test_slow_narrow_and_broken_way_to_the_server(stack):
    server = f'{stack.env["PGHOST"]}/.s.PGSQL.{stack.env["PGPORT"]}'
    with under_load(stack, within_s=LONG_S) as load, Proxy(server) as proxy, \
            bridge_through(stack, proxy):
        for delay_s, bytes_per_s in ((2, 0), (0, 1000), (0, 0)):
            proxy.delay_s, proxy.bytes_per_s = delay_s, bytes_per_s
            connects = stack.metric('publish_connects_total')
            records = stack.metric('publish_records_total')
            eventually(lambda: stack.metric('publish_records_total') > records, 'records flow',
                       LONG_S)
            assert stack.metric('publish_connects_total') == connects, 'no connection broke'
        for _ in range(ROUNDS):
            proxy.cut()
            more = len(load.outcomes.done) + 10
            eventually(lambda: load.reached(more), 'postings between two cuts')


def test_silent_broker(stack):
    """Memory stays bounded, the ledger works, the server can stop, and what was
    not sent is sent."""
    broker = stack.part('kafka')
    with under_load(stack, within_s=LONG_S) as load:
        kill(broker, signal.SIGSTOP)
        with Watch(stack) as watch:
            before = len(load.outcomes.done)
            time.sleep(SILENCE_S)       # the fault's own length
            assert len(load.outcomes.done) > before, 'the ledger needs no broker'
            behind = stack.ledger.row(
                'SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::int8 AS bytes '
                "FROM pg_replication_slots WHERE slot_name = 'bank_bridge'")['bytes']
            eventually(lambda: stack.metric('publish_lag_bytes') >= behind, 'WAL is kept, and told')
            assert not stack.health()['roles']['publish']['healthy']
        assert watch.peak < LIMIT, f'{watch.peak} bytes'
        postmaster = stack.part('postgresql')
        kill(postmaster, signal.SIGINT)
        eventually(lambda: ended(postmaster), 'a fast stop', 2 * STALL_S)
        kill(broker, signal.SIGCONT)
        stack.up()


def in_one_transaction(stack, statement):
    """While clients move money: the stream goes on meanwhile, in one connection
    and little memory."""
    with under_load(stack, within_s=LONG_S) as load:
        connects = stack.metric('publish_connects_total')
        with Watch(stack) as watch:
            stack.ledger.rows(statement)
            before = len(load.outcomes.done)
            stack.published(LONG_S)
            assert len(load.outcomes.done) > before, 'the ledger works meanwhile'
        assert watch.peak < LIMIT, f'{watch.peak} bytes'
        assert stack.metric('publish_connects_total') == connects, 'no connection broke'


def spilled(stack):
    return stack.ledger.row('SELECT coalesce(sum(spill_bytes), 0)::bigint AS bytes FROM '
                            'pg_stat_replication_slots')['bytes']


def test_huge_transaction_of_somebody_else(stack, short_timeout):
    """The server decodes all of it, in files, and sends none."""
    stack.ledger.rows('CREATE TABLE public.bulk (number bigint, words text)')
    before = spilled(stack)
    in_one_transaction(stack, "INSERT INTO public.bulk SELECT n, repeat('x', 100) "
                       f'FROM generate_series(1, {ROWS}) AS n')
    eventually(lambda: spilled(stack) > before, 'the server needed files')
    stack.ledger.rows('DROP TABLE public.bulk')


def test_huge_transaction_of_ours(stack, short_timeout):
    """The bridge sends a part of it long before it has read the rest."""
    customer = stack.customer(*['BRL'] * 100)[0]
    records = stack.metric('publish_records_total')
    in_one_transaction(stack, 'SELECT bank.set_limit(account_id, n) FROM bank_ledger.account, '
                       f'generate_series(1, {ROWS // 1000}) AS n '
                       f"WHERE customer_id = '{customer}'")
    assert stack.metric('publish_records_total') - records >= ROWS // 10


def test_idle_ledger_holds_no_wal(stack):
    """A neighbour writes; the heartbeat lets the slot follow."""
    stack.quiet()
    for _ in range(ROUNDS):
        stack.search.rows("CREATE TABLE public.noise AS SELECT repeat('x', 1000) AS words "
                          'FROM generate_series(1, 10000)')
        stack.search.rows('DROP TABLE public.noise')
    here = stack.ledger.row('SELECT pg_current_wal_lsn() AS lsn')['lsn']
    eventually(lambda: stack.ledger.row(
        "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'bank_bridge' "
        'AND confirmed_flush_lsn >= %s AND restart_lsn >= %s', here, here),
        'the slot is behind nothing', 300)


def test_nothing_piles_up(stack):
    """The same processes, through every fault of what they are connected to:
    as many files and as much memory after the last as after the first."""
    payer, payee = stack.customer('BRL', 'BRL', money=100)[1:]
    seen = []
    for _ in range(ROUNDS // 2):
        for name in ('kafka', 'redis', 'postgresql'):
            killed = stack.part(name)
            kill(killed)
            require_ended([killed])
            stack.up()
            stack.transfer(payer, payee, 1)
            payer, payee = payee, payer
            stack.quiet()
        seen.append((list(map(stack.role, ROLES)), stack.bridge_files(), stack.bridge_memory()))
    pids, files, memory = zip(*seen)
    assert all(one == pids[0] for one in pids), 'none was started again'
    assert files[-1] <= files[0] + 2, files
    assert memory[-1] <= 1.25 * memory[0], memory


@pytest.mark.parametrize('role', ['project', 'report'])
def test_taken_over_every_two_seconds(stack, role):
    """Each process takes the place of the one before, which ends with 6."""
    with under_load(stack, within_s=LONG_S):
        supervisor, others = stack.part('bridge'), list(map(stack.role, ROLES))
        with contextlib.ExitStack() as bridges:
            before = None
            for number in range(ROUNDS):
                after = bridges.enter_context(own_bridge(role, http_port='0'))
                time.sleep(2)               # the fault's own rhythm
                assert after.poll() is None, after.said()
                if number == 0:
                    require_ended([supervisor, *others])
                    bridges.enter_context(own_bridge('publish', http_port='0'))
                else:
                    assert before.wait(60) == 6
                before = after
            before.terminate()
            assert before.wait(60) == 0
        stack.up()


def runs(stack):
    """The retry's runs as pg_cron has them, oldest first."""
    return stack.ledger.rows(
        'SELECT d.status, d.start_time, d.end_time FROM cron.job_run_details AS d '
        "JOIN cron.job AS j USING (jobid) WHERE j.jobname = 'bank_report.retry' "
        'ORDER BY d.start_time')


def test_a_retry_that_outlives_its_minutes(stack):
    """While a run lasts no other begins, and no more begin than there were
    minutes."""
    lasts_s = 60 * MINUTES + 40
    rounds = -(-lasts_s // SLOW_ANSWER_S)
    payer, payee = stack.customer('BRL', 'BRL', money=100)[1:]
    stack.bacen_answers({'status': 503, 'times': 0})
    transfers = [stack.transfer(payer, payee, 1)['transfer_id'] for _ in range(rounds * PLACES)]
    for transfer in transfers:
        stack.notified(transfer, 'pending')
    stack.ledger.rows(f"ALTER SYSTEM SET bank.bacen_retry_time = '{lasts_s}s'")
    stack.ledger.rows("ALTER SYSTEM SET bank.bacen_timeout = '60s'")
    stack.ledger.rows('SELECT pg_reload_conf()')
    stack.ledger.rows('UPDATE bank_report.notification SET next_attempt_at = now() '
                      "WHERE state = 'pending'")
    stack.ledger.rows('UPDATE bank_report.gate SET failures = 0, opened_until = NULL')
    stack.bacen_answers({'delay_ms': 1000 * SLOW_ANSWER_S, 'times': len(transfers)})
    stack.ledger.rows('SELECT bank_report.schedule(1)')
    try:
        eventually(lambda: all(stack.notification(transfer)['state'] == 'delivered'
                               for transfer in transfers), 'all are told', 4 * lasts_s)
        known = len(runs(stack))
        eventually(lambda: len(runs(stack)) > known, 'it goes on', 180)
        seen = runs(stack)
    finally:
        stack.ledger.rows('SELECT bank_report.unschedule()')
        for name in ('retry_time', 'timeout'):
            stack.ledger.rows(f'ALTER SYSTEM RESET bank.bacen_{name}')
        stack.ledger.rows('SELECT pg_reload_conf()')
    assert any((run['end_time'] or run['start_time']) - run['start_time']
               > datetime.timedelta(minutes=MINUTES) for run in seen), seen
    for one, following in zip(seen, seen[1:]):
        assert one['end_time'] <= following['start_time'], seen
    minutes = (seen[-1]['start_time'] - seen[0]['start_time']).total_seconds() / 60
    assert len(seen) <= minutes + 2, seen
    for transfer in transfers:
        assert len(stack.heard(transfer)) <= stack.notification(transfer)['attempts']
    stack.quiet()
    checker.require_sound(stack)
