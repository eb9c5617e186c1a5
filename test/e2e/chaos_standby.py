"""The server dies under load and its standby takes over: another timeline,
without the commits that had not reached it.  Run by make chaos."""
import checker
from faults import own_bridge
from load import Load
from stack import eventually
from test_recovery import (COPY, DATA, KEPT, LOST, OLD, back_up, binaries_of, go_on,
                           kill_bridge_and_server, refuse_to_go_on, require_listed,
                           require_restated, server, stack_of_its_own,    # noqa: F401
                           write)

PORT = 5432         # of a socket in the folder of the stack's, which has another


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
    stack.up()
    seen = checker.read_topics(stack.env['BANK_KAFKA_BROKERS'])
    after = checker.Journal(stack.ledger)
    posted = {row['transfer_id'] for row in after.transfers}
    lost = {record.id[1] for record in seen if record.topic == 'bank.transfers'} - posted
    assert len(lost) > LOST // 2
    go_on(stack)
    require_listed(stack, after, lost, seen)
    require_restated(stack)
