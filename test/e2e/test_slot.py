"""A slot that is not as it was: named in one line with what to do, with an exit
code of its own, and repaired by rebuild, which sends what Kafka lacks."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import checker
import orders
from faults import (own_bridge, publish_position, published_position, require_ended,
                    under_load)
from stack import ROOT, RUN, eventually, kill, script

SLOT = "'bank_bridge'"
WAITING = ("SELECT 1 FROM pg_stat_activity WHERE application_name = 'bank-bridge' "
           "AND usename = 'postgres' AND wait_event_type = 'Lock'")
BRIDGE_LOG = RUN / 'log/bridge.log'
PASS_PERIOD_S = 5       # what is left of it where the first half has passed


@contextlib.contextmanager
def bridge_killed(stack, **exceptions):
    """No bridge in the block, and money moved at its begin; a new bridge after
    it, and everything is as the journal says."""
    supervisor = stack.part('bridge')
    roles = [stack.role(name) for name in ('publish', 'project', 'report')]
    kill(supervisor)
    require_ended([supervisor, *roles])
    eventually(lambda: stack.ledger.row(f'SELECT NOT active AS free FROM pg_replication_slots '
                                        f'WHERE slot_name = {SLOT}')['free'], 'the slot is free')
    customer, payer, payee = stack.customer('BRL', 'BRL', money=100)
    stack.transfer(payer, payee, 40)
    yield customer
    stack.up()
    stack.quiet()
    require_failover(stack)
    checker.require_sound(stack, **exceptions)


def require_failover(stack):
    """Where the server can, it lets standbys have a copy of the slot."""
    slot = stack.ledger.row(
        "SELECT to_jsonb(s) ->> 'failover' AS failover, current_setting('server_version_num')::int "
        f'>= 170000 AS can FROM pg_replication_slots AS s WHERE slot_name = {SLOT}')
    assert slot['failover'] == ('true' if slot['can'] else None)


def drop(stack):
    stack.ledger.rows(f'SELECT pg_drop_replication_slot({SLOT})')


def create(stack, plugin='pgoutput'):
    stack.ledger.rows(f"SELECT pg_create_logical_replication_slot({SLOT}, '{plugin}')")


def recreate(stack):
    drop(stack)
    create(stack)


def of_another_plugin(stack):
    drop(stack)
    create(stack, 'test_decoding')


def advance(stack):
    stack.ledger.rows(f'SELECT pg_replication_slot_advance({SLOT}, pg_current_wal_lsn())')


def invalidate(stack):
    """Writes more WAL than a slot may keep."""
    stack.ledger.rows("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    stack.ledger.rows('SELECT pg_reload_conf()')
    stack.ledger.rows('CREATE TABLE public.written (words text)')
    for _ in range(3):
        stack.ledger.rows("INSERT INTO public.written VALUES ('x')")
        stack.ledger.rows('SELECT pg_switch_wal()')
    eventually(lambda: stack.ledger.rows('CHECKPOINT') or stack.ledger.row(
        f"SELECT 1 FROM pg_replication_slots WHERE slot_name = {SLOT} AND wal_status = 'lost'"),
        'the slot is lost')
    stack.ledger.rows('DROP TABLE public.written')
    stack.ledger.rows('ALTER SYSTEM RESET max_slot_wal_keep_size')
    stack.ledger.rows('SELECT pg_reload_conf()')


def remove_wal(stack):
    """A file of WAL that only the slot needs."""
    needed = stack.ledger.row('SELECT pg_walfile_name(restart_lsn) AS file '
                              f'FROM pg_replication_slots WHERE slot_name = {SLOT}')['file']
    stack.ledger.rows('SELECT pg_switch_wal()')
    stack.ledger.rows('CHECKPOINT')
    (RUN / 'postgresql/pg_wal' / needed).unlink()


@pytest.mark.parametrize('break_slot, code, reason', [
    (drop, 3, 'slot bank_bridge is missing'),
    (of_another_plugin, 3, 'slot bank_bridge is of another plugin or database'),
    (recreate, 4, 'slot was recreated or moved by somebody else'),
    (advance, 4, 'slot was recreated or moved by somebody else'),
    (invalidate, 4, 'slot bank_bridge has lost its WAL'),
    (remove_wal, 4, 'server lacks WAL that the slot needs')])
def test_broken_slot_is_named_and_repaired(stack, break_slot, code, reason):
    with bridge_killed(stack):
        break_slot(stack)
        with own_bridge('run', 'publish,project,report') as bridge:
            assert bridge.wait(60) == code
            assert reason in bridge.said() and 'bank-bridge rebuild' in bridge.said()
        with own_bridge('rebuild') as bridge:
            assert bridge.wait(120) == 0, bridge.said()
            assert 'percent=100' in bridge.said()


@pytest.mark.parametrize('spoil, codes', [
    ('ALTER PUBLICATION bank DROP TABLE bank_ledger.transfer', (3,)),
    ('ALTER PUBLICATION bank SET TABLE bank_ledger.account_event, bank_ledger.heartbeat, '
     'bank_ledger.epoch, bank_ledger.seal, bank_ledger.transfer WHERE (amount > 40)', (3,)),
    ('ALTER PUBLICATION bank SET TABLE bank_ledger.account_event, bank_ledger.heartbeat, '
     'bank_ledger.epoch, bank_ledger.seal, bank_ledger.transfer (transfer_id, kind)', (3,)),
    ('DROP PUBLICATION bank', (3, 4))])
def test_publication_that_left_rows_out(stack, spoil, codes):
    """Noticed by the look at it, or by the server that decodes a change without
    it; what it never had is sent by rebuild."""
    begun = BRIDGE_LOG.stat().st_size
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    stack.ledger.rows(spoil)
    stack.transfer(payer, payee, 40)
    require_ended([stack.part('bridge')])
    said = BRIDGE_LOG.read_bytes()[begun:].decode()
    assert re.search(r'role=publish .*hint="Run bank-bridge (init|rebuild)', said)
    assert any(re.search(f'role=publish .*"role ends" exit_code={code}', said) for code in codes)
    with own_bridge('init') as bridge:
        assert bridge.wait(60) == 0 and 'Run bank-bridge rebuild.' in bridge.said()
    with own_bridge('run', 'publish,project,report') as bridge:
        assert bridge.wait(60) == 4
    with own_bridge('rebuild') as bridge:
        assert bridge.wait(120) == 0, bridge.said()
    stack.up()
    stack.quiet()
    checker.require_sound(stack)


ALTERED = 'publication was altered; the stream may lack rows'
LEAVE_OUT = 'ALTER PUBLICATION bank DROP TABLE bank_ledger.transfer'
MEND = 'ALTER PUBLICATION bank ADD TABLE bank_ledger.transfer'


def test_publication_mended_between_two_looks(stack):
    """In one transaction, so that no look falls between.  What the stream left out
    is sent by rebuild."""
    begun = BRIDGE_LOG.stat().st_size
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    session = stack.session()
    session.begin()
    session.rows(LEAVE_OUT)
    session.row('SELECT bank.transfer(%s, %s, 40)', payer, payee)
    session.rows(MEND)
    session.commit()
    require_ended([stack.part('bridge')])
    said = BRIDGE_LOG.read_bytes()[begun:].decode()
    assert re.search(f'role=publish .*"{ALTERED}" .*hint="Run bank-bridge rebuild."', said)
    assert re.search('role=publish .*"role ends" exit_code=4', said)
    with own_bridge('rebuild') as bridge:
        assert bridge.wait(120) == 0, bridge.said()
    stack.up()
    stack.quiet()
    checker.require_sound(stack)


def test_publication_mended_while_nobody_looked(stack):
    """init finds it whole, and hides nothing."""
    with bridge_killed(stack):
        _, payer, payee = stack.customer('BRL', 'BRL', money=100)
        stack.ledger.rows(LEAVE_OUT)
        stack.transfer(payer, payee, 40)
        stack.ledger.rows(MEND)
        with own_bridge('init') as bridge:
            assert bridge.wait(60) == 0 and 'rebuild' not in bridge.said()
        with own_bridge('run', 'publish,project,report') as bridge:
            assert bridge.wait(60) == 4
            assert ALTERED in bridge.said() and 'Run bank-bridge rebuild.' in bridge.said()
        with own_bridge('rebuild') as bridge:
            assert bridge.wait(120) == 0, bridge.said()


def test_record_without_the_publication(stack):
    """As an older bridge writes it: accepted, and completed by the next one."""
    with bridge_killed(stack):
        noted = published_position(stack)['publication']
        publish_position(stack, publication='')
    assert published_position(stack)['publication'] == noted != ''


@contextlib.contextmanager
def slot_read(stack):
    """Somebody else reads the slot, and confirms nothing."""
    reader = subprocess.Popen(
        ['pg_recvlogical', '-d', 'dbname=bank', '--slot', 'bank_bridge', '--start', '-n', '-s', '0',
         '-f', '/dev/null', '-o', 'proto_version=1', '-o', 'publication_names=bank'],
        env={**os.environ, **stack.env})
    try:
        eventually(lambda: stack.ledger.row(f'SELECT active FROM pg_replication_slots '
                                            f'WHERE slot_name = {SLOT}')['active'], 'it is read')
        yield
    finally:
        reader.kill()
        reader.wait()


def test_init_that_cannot_drop_the_slot_demands_it_again(stack):
    """The publication is not made whole before: it alone says what happened."""
    with bridge_killed(stack), contextlib.ExitStack() as reader:
        reader.enter_context(slot_read(stack))
        stack.ledger.rows('ALTER PUBLICATION bank DROP TABLE bank_ledger.transfer')
        _, payer, payee = stack.customer('BRL', 'BRL', money=100)
        stack.transfer(payer, payee, 40)
        with own_bridge('init') as bridge:
            assert bridge.wait(60) == 1 and 'is active for PID' in bridge.said()
        reader.close()
        eventually(lambda: stack.ledger.row(f'SELECT NOT active AS free FROM pg_replication_slots '
                                            f'WHERE slot_name = {SLOT}')['free'], 'it is free')
        with own_bridge('init') as bridge:
            assert bridge.wait(60) == 0 and 'Run bank-bridge rebuild.' in bridge.said()
        with own_bridge('rebuild') as bridge:
            assert bridge.wait(120) == 0, bridge.said()


def wipe_kafka(stack):
    broker = stack.part('kafka')
    kill(broker)
    require_ended([broker])
    shutil.rmtree(RUN / 'kafka/data')


def test_kafka_that_lost_everything(stack):
    """init makes the topics, and hides nothing.  Who reads them begins anew:
    old offsets would pass over what is sent again."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    for _ in range(20):
        stack.transfer(payer, payee, 1)
    stack.quiet()
    with bridge_killed(stack):
        wipe_kafka(stack)
        done = subprocess.run(['deploy/up'], cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300, check=False)
        assert done.returncode != 0
        with own_bridge('run', 'publish,project,report') as bridge:
            assert bridge.wait(60) == 4
            assert 'kafka has no position record' in bridge.said()
            assert 'then bank-bridge rebuild' in bridge.said()
        with own_bridge('rebuild') as bridge:
            assert bridge.wait(120) == 0, bridge.said()


