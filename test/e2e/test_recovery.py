"""The ledger recovered to a moment some seconds ago: others hold what it lost.
After rebuild --new-epoch they hold what it holds, and what is left of the
lost time is listed; BACEN is told of nothing that was lost, and of what was
done again under a key of that time."""
import json
import os
import shutil
import signal
import subprocess

import pytest

import checker
from faults import own_bridge, publish_position, require_ended
from load import Load
from stack import ROOT, RUN, eventually, kill, same_balance

DATA, OLD, COPY = RUN / 'postgresql', RUN / 'postgresql-lost', RUN / 'postgresql-copy'
KEPT, LOST = 300, 300       # postings before and after the moment
MOVED = 1                   # under a key that was used before

pytestmark = pytest.mark.usefixtures('made_anew')


def as_server(*command):
    done = subprocess.run(['deploy/as-server', *map(str, command)], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                          check=False)
    assert done.returncode == 0, f'{command}: {done.stdout.decode()}'


def give_to_server(path):
    if os.geteuid() == 0:
        shutil.chown(path, 'postgres', 'postgres')


def write(path, text):
    path.write_text(text)
    give_to_server(path)


def back_up(stack):
    """A base backup by hand, without slots, as such backups are."""
    session = stack.session()
    session.rows("SELECT pg_backup_start('recovery', true)")
    COPY.mkdir(mode=0o700)
    give_to_server(COPY)
    as_server('cp', '-R', f'{DATA}/.', COPY)
    label = session.row('SELECT labelfile FROM pg_backup_stop(false)')['labelfile']
    as_server('find', COPY / 'pg_wal', COPY / 'pg_replslot', '-mindepth', '1', '-delete')
    as_server('mkdir', COPY / 'pg_wal/archive_status')
    as_server('rm', COPY / 'postmaster.pid')
    write(COPY / 'backup_label', label)


def kill_bridge(stack):
    killed = [stack.part('bridge'), *map(stack.role, ('publish', 'project', 'report'))]
    for pid in killed:
        kill(pid)
    require_ended(killed)


def kill_bridge_and_server(stack, number=signal.SIGKILL):
    """The number is the signal that ends the server."""
    postmaster = stack.part('postgresql')
    kill_bridge(stack)
    kill(postmaster, number)
    require_ended([postmaster])


def recover(stack, moment):
    """Brings the server back as it was at the moment, in a timeline of its own."""
    kill_bridge_and_server(stack)
    DATA.rename(OLD)
    COPY.rename(DATA)
    write(DATA / 'recovery.signal', '')
    write(DATA / 'postgresql.auto.conf', f"restore_command = 'cp {OLD}/pg_wal/%f %p'\n"
          f"recovery_target_time = '{moment}'\nrecovery_target_action = promote\n"
          'hot_standby = off\n')


def test_recovered_to_some_seconds_ago(stack):
    back_up(stack)
    pair = stack.customer('BRL', 'BRL', money=100)[1:]
    with Load(stack, pause_s=0.01) as load:
        eventually(lambda: load.reached(KEPT), 'postings that are kept')
        moment = stack.ledger.row('SELECT clock_timestamp()::text AS now')['now']
        kept = len(load.outcomes.done)
        told = stack.transfer(*pair, 2)
        stack.notified(told['transfer_id'], 'delivered')
        stack.bacen_answers({'status': 503, 'times': 0})
        not_told = [stack.transfer(*pair, 2) for _ in range(3)]
        eventually(lambda: load.reached(kept + LOST), 'postings that are lost')
    stack.published()
    before = checker.Journal(stack.ledger)
    recover(stack, moment)
    heard = stack.bacen.log()
    stack.bacen_answers()
    refuse_to_go_on()
    session = stack.session()
    posted = {row['transfer_id'] for row in checker.Journal(session).transfers}
    lost = {row['transfer_id'] for row in before.transfers} - posted
    # The clients went on while the moment was taken.
    assert len(lost) > LOST // 2, f'{len(lost)} transfers are lost'
    assert not session.rows('SELECT 1 FROM bank_report.notification '
                            'WHERE transfer_id = ANY (%s::uuid[])', list(lost))
    again = {'told': repeat(session, told), 'early': repeat(session, not_told[0])}
    store(session, *not_told[::2])
    rebuild()
    stack.up()
    seen = checker.read_topics(stack.env['BANK_KAFKA_BROKERS'])
    after = checker.Journal(stack.ledger)
    go_on(stack)
    again['late'] = repeat(stack.ledger, not_told[1])
    stack.published()
    require_listed(stack, after, lost, seen)
    require_restated(stack)
    for key in again.values():
        require_sent_again(stack, key)
    require_told(stack, heard, again)


