"""Events only for what committed, and once: savepoints, exception blocks and
prepared transactions, through the whole pipeline; and what a commit looks like
to others before its own session sees it done."""
import contextlib

import checker
from faults import own_bridge, require_ended
from stack import eventually, kill, new_id
from test_publisher import restart_publisher
from test_slot import bridge_killed, drop

TRANSFER = 'SELECT bank.transfer(%s, %s, 1, %s)'


class Moves:
    """Transfers between two accounts: some will be committed, others not."""

    def __init__(self, stack):
        self.stack = stack
        _, self.payer, self.payee = stack.customer('BRL', 'BRL', money=100)
        self.session = stack.session()
        self.kept, self.gone = set(), set()

    def move(self, ids):
        """One more, whose id goes among those that are kept, or gone."""
        id_ = new_id()
        ids.add(id_)
        self.session.row(TRANSFER, self.payer, self.payee, id_)
        return id_

    def check(self):
        """What was kept is told to everybody, what is gone to nobody."""
        self.stack.quiet()
        records = checker.read_topic(self.stack.env['BANK_KAFKA_BROKERS'], 'bank.transfers')
        seen = [record.id[1] for record in records if record.id[1] in self.kept | self.gone]
        assert sorted(seen) == sorted(self.kept)
        assert all(self.stack.heard(id_) for id_ in self.kept)
        checker.require_sound(self.stack)


def prepare(moves, name, ids):
    """A transfer in a transaction that is prepared; others wait for its accounts."""
    moves.session.rows('BEGIN')
    moves.move(ids)
    moves.session.rows(f"PREPARE TRANSACTION '{name}'")


def test_rolled_back_in_part_and_in_whole(stack):
    moves = Moves(stack)
    session = moves.session
    session.begin()
    moves.move(moves.gone)
    session.connection.rollback()
    moves.move(moves.kept)
    session.rows('SAVEPOINT one')
    moves.move(moves.gone)
    session.rows('SAVEPOINT two')
    moves.move(moves.gone)
    session.rows('RELEASE two')
    session.rows('ROLLBACK TO one')
    moves.move(moves.kept)
    session.commit()
    moves.check()


def test_exception_block(stack):
    """PL/pgSQL undoes what stands in the block, and nothing else."""
    moves = Moves(stack)
    before, within, handler = new_id(), new_id(), new_id()
    moves.session.rows("""
        CREATE FUNCTION pg_temp.try(payer uuid, payee uuid, before uuid, within uuid, handler uuid)
        RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM bank.transfer(payer, payee, 1, before);
            PERFORM bank.transfer(payer, payee, 1, within);
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN
            PERFORM bank.transfer(payer, payee, 1, handler);
        END $$""")
    moves.session.row('SELECT pg_temp.try(%s, %s, %s, %s, %s)', moves.payer, moves.payee,
                      before, within, handler)
    moves.gone |= {before, within}
    moves.kept.add(handler)
    moves.check()


def test_prepared(stack):
    """Nobody is told before COMMIT PREPARED, whatever is killed in between."""
    moves, other = Moves(stack), Moves(stack)
    prepare(moves, 'kept', moves.kept)
    prepare(other, 'gone', other.gone)
    stack.published()
    restart_publisher(stack)
    postmaster = stack.part('postgresql')
    kill(postmaster)
    require_ended([postmaster])
    stack.up()
    stack.published()
    told = checker.read_topic(stack.env['BANK_KAFKA_BROKERS'], 'bank.transfers')
    assert not {record.id[1] for record in told} & (moves.kept | other.gone)
    moves.session = other.session = stack.session()
    moves.session.rows("COMMIT PREPARED 'kept'")
    moves.session.rows("ROLLBACK PREPARED 'gone'")
    stack.notified(*moves.kept, 'delivered')
    restart_publisher(stack)
    other.move(other.kept)
    moves.kept |= other.kept
    moves.gone |= other.gone
    moves.check()


def test_rebuild_waits_for_a_prepared_transaction(stack):
    """And names it, since no process stands for it."""
    moves = Moves(stack)
    with bridge_killed(stack):
        drop(stack)
        prepare(moves, 'left behind', moves.kept)
        with own_bridge('rebuild') as bridge:
            eventually(lambda: 'prepared left behind' in bridge.said(), 'it is named')
            moves.session.rows("COMMIT PREPARED 'left behind'")
            assert bridge.wait(120) == 0, bridge.said()
    moves.check()


@contextlib.contextmanager
def standby_that_never_answers(stack):
    """For the sessions that ask for it; to all others a commit is local: also to
    those that were in the middle of a statement, which read settings after it."""
    stack.ledger.rows("ALTER SYSTEM SET synchronous_commit = 'local'")
    loaded = stack.ledger.row('SELECT pg_reload_conf(), clock_timestamp() AS at')['at']
    eventually(lambda: not stack.ledger.rows(
        "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' "
        "AND state <> 'idle' AND query_start < %s AND pid <> pg_backend_pid()", loaded),
        'all read their settings')
    stack.ledger.rows("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    stack.ledger.rows('SELECT pg_reload_conf()')
    session = stack.session()
    eventually(lambda: session.row('SHOW synchronous_standby_names') ==
               {'synchronous_standby_names': 'nobody'}, 'it is waited for')
    session.rows("SET synchronous_commit = 'on'")
    try:
        yield session
    finally:
        stack.ledger.rows('ALTER SYSTEM RESET synchronous_standby_names')
        stack.ledger.rows('ALTER SYSTEM RESET synchronous_commit')
        stack.ledger.rows('SELECT pg_reload_conf()')


def test_told_before_it_is_seen(stack):
    """The stream has a commit that still waits for a standby: its row is not to
    be read by others yet, and nobody on the way needs to."""
    moves = Moves(stack)
    id_ = new_id()
    with standby_that_never_answers(stack) as session:
        waiting = stack.in_thread(session.row, TRANSFER, moves.payer, moves.payee, id_)
        stack.notified(id_, 'delivered')
        assert stack.heard(id_)
        eventually(lambda: stack.search.row(
            'SELECT 1 FROM bank_search.balance WHERE account_id = %s AND balance = 101',
            moves.payee), 'the search database has it')
        assert not stack.ledger.rows(
            'SELECT 1 FROM bank_ledger.transfer WHERE transfer_id = %s', id_)
        assert not waiting.done()
    waiting.result(60)
    moves.kept.add(id_)
    moves.check()