def test_topics_that_are_shorter_than_the_record_says(stack):
    """They were made anew, though their consumers do not stand beyond them: these
    begin anew.  The record rebuild writes says how long the topics are."""
    with bridge_killed(stack):
        ends = published_position(stack)['ends']
        publish_position(stack, ends={**ends, 'bank.transfers': [end + 1000 for end in
                                                                 ends['bank.transfers']]})
        with own_bridge('rebuild') as bridge:
            assert bridge.wait(120) == 0, bridge.said()
            assert re.search('its consumer begins anew" .*bank.transfers', bridge.said())
            assert not re.search('its consumer begins anew" .*bank.balances', bridge.said())
        found = published_position(stack)['ends']
        assert found.keys() == ends.keys() and sum(found['bank.transfers']) > 0


def append_again(stack, record):
    """As a publisher does that was frozen before it was acknowledged."""
    headers = [word for item in record.headers.items() for word in ('-H', '='.join(item))]
    subprocess.run(['kcat', '-P', '-b', stack.env['BANK_KAFKA_BROKERS'], '-t', record.topic,
                    '-p', str(record.place[0]), '-k', record.key, *headers],
                   input=record.value.encode(), check=True, timeout=60)


def states(stack, topic, account):
    """An account's records in the order of the topic."""
    records = checker.read_topic(stack.env['BANK_KAFKA_BROKERS'], topic)
    return sorted((record for record in records if record.key == account),
                  key=lambda record: record.place)


