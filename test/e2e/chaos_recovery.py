"""The ledger goes on in another server: in the standby of one that died under
load, which is another timeline without the commits that had not reached it,
on a disk brought back to an earlier moment, and in another cluster that a dump
was restored into.  Run by make chaos."""
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

import checker
from faults import own_bridge
from load import Load
from stack import ROOT, RUN, eventually
from test_recovery import (COPY, DATA, KEPT, LOST, OLD, as_server, back_up, give_to_server, go_on,
                           kill_bridge_and_server, phantoms, rebuild, refuse_to_go_on,
                           require_listed, require_restated, write)

pytestmark = pytest.mark.usefixtures('made_anew')

PORT = 5432         # of a socket in the folder of the stack's, which has another


@contextlib.contextmanager
def server(binaries, data, *settings):
    """A server of ours, in the place of the stack's or beside it."""
    with open(RUN / 'log/own-postgresql.log', 'ab') as log:
        process = subprocess.Popen(['deploy/as-server', str(binaries / 'postgres'), '-D', str(data),
                                    *settings], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)


def binaries_of(stack):
    return pathlib.Path(os.readlink(f'/proc/{stack.part("postgresql")}/exe')).parent


def let_replicate(stack):
    """The stack has no line for replication, so that nobody can copy it."""
    with open(DATA / 'pg_hba.conf', 'a', encoding='utf-8') as access:
        access.write('local replication postgres trust\n')
    stack.ledger.rows('SELECT pg_reload_conf()')


def follow(stack):
    """Makes the copy a standby of the server it was made of."""
    write(COPY / 'standby.signal', '')
    write(COPY / 'postgresql.auto.conf', "primary_conninfo = 'host={PGHOST} port={PGPORT} "
          "user=postgres'\n".format(**stack.env))


def stop_following(standby):
    standby.rows("ALTER SYSTEM SET primary_conninfo = ''")
    standby.rows('SELECT pg_reload_conf()')
    eventually(lambda: not standby.rows('SELECT 1 FROM pg_stat_wal_receiver'), 'it is cut off')


def require_waiting(stack):
    """A publisher that has found the standby waits for its promotion."""
    dsn = f'host={stack.env["PGHOST"]} port={PORT} dbname=bank user=bank_publish'
    with own_bridge('publish', http_port='0', publish_dsn=dsn) as bridge:
        eventually(lambda: bridge.said().count('server is a standby') > 1, 'it asks again')
        bridge.terminate()
        assert bridge.wait(60) == 0


def promote(standby):
    standby.rows('SELECT pg_promote()')
    eventually(lambda: not standby.row('SELECT pg_is_in_recovery() AS yes')['yes'],
               'the standby is a server of its own')


def test_failover_to_a_standby(stack):
    back_up(stack)
    let_replicate(stack)
    follow(stack)
    with server(binaries_of(stack), COPY, '-c', f'port={PORT}', '-c', 'cron.database_name=none'):
        eventually(lambda: stack.ledger.row(
            "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND pid NOT IN "
            '(SELECT active_pid FROM pg_replication_slots WHERE active)'), 'it follows')
        standby = stack.session('postgres', PGPORT=PORT)
        with Load(stack, pause_s=0.01, may_be_away=True) as load:
            eventually(lambda: load.reached(KEPT), 'postings that reach the standby')
            require_waiting(stack)
            stop_following(standby)
            kept = len(load.outcomes.done)
            eventually(lambda: load.reached(kept + LOST), 'postings that do not')
            stack.published()
            kill_bridge_and_server(stack)
        promote(standby)
    DATA.rename(OLD)
    COPY.rename(DATA)
    refuse_to_go_on()
    require_recovered(stack)


def test_disk_of_an_earlier_moment(stack):
    """Of the same timeline: only that the WAL ends too early tells it apart."""
    with Load(stack, pause_s=0.01) as load:
        eventually(lambda: load.reached(KEPT), 'postings that are kept')
    kill_bridge_and_server(stack, signal.SIGINT)
    COPY.mkdir(mode=0o700)
    give_to_server(COPY)
    as_server('cp', '-R', f'{DATA}/.', COPY)
    stack.up()
    with Load(stack, pause_s=0.01) as load:
        eventually(lambda: load.reached(LOST), 'postings that are lost')
    stack.published()
    kill_bridge_and_server(stack)
    DATA.rename(OLD)
    COPY.rename(DATA)
    refuse_to_go_on('WAL ends before what was published')
    require_recovered(stack)


