"""The publisher killed again and again, doubled, frozen, and fed with rows
that are not the journal's."""
import contextlib
import json
import random
import re
import signal
import subprocess
import time

import pytest

import checker
from brokers import stop_bridge
from faults import own_bridge, require_ended, under_load
from proxy import Proxy
from stack import RUN, ended, eventually, kill

KILLS = 5
SENDER_TIMEOUT_S = 3
QUESTION_S = 10         # what other questions of the bridge may take


def restart_publisher(stack):
    """Kills it and waits for the next one."""
    before = eventually(lambda: stack.role('publish'), 'publish works')
    kill(before)
    eventually(lambda: stack.role('publish') not in (None, before), 'publish works again')


def test_killed_again_and_again(stack):
    """Nothing is twice in Kafka, since what was there already was found."""
    suppressed = stack.metric('publish_suppressed_total')
    with under_load(stack):
        for _ in range(KILLS):
            time.sleep(random.uniform(0, 1))        # any moment will do
            restart_publisher(stack)
    assert stack.metric('publish_suppressed_total') > suppressed


def confirmed(stack):
    """What the slot has confirmed, as a number."""
    return int(stack.ledger.row("SELECT confirmed_flush_lsn - '0/0' AS lsn FROM "
                                "pg_replication_slots WHERE slot_name = 'bank_bridge'")['lsn'])


def recorded(stack):
    """What the position record says of all before it: that it is in Kafka."""
    done = subprocess.run(['kcat', '-C', '-e', '-q', '-b', stack.env['BANK_KAFKA_BROKERS'],
                           '-t', 'bank.bridge'], stdout=subprocess.PIPE, check=True, timeout=60)
    return max(as_number(json.loads(line)['lsn']) for line in done.stdout.splitlines())


def as_number(lsn):
    high, low = lsn.split('/')
    return int(high, 16) << 32 | int(low, 16)


def sent_beyond(stack, lsn):
    """How many records Kafka has of transactions that a new publisher looks for."""
    return sum(record.lsn >= lsn
               for record in checker.read_topics(stack.env['BANK_KAFKA_BROKERS']))


def test_killed_between_acknowledgement_and_confirmation(stack):
    """What the brokers have and no position record says comes again, and is
    found there: all of it, and nothing else."""
    with under_load(stack):
        publisher = stack.role('publish')

        def is_between():
            """Frozen, it neither sends nor confirms."""
            kill(publisher, signal.SIGSTOP)
            if sent_beyond(stack, recorded(stack)):
                return True
            kill(publisher, signal.SIGCONT)
            return False
        eventually(is_between, 'records acknowledged and not confirmed')
        sent = sent_beyond(stack, recorded(stack))
        suppressed = stack.metric('publish_suppressed_total')
        kill(publisher)
        eventually(lambda: stack.metric('publish_suppressed_total') - suppressed >= sent,
                   f'{sent} records are found in Kafka')
        eventually(lambda: stack.role('publish') not in (None, publisher), 'publish works again')
        assert stack.metric('publish_suppressed_total') - suppressed == sent


def test_server_killed_after_a_confirmation(stack):
    """What was confirmed is written down at a checkpoint only: the slot goes
    back, and brings again what a publisher, the same or a new one, has sent."""
    with under_load(stack):
        for number in (signal.SIGCONT, signal.SIGKILL):
            eventually(lambda last=number: is_put_back(stack, last), 'the slot has gone back')


def is_put_back(stack, number):
    """Kills the server beside a frozen publisher, which the signal then lets go
    on, or ends; true where the slot came back behind what it had confirmed."""
    publisher, postmaster = stack.role('publish'), stack.part('postgresql')
    begun = confirmed(stack)
    eventually(lambda: confirmed(stack) > begun, 'more is confirmed')
    kill(publisher, signal.SIGSTOP)
    before = confirmed(stack)
    kill(postmaster)
    require_ended([postmaster])
    stack.up()
    after = confirmed(stack)
    kill(publisher, number)
    eventually(lambda: confirmed(stack) > before, 'it is confirmed again')
    return after < before