def test_old_records_behind_newer_ones(stack):
    """The newest is sent again, once: compaction keeps the last one."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    stack.transfer(payer, payee, 100)
    stack.ledger.row('SELECT bank.inactivate_account(%s)', payer)
    stack.published()
    with bridge_killed(stack, two_publishers=True):
        for topic in ('bank.balances', 'bank.accounts'):
            append_again(stack, states(stack, topic, payer)[0])
        for _ in range(2):
            with own_bridge('rebuild') as bridge:
                assert bridge.wait(120) == 0, bridge.said()
        for topic in ('bank.balances', 'bank.accounts'):
            ids = [record.id for record in states(stack, topic, payer)]
            assert ids[-1] == ids[-3] != ids[-2] == ids[0]


def test_rebuild_is_refused_while_a_publisher_works(stack):
    with own_bridge('rebuild') as bridge:
        assert bridge.wait(60) == 6
        assert 'Stop bank-bridge first.' in bridge.said()
    stack.quiet()


@contextlib.contextmanager
def impatient_sessions(stack):
    """New sessions of the bridge end where they are idle."""
    limits = [(role, limit) for role in ('postgres', 'bank_publish')
              for limit in ('idle_session_timeout', 'idle_in_transaction_session_timeout')]
    for role, limit in limits:
        stack.ledger.rows(f"ALTER ROLE {role} IN DATABASE bank SET {limit} = '300ms'")
    try:
        yield
    finally:
        for role, limit in limits:
            stack.ledger.rows(f'ALTER ROLE {role} IN DATABASE bank RESET {limit}')


def require_init_names(stack, session):
    """The transaction that it has no time to wait for."""
    pid = session.row('SELECT pg_backend_pid() AS pid')['pid']
    dsn = ("host={PGHOST} port={PGPORT} dbname=bank user=postgres "
           "options='-c statement_timeout=1s'".format(**stack.env))
    with own_bridge('init', init_ledger_dsn=dsn) as bridge:
        assert bridge.wait(60) == 1
        assert f'oldest="pid {pid}"' in bridge.said()
        assert 'Run bank-bridge init again' in bridge.said()


def test_rebuild_is_refused_beside_a_publisher_without_the_slot(stack):
    """One that stands still may send what it read; and beside another rebuild."""
    publisher = stack.role('publish')
    kill(publisher, signal.SIGSTOP)
    stack.ledger.rows('SELECT pg_terminate_backend(active_pid, 10000) '
                      f'FROM pg_replication_slots WHERE slot_name = {SLOT}')
    with own_bridge('rebuild') as bridge:
        assert bridge.wait(60) == 6
        assert 'Stop bank-bridge first' in bridge.said()
    kill(publisher, signal.SIGCONT)
    stack.quiet()


def test_rebuild_killed_half_way_is_run_again(stack):
    """A publisher that comes in between is refused.  What the server still does
    for the one that was killed, and settings that end idle sessions, keep nobody
    from running it again."""
    with bridge_killed(stack):
        drop(stack)
        session = stack.session()
        session.begin()
        session.row('SELECT pg_current_xact_id()')      # the slot waits for this one
        require_init_names(stack, session)
        with own_bridge('rebuild') as bridge:
            eventually(lambda: 'the slot waits' in bridge.said(), 'it waits')
            with own_bridge('rebuild') as second:
                assert second.wait(60) == 6
                assert 'another rebuild is at work' in second.said()
            kill(bridge.pid)
            bridge.wait()
        with own_bridge('publish', http_port='0') as bridge:
            assert bridge.wait(60) in (3, 4)
        with impatient_sessions(stack), own_bridge('rebuild') as bridge:
            eventually(lambda: 'the slot waits' in bridge.said(), 'it waits again')
            session.commit()
            assert bridge.wait(120) == 0, bridge.said()


def test_topic_made_anew_while_it_is_rebuilt(stack):
    """What was found in it is gone: that is no rebuilt topic."""
    brokers, topic = stack.env['BANK_KAFKA_BROKERS'], 'bank.balances'
    with bridge_killed(stack):
        session = stack.session()
        session.begin()
        session.row('SELECT pg_current_xact_id()')      # the slot waits for this one
        with own_bridge('rebuild') as bridge:
            eventually(lambda: 'the slot waits' in bridge.said(), 'all is sent, and it waits')
            orders.delete_topic(brokers, topic)
            orders.create_topic(brokers, topic, partitions=6)
            session.commit()
            assert bridge.wait(120) == 4, bridge.said()
            assert f'topic={topic}' in bridge.said()
            assert 'Delete it once more, run bank-bridge init, then rebuild.' in bridge.said()
        orders.delete_topic(brokers, topic)
        for command in ('init', 'rebuild'):
            with own_bridge(command) as bridge:
                assert bridge.wait(120) == 0, bridge.said()


def test_rebuild_hears_a_stop(stack):
    """Also where the server does not answer; which then sees that it is gone."""
    with bridge_killed(stack):
        session = stack.session()
        session.begin()
        with own_bridge('rebuild') as bridge:
            session.rows('LOCK TABLE bank_ledger.seal')
            eventually(lambda: stack.ledger.rows(WAITING), 'it waits for the lock')
            kill(bridge.pid, signal.SIGTERM)
            eventually(lambda: bridge.poll() is not None, 'it has ended', seconds=20)
        eventually(lambda: not stack.ledger.rows(WAITING), 'its session has ended')
        session.commit()
        with own_bridge('rebuild') as bridge:
            assert bridge.wait(120) == 0, bridge.said()


def hold_reading(stack, bridge):
    """Stops the session that reads the journal, before its next pass is due and
    until it must be asked for one.  Its process."""
    eventually(lambda: bridge.said().count('the slot waits') == 2, 'five seconds have passed')
    reader = stack.ledger.row("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client "
                              "backend' AND application_name = 'bank-bridge' "
                              "AND usename = 'postgres'")['pid']
    kill(reader, signal.SIGSTOP)
    due = time.monotonic() + PASS_PERIOD_S
    eventually(lambda: time.monotonic() > due, 'the pass is due')
    return reader


def test_rebuild_while_money_moves(stack):
    """And while a transaction runs that began before and posts late.  A pass over
    the journal begins only after the slot did, and sends what the stream brings."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    with under_load(stack) as load:
        supervisor = stack.part('bridge')
        roles = [stack.role(name) for name in ('publish', 'project', 'report')]
        kill(supervisor)
        require_ended([supervisor, *roles])
        eventually(lambda: stack.ledger.row(f'SELECT NOT active AS free FROM pg_replication_slots '
                                            f'WHERE slot_name = {SLOT}')['free'], 'it is free')
        drop(stack)
        late = stack.session()
        late.begin()
        late.row('SELECT pg_current_xact_id()')
        with own_bridge('rebuild') as bridge:
            eventually(lambda: 'the slot waits' in bridge.said(), 'it waits')
            meanwhile = len(load.outcomes.done) + 100
            eventually(lambda: load.reached(meanwhile), 'postings meanwhile')
            late.row('SELECT bank.transfer(%s, %s, 1)', payer, payee)
            reader = hold_reading(stack, bridge)
            late.commit()
            meanwhile = len(load.outcomes.done) + 100
            eventually(lambda: load.reached(meanwhile), 'postings that both have')
            kill(reader, signal.SIGCONT)
            assert bridge.wait(120) == 0, bridge.said()
            assert 'the slot is made once more' in bridge.said()
        script('up')