def repeat(session, lost):
    """A client does a lost transfer again, for another amount.  Its key."""
    return session.row('SELECT * FROM bank.transfer(%s, %s, %s, %s)', lost['from_account'],
                       lost['to_account'], MOVED, lost['transfer_id'])['transfer_id']


def store(session, *lost):
    """Lets lost transfers lie among the notifications all the same."""
    for row in lost:
        session.rows(
            'INSERT INTO bank_report.notification (transfer_id, customer_id, from_account, '
            'to_account, amount, currency, completed_at, state, next_attempt_at) '
            "VALUES (%s, %s, %s, %s, %s, %s, %s, 'pending', 'infinity')",
            *(row[name] for name in ('transfer_id', 'customer_id', 'from_account', 'to_account',
                                     'amount', 'currency', 'completed_at')))


def require_sent_again(stack, key):
    told = [json.loads(record.value) for record in sorted(
        checker.read_topic(stack.env['BANK_KAFKA_BROKERS'], 'bank.transfers'),
        key=lambda record: record.place) if record.id[1] == key]
    assert len(told) == 2 and told[0]['epoch'] < told[1]['epoch']
    assert told[0]['amount'] != told[1]['amount'] == MOVED


def require_told(stack, heard_before, again):
    """BACEN knows all that the ledger has, once, and was told of nothing else.
    What it took before it has for ever: that is answered by 409."""
    eventually(stack.is_told, 'BACEN knows everything')
    heard = stack.bacen.log()[len(heard_before):]
    found = checker.check_notifications(
        checker.Journal(stack.ledger),
        stack.ledger.rows('SELECT * FROM bank_report.notification'), heard, heard_before)
    assert not found, checker.shortened(found)
    accepted = {name: [entry['accepted'] for entry in heard
                       if entry['headers']['idempotency-key'] == key]
                for name, key in again.items()}
    assert accepted == {'told': [False], 'early': [True], 'late': [True]}


def refuse_to_go_on(reason='position record is of another system or timeline'):
    """None goes on with a ledger that has not what was published; nor does a
    plain rebuild."""
    done = subprocess.run(['deploy/up'], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)
    assert done.returncode != 0
    for command in ('publish', 'report', 'rebuild'):
        with own_bridge(command, http_port='0') as bridge:
            assert bridge.wait(60) == 4
            assert reason in bridge.said()
            assert 'Run bank-bridge rebuild --new-epoch.' in bridge.said()


def rebuild():
    with own_bridge('rebuild', '--new-epoch') as bridge:
        assert bridge.wait(120) == 0, bridge.said()


def go_on(stack):
    """Money moves again, under versions that were used before."""
    with Load(stack, pause_s=0.01) as load:
        eventually(lambda: load.reached(KEPT), 'postings afterwards')
    found = load.outcomes.check(checker.Journal(stack.ledger))
    assert not found, checker.shortened(found)
    stack.published()


def restore(stack, archive):
    """Puts the dump in the place of the ledger's database."""
    kill_bridge(stack)
    other = stack.session('postgres')
    eventually(lambda: not other.rows('SELECT 1 FROM pg_replication_slots WHERE active'), 'free')
    other.rows("SELECT pg_drop_replication_slot('bank_bridge')")
    other.rows('DROP DATABASE bank WITH (FORCE)')
    other.rows('CREATE DATABASE bank')
    run_client(stack, 'pg_restore', '-d', 'bank', '--exit-on-error', archive)


def run_client(stack, program, *arguments):
    subprocess.run([shutil.which(program), *map(str, arguments)], env={**os.environ, **stack.env},
                   timeout=120, check=True)


def require_refused(reason):
    with own_bridge('rebuild') as bridge:
        assert bridge.wait(60) == 4
        assert reason in bridge.said() and 'Run bank-bridge rebuild --new-epoch.' in bridge.said()


def publish_forged(stack):
    """Writes a record whose key is nearly a uuid."""
    subprocess.run(['kcat', '-P', '-b', stack.env['BANK_KAFKA_BROKERS'], '-t', 'bank.transfers',
                    '-H', 'bank_lsn=0/1', '-H', 'bank_index=0',
                    '-H', 'ce_id=a0000000-0000-4000-8000-------------'],
                   check=True, timeout=60, text=True, input='{"epoch":1}\n')