def require_recovered(stack):
    """After rebuild --new-epoch all go on, and what is lost is listed."""
    rebuild()
    stack.up()
    seen = checker.read_topics(stack.env['BANK_KAFKA_BROKERS'])
    after = checker.Journal(stack.ledger)
    posted = {row['transfer_id'] for row in after.transfers}
    lost = {record.id[1] for record in seen if record.topic == 'bank.transfers'} - posted
    assert len(lost) > LOST // 2
    go_on(stack)
    require_listed(stack, after, lost, seen)
    require_restated(stack)


def dump(stack, binaries, folder):
    """Roles and both databases, as files."""
    folder.mkdir(mode=0o700)
    give_to_server(folder)
    address = ('-h', stack.env['PGHOST'], '-p', stack.env['PGPORT'], '-U', 'postgres')
    as_server(binaries / 'pg_dumpall', *address, '--roles-only', '-f', folder / 'roles.sql')
    for database in ('bank', 'bank_search'):
        as_server(binaries / 'pg_dump', *address, '-Fc', '-f', folder / database, database)


def restore(stack, binaries, folder):
    """Into a new cluster that runs in the place of the old one."""
    DATA.mkdir(mode=0o700)
    give_to_server(DATA)
    as_server(binaries / 'initdb', '-D', DATA, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8',
              '--locale=C.UTF-8', '--no-instructions')
    for name in ('stack.conf', 'pg_hba.conf', 'redis-password', 'stack-objects'):
        as_server('cp', '-p', OLD / name, DATA / name)
    with open(DATA / 'postgresql.conf', 'a', encoding='utf-8') as conf:
        conf.write("include 'stack.conf'\n")
    address = ('-h', stack.env['PGHOST'], '-p', stack.env['PGPORT'], '-U', 'postgres')
    with server(binaries, DATA):
        eventually(lambda: subprocess.run([binaries / 'pg_isready', '-q', *address], check=False)
                   .returncode == 0, 'the new server answers')
        as_server(binaries / 'psql', '-Xq', *address, '-d', 'postgres', '-f', folder / 'roles.sql')
        for database in ('bank', 'bank_search'):
            stack.session('postgres').rows(f'CREATE DATABASE {database}')
            as_server(binaries / 'pg_restore', *address, '--exit-on-error', '-d', database,
                      folder / database)
        with own_bridge('publish', http_port='0') as bridge:
            assert bridge.wait(60) == 3
            assert 'Run bank-bridge init.' in bridge.said()


def test_restored_into_another_cluster(stack):
    """Nothing is lost, and nothing is the stream's it was: another system."""
    with Load(stack, pause_s=0.01) as load:
        eventually(lambda: load.reached(KEPT), 'postings before the dump')
    stack.quiet()
    binaries, folder = binaries_of(stack), RUN / 'dump'
    dump(stack, binaries, folder)
    kill_bridge_and_server(stack, signal.SIGINT)
    DATA.rename(OLD)
    restore(stack, binaries, folder)
    refuse_to_go_on()
    rebuild()
    stack.up()
    assert phantoms(stack, 'kafka') | phantoms(stack, 'search') | phantoms(stack, 'bacen') == set()
    go_on(stack)
    require_restated(stack)
    require_told_once(stack)


def require_told_once(stack):
    """Where nothing was lost, nobody was told anything twice."""
    eventually(stack.is_told, 'BACEN took everything')
    journal = checker.Journal(stack.ledger)
    brokers = stack.env['BANK_KAFKA_BROKERS']
    found = checker.check_once(checker.read_topic(brokers, 'bank.transfers'))
    found += checker.check_notifications(
        journal, stack.ledger.rows('SELECT * FROM bank_report.notification'), stack.bacen.log())
    assert not found, checker.shortened(found)