def test_server_killed_before_anything_was_sent(stack):
    """A publisher that only just began knows that what was confirmed is in
    Kafka, though it sent none of it."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    written_down = RUN / 'postgresql/pg_replslot/bank_bridge/state'
    stack.published()
    stack.ledger.rows('CHECKPOINT')
    old = written_down.read_bytes()
    stack.transfer(payer, payee, 1)
    stack.published()
    heartbeats_wait = stack.session()
    heartbeats_wait.begin()
    heartbeats_wait.rows('LOCK TABLE bank_ledger.heartbeat, bank_ledger.sealing')
    restart_publisher(stack)
    publisher, postmaster = stack.role('publish'), stack.part('postgresql')
    kill(publisher, signal.SIGSTOP)
    before = confirmed(stack)
    kill(postmaster)
    require_ended([postmaster])
    written_down.write_bytes(old)
    stack.up()
    assert confirmed(stack) < before
    kill(publisher, signal.SIGCONT)
    stack.quiet()
    checker.require_sound(stack)


def test_a_period_that_takes_long_to_seal(stack):
    """Longer than any question may take, as one does that began while no bridge
    was there to end it: the step is not given up, and hearts beat meanwhile."""
    def newest():
        return stack.ledger.row('SELECT coalesce(max(number), 0) AS n FROM bank_ledger.seal')['n']

    def waits():
        return stack.ledger.row(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = "
            "'SELECT bank_ledger.seal_next()' AND "
            f"clock_timestamp() - query_start > '{QUESTION_S + 1} s'")

    stop_bridge(stack)
    eventually(lambda: stack.ledger.rows('SELECT bank_ledger.seal_next()') and stack.ledger.row(
        'SELECT barrier IS NOT NULL AS is_set FROM bank_ledger.sealing')['is_set'],
        'a period can be sealed')
    number, reader = newest(), stack.session()
    reader.begin()
    reader.rows('LOCK TABLE bank_ledger.operator_act')
    with own_bridge('run', 'publish,project,report', publish_heartbeat_s='1'):
        eventually(waits, 'a step waits for the rows')
        beats = stack.metric('publish_heartbeats_total')
        eventually(lambda: stack.metric('publish_heartbeats_total') > beats, 'hearts beat')
        reader.commit()
        eventually(lambda: newest() > number, 'the period is sealed')
    stack.up()
    stack.quiet()


def test_commits_that_may_wait_for_the_bridge(stack):
    """Where any standby will do, the server takes the bridge for one."""
    log = RUN / 'log/bridge.log'
    begun = log.stat().st_size

    def is_told():
        return b'commits may wait for the bridge' in log.read_bytes()[begun:]

    restart_publisher(stack)
    stack.quiet()
    assert not is_told()
    stack.ledger.rows("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (elsewhere, *)'")
    try:
        stack.ledger.rows('SELECT pg_reload_conf()')
        restart_publisher(stack)
        eventually(is_told, 'it is told')
    finally:
        stack.ledger.rows('ALTER SYSTEM RESET synchronous_standby_names')
        stack.ledger.rows('SELECT pg_reload_conf()')


def letters(stack):
    """Headers and values of bank.dead, oldest first; a value is any bytes."""
    done = subprocess.run(['kcat', '-C', '-e', '-q', '-J', '-b', stack.env['BANK_KAFKA_BROKERS'],
                           '-t', 'bank.dead'], stdout=subprocess.PIPE, check=True, timeout=60)
    found = [json.loads(line) for line in done.stdout.decode('latin-1').splitlines()]
    return [(dict(zip(one['headers'][::2], one['headers'][1::2])), one['payload'])
            for one in sorted(found, key=lambda one: (one['ts'], one['offset']))]


@contextlib.contextmanager
def foreign_table(stack):
    stack.ledger.rows('CREATE TABLE public.foreign_row (words text)')
    stack.ledger.rows('ALTER PUBLICATION bank ADD TABLE public.foreign_row')
    try:
        yield
    finally:
        stack.ledger.rows('SELECT bank_ledger.publish()')
        stack.ledger.rows('DROP TABLE public.foreign_row')


def test_foreign_rows_are_buried(stack):
    """What is not the journal's goes to bank.dead, and the stream goes on."""
    buried, before = stack.metric('publish_dead_total'), len(letters(stack))
    _, payer, payee = stack.customer('BRL', 'BRL', money=10)
    with foreign_table(stack):
        stack.ledger.rows("INSERT INTO public.foreign_row VALUES ('small'), (repeat('x', 600000))")
        moved = stack.transfer(payer, payee, 1)['transfer_id']
        stack.notified(moved, 'delivered')
        stack.published()
    small, large = letters(stack)[before:]
    for headers, _ in (small, large):
        assert headers['bank_dead_role'] == 'publish'
        assert headers['bank_dead_source'] == 'bank_bridge'
        assert headers['bank_dead_reason'] == "row of a table that is not the journal's"
        assert headers['bank_dead_place'] == f'{headers["bank_lsn"]}:{headers["bank_index"]}'
    assert 'small' in small[1] and 'bank_dead_size' not in small[0]
    assert len(large[1]) == 500000 and int(large[0]['bank_dead_size']) > 600000
    assert stack.metric('publish_dead_total') == buried + 2