def test_dump_restored_in_its_own_cluster(stack):
    """Kafka's versions are above the ledger's, in one system and timeline: only a
    new epoch helps, whatever of it a plain rebuild could see."""
    archive = RUN / 'bank.dump'
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    run_client(stack, 'pg_dump', '-Fc', '-d', 'bank', '-f', archive)
    for _ in range(4):
        stack.transfer(payer, payee, 1)
    stack.published()
    restore(stack, archive)
    stack.session().rows("INSERT INTO bank_ledger.site (role, name) VALUES ('ledger', 'local')")
    initialize()
    publish_forged(stack)
    require_refused('kafka has what the ledger has not')
    stack.session().rows('DELETE FROM bank_ledger.site')
    initialize()
    with own_bridge('publish', http_port='0') as bridge:
        assert bridge.wait(60) == 4
        assert 'Run bank-bridge rebuild --new-epoch.' in bridge.said()
    require_refused('position record is of another epoch')
    publish_position(stack, epoch=2, lsn='FFFFFFFF/0')
    require_refused('WAL ends before what was published')
    rebuild()
    stack.up()
    go_on(stack)
    require_restated(stack)


def initialize():
    with own_bridge('init') as bridge:
        assert bridge.wait(60) == 0, bridge.said()


def phantoms(stack, source):
    return {row['subject'] for row in stack.ledger.rows(
        'SELECT subject FROM bank_report.phantom WHERE source = %s', source)}


def require_listed(stack, after, lost, seen):
    """The phantoms are what Kafka held of the lost time, and nothing else."""
    versions = {(account, entry['version'], entry['balance'], entry['held'],
                 checker.rfc3339(entry['dated']))
                for account, entries in after.entries().items() for entry in entries}
    dates = {(account, version, dated) for account, version, _, _, dated in versions}
    sealed = {(seal['number'], seal['root'].hex()) for seal in after.seals}
    expected = {record.id[1] for record in seen
                if record.topic == 'bank.transfers' and record.id[1] in lost}
    told = expected & checker.told_of([json.loads(record.value) for record in seen
                                       if record.topic == 'bank.transfers']).keys()
    for record in seen:
        value = json.loads(record.value)
        if record.topic == 'bank.seals' and (value['number'], value['root']) not in sealed:
            expected.add(record.id[1])
        if record.topic == 'bank.balances':
            if (record.key, value['version'], value['balance'], value['held'],
                    value['occurred_at']) not in versions:
                expected.add(record.id[1])
        if record.topic == 'bank.accounts':
            if (record.key, value['version'], value['occurred_at']) not in dates:
                expected.add(record.id[1].removesuffix(':status'))
    assert phantoms(stack, 'kafka') == expected
    assert phantoms(stack, 'bacen') == told
    assert phantoms(stack, 'search') <= expected
    posted = {row['transfer_id'] for row in checker.Journal(stack.ledger).transfers}
    accepted = {entry['headers']['idempotency-key'] for entry in stack.bacen.log()
                if entry['accepted']}
    assert accepted - posted <= told


def require_restated(stack):
    """Kafka ends with each account's state, and all who read it have it."""
    truth = stack.balances(stack.ledger, 'bank_ledger.account')
    unknown = {subject.partition(':')[0] for subject in phantoms(stack, 'kafka')} - truth.keys()

    def is_replicated():
        search = stack.balances(stack.search, 'bank_search.balance')
        cached = stack.cached()
        assert search.keys() - truth.keys() <= unknown
        return all(search.get(account) == row and same_balance(row, cached.get(account, {}))
                   for account, row in truth.items())

    eventually(is_replicated, 'search database and Redis equal the ledger')
    epoch = stack.ledger.row('SELECT max(number) AS number FROM bank_ledger.epoch')['number']
    last = {}
    for record in sorted(checker.read_topic(stack.env['BANK_KAFKA_BROKERS'], 'bank.balances'),
                         key=lambda record: record.place):
        last[record.key] = json.loads(record.value)
    for account, row in truth.items():
        kept = last[account]
        assert (kept['epoch'], kept['version'], kept['balance'], kept['held'], kept['status']) \
            == (epoch, row['version'], row['balance'], row['held'], row['status'])
    found = checker.check_journal(checker.Journal(stack.ledger))
    assert not found, checker.shortened(found)
    stack.verify()