def test_foreign_table_at_the_start(stack):
    """A publication that is not as it must be is named, with what to do."""
    with foreign_table(stack):
        with own_bridge('publish', http_port='0') as bridge:
            assert bridge.wait(60) == 3


def test_remarks_of_the_server_are_log_lines(stack):
    """Whatever it remarks, and in how many lines."""
    stack.ledger.rows("CREATE FUNCTION public.remark() RETURNS event_trigger LANGUAGE plpgsql AS "
                      "$$BEGIN RAISE WARNING E'two\\nlines'; END$$")
    stack.ledger.rows('CREATE EVENT TRIGGER remark ON ddl_command_end '
                      'EXECUTE FUNCTION public.remark()')
    try:
        with own_bridge('init') as bridge:
            assert bridge.wait(60) == 0, bridge.said()
    finally:
        stack.ledger.rows('DROP EVENT TRIGGER remark')
        stack.ledger.rows('DROP FUNCTION public.remark()')
    assert re.search('level=warning .*"database remarks" text="WARNING:  two lines', bridge.said())
    assert all(line.startswith('time=') for line in bridge.said().splitlines())


@pytest.fixture(name='short_timeout')
def short_sender_timeout(stack):
    """The server gives up a silent publisher soon."""
    stack.ledger.rows(f"ALTER SYSTEM SET wal_sender_timeout = '{SENDER_TIMEOUT_S}s'")
    stack.ledger.rows('SELECT pg_reload_conf()')
    restart_publisher(stack)
    yield
    stack.ledger.rows('ALTER SYSTEM RESET wal_sender_timeout')
    stack.ledger.rows('SELECT pg_reload_conf()')
    stack.up()
    restart_publisher(stack)


def test_second_publisher_is_refused(stack, short_timeout):
    with own_bridge('publish', http_port='0') as second:
        assert second.wait(20 * SENDER_TIMEOUT_S) == 6
    assert stack.role('publish')


def reader(stack):
    """The process of the server that serves the slot, or None."""
    return stack.ledger.row('SELECT active_pid FROM pg_replication_slots '
                            "WHERE slot_name = 'bank_bridge'")['active_pid']


def test_frozen_publisher_is_replaced(stack, short_timeout):
    """Thawed, it may repeat what it had in hand, and then sees it is not alone."""
    frozen, supervisor = stack.role('publish'), stack.part('bridge')
    with under_load(stack, two_publishers=True) as load:
        first_reader = reader(stack)
        kill(frozen, signal.SIGSTOP)
        with own_bridge('publish', http_port='0') as second:
            eventually(lambda: reader(stack) not in (None, first_reader),
                       'the second reads the slot')
            meanwhile = len(load.outcomes.done) + 100
            eventually(lambda: load.reached(meanwhile), 'postings meanwhile')
            kill(frozen, signal.SIGCONT)
            require_ended([frozen, supervisor])
            assert second.poll() is None
            second.terminate()
            assert second.wait(60) == 0
        stack.up()


def test_a_role_alone_serves_its_metrics(stack):
    """From a thread of its own, at any moment."""
    pids = [stack.part('bridge'), *map(stack.role, ('publish', 'project', 'report'))]
    kill(pids[0], signal.SIGTERM)
    require_ended(pids)
    with under_load(stack) as load:
        with own_bridge('publish', http_port='0') as publish, own_bridge('project') as project:
            eventually(lambda: stack.role('project'), 'it works')
            asked, after = 0, len(load.outcomes.done) + 300
            while not load.reached(after):
                assert list(stack.health()['roles']) == ['project']
                assert stack.metric('project_records_total') >= 0
                asked += 1
            for bridge in (publish, project):
                bridge.terminate()
                assert bridge.wait(60) == 0
        assert asked > 10
        stack.up()


def position_records(stack, *words, **more):
    return subprocess.run(['kcat', '-b', stack.env['BANK_KAFKA_BROKERS'], '-t', 'bank.bridge',
                           '-p', '0', *words], stdout=subprocess.PIPE, check=True, timeout=60,
                          text=True, **more).stdout.splitlines()


def test_position_written_late(stack):
    """A publisher that was frozen may write its record after its successor's."""
    early = position_records(stack, '-C', '-e', '-q', '-o', '-1')[-1]
    _, payer, payee = stack.customer('BRL', 'BRL', money=10)
    stack.transfer(payer, payee, 1)
    stack.published()
    supervisor = stack.part('bridge')
    kill(supervisor)
    require_ended([supervisor])
    position_records(stack, '-P', '-k', 'bank_bridge', input=early)
    assert json.loads(early)['lsn'] != json.loads(
        position_records(stack, '-C', '-e', '-q', '-o', '-2')[0])['lsn']
    stack.up()
    stack.quiet()


def test_last_word_is_taken_back(stack):
    """What an orderly end says holds until the next publisher begins, which says
    so before it sends anything."""
    stack.customer('BRL')
    stop_bridge(stack)
    words = ('-C', '-e', '-q', '-f', '%o %s\n')
    offset, _, last = position_records(stack, *words, '-o', '-1')[0].partition(' ')
    stack.customer('BRL')
    stack.up()
    stack.published()
    following = position_records(stack, *words, '-o', str(int(offset) + 1))[0].partition(' ')[2]
    last, following = json.loads(last), json.loads(following)
    assert last.pop('ended_at') == int(offset)
    assert following == last


@contextlib.contextmanager
def slot_put_back(stack):
    """After the block the slot is where it was before, as after a crash."""
    copy = 'SELECT pg_copy_logical_replication_slot(%s, %s)'
    drop = 'SELECT pg_drop_replication_slot(%s)'
    stack.ledger.rows(copy, 'bank_bridge', 'kept')
    try:
        yield
        eventually(lambda: reader(stack) is None, 'the slot is free again')
        stack.ledger.rows(drop, 'bank_bridge')
        stack.ledger.rows(copy, 'kept', 'bank_bridge')
    finally:
        stack.ledger.rows(drop, 'kept')


def test_another_worked_while_the_server_was_away(stack):
    """Who had no session knows nothing of what was sent meanwhile, wherever the
    slot is."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    stop_bridge(stack)
    socket_path = '{PGHOST}/.s.PGSQL.{PGPORT}'.format(**stack.env)
    with Proxy(socket_path) as way, own_bridge(
            'publish', http_port='0',
            publish_dsn=f'host=127.0.0.1 port={way.port} dbname=bank user=bank_publish') as first:
        stack.transfer(payer, payee, 1)
        stack.published()               # by the first, which so has a record of its own
        way.target = '/nowhere'
        way.cut()
        eventually(lambda: reader(stack) is None, 'the slot is free')
        with slot_put_back(stack):
            with own_bridge('publish', http_port='0') as second:
                stack.transfer(payer, payee, 1)
                stack.published()
                second.terminate()
                assert second.wait(60) == 0
        way.target = socket_path
        assert first.wait(60) == 1
        assert 'another publisher worked' in first.said()
    stack.up()
    stack.quiet()
    checker.require_sound(stack)


ROWS = 200
ROW_BYTES = 400000
QUEUE_BYTES = 10 * 2**20    # what the publisher may have in hand, and some


def test_large_foreign_rows_wait(stack):
    """More than fits in the producer's memory, while Kafka is silent, holds the
    stream up and ends nothing."""
    publisher, buried = stack.role('publish'), stack.metric('publish_dead_total')
    broker = stack.part('kafka')
    with foreign_table(stack):
        kill(broker, signal.SIGSTOP)
        try:
            stack.ledger.rows(
                f"INSERT INTO public.foreign_row SELECT repeat(md5(g::text), {ROW_BYTES // 32}) "
                f'FROM generate_series(1, {ROWS}) AS g')
            eventually(lambda: stack.health()['roles']['publish']['reason'] ==
                       'kafka does not acknowledge', 'the silence is seen')
            assert 0 < stack.metric('publish_queue_bytes') < QUEUE_BYTES
        finally:
            kill(broker, signal.SIGCONT)
        eventually(lambda: stack.metric('publish_dead_total') == buried + ROWS, 'all are buried')
        stack.published()
    eventually(lambda: stack.role('publish') == publisher, 'publish works, the same as before')


# The last: what two publishers leave twice is there for who comes after.
def test_frozen_publisher_comes_back(stack, short_timeout):
    """What it has read and what it knows of the slot is old when nobody is
    left: it sends none of it, and begins anew."""
    frozen, supervisor = stack.role('publish'), stack.part('bridge')
    log = RUN / 'log/bridge.log'
    before = log.stat().st_size
    with under_load(stack, two_publishers=True):
        first_reader = reader(stack)
        kill(frozen, signal.SIGSTOP)
        with own_bridge('publish', http_port='0'):
            eventually(lambda: reader(stack) not in (None, first_reader),
                       'the second reads the slot')
            stack.published()
        kill(frozen, signal.SIGCONT)
        eventually(lambda: stack.role('publish') not in (None, frozen), 'publish works again')
    assert not ended(supervisor)
    assert b'the process stood still' in log.read_bytes()[before:]
