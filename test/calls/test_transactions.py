"""Calls inside their callers' transactions: savepoints, exception blocks, two
phase commit, prepared statements, what a pooler does between two clients, and
an end in the middle."""
import re
import uuid

import pytest

from conftest import DEADLINE, Session, in_background, wait_until

TABLES = ('account', 'account_event', 'transfer', 'hold', 'customer', 'operator_act')
CREATE = 'SELECT bank.create_account(%s, %s, %s)'
BATCH = 'SELECT r.result FROM bank.transfer_batch({0}::uuid[], {1}::uuid[], {2}, {3}::uuid[]) AS r'


class Party:
    """A customer with accounts, a transfer and a hold, and calls to make of
    them that have not been made."""

    def __init__(self, session):
        self.session = session
        self.id = {name: str(uuid.uuid4()) for name in (
            'customer', 'payer', 'payee', 'empty', 'stranger', 'sent', 'held', 'kept', 'new')}
        for account in ('payer', 'payee', 'empty'):
            session.rows(CREATE, self.id['customer'], 'BRL', self.id[account])
        session.rows(CREATE, self.id['stranger'], 'BRL', None)
        self.run('SELECT bank.deposit({payer}, 1000)')
        self.run('SELECT bank.transfer({payer}, {payee}, 100, {sent})')
        self.run("SELECT bank.hold({payer}, {payee}, 50, 'infinity', {held})")
        self.run("SELECT bank.hold({payer}, {payee}, 60, 'infinity', {kept})")

    def text(self, call):
        return call.format(**{name: f"'{value}'" for name, value in self.id.items()})

    def run(self, call, session=None):
        return (session or self.session).rows(self.text(call))

    def failure(self, call, session=None):
        failure = (session or self.session).failure(self.text(call))
        return failure and failure[0]

    def state(self, session=None):
        """Everything the ledger has of the customer, as one text."""
        return [(session or self.session).value(
            f"SELECT coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') "
            f'FROM bank_ledger.{table} AS t WHERE t.customer_id IN (%s, %s)',
            self.id['customer'], self.id['stranger']) for table in TABLES]


CALLS = [
    "SELECT bank.create_account({customer}, 'JPY', {new})",
    'SELECT bank.deposit({payer}, 1, {new})', 'SELECT bank.withdraw({payer}, 1, {new})',
    'SELECT bank.transfer({payer}, {payee}, 1, {new})',
    'SELECT bank.transfer_batch(ARRAY[{payer}, {payee}]::uuid[], ARRAY[{payee}, {payer}]::uuid[],'
    ' ARRAY[1, 2])',
    "SELECT bank.hold({payer}, {payee}, 1, 'infinity', {new})",
    'SELECT bank.post_hold({held}, 20)', 'SELECT bank.void_hold({held})',
    'SELECT bank.reverse({sent}, {new})', 'SELECT bank.set_limit({payer}, 500)',
    'SELECT bank.inactivate_account({empty})', 'SELECT bank.inactivate_customer({stranger})',
]
every_call = pytest.mark.parametrize(
    'call', CALLS, ids=lambda call: re.search(r'bank\.(\w+)', call).group(1))


@pytest.fixture
def party(session):
    session.rows('SET client_min_messages = warning')
    made = Party(session)
    yield made
    assert Session().rows('SELECT * FROM bank.verify()') == []


@every_call
def test_a_savepoint_takes_it_back_and_it_works_again(party, call):
    before = party.state()
    party.run('BEGIN')
    for _ in range(2):
        party.run('SAVEPOINT here')
        party.run(call)
        assert party.state() != before
        party.run('ROLLBACK TO SAVEPOINT here')
        assert party.state() == before
    party.run(call)
    party.run('COMMIT')
    assert party.state() != before


@every_call
def test_an_exception_block_takes_it_back(party, call):
    before = party.state()
    block = '''DO $$ BEGIN
        BEGIN
            PERFORM {0};
            RAISE EXCEPTION 'no';
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
        {1}
    END $$'''
    party.run(block.replace('{0}', call.removeprefix('SELECT ')).replace('{1}', ''))
    assert party.state() == before
    again = f'PERFORM {call.removeprefix("SELECT ")};'
    party.run(block.replace('{0}', call.removeprefix('SELECT ')).replace('{1}', again))
    assert party.state() != before


def test_a_refusal_in_an_exception_block_leaves_the_rest(party):
    party.run('''DO $$ BEGIN
        PERFORM bank.transfer({payer}, {payee}, 5);
        BEGIN
            PERFORM bank.transfer({payer}, {payee}, 100000);
        EXCEPTION WHEN SQLSTATE 'LG005' THEN
            PERFORM bank.transfer({payer}, {payee}, 7);
        END;
    END $$''')
    assert party.run('SELECT (bank.ledger_balance({payee})).balance') == [(112,)]


@every_call
def test_prepared_it_is_locked_and_then_committed(party, call):
    before, other = party.state(), Session()
    party.run('BEGIN')
    party.run(call)
    party.run("PREPARE TRANSACTION 'bank_test'")
    assert party.state(other) == before
    named = 'stranger' if 'stranger' in call else 'customer'
    assert party.failure(f'SELECT bank.inactivate_customer({{{named}}})', other) == 'LG009'
    party.run("COMMIT PREPARED 'bank_test'", other)
    assert party.state() != before


@every_call
def test_prepared_and_rolled_back_it_never_was(party, call):
    before = party.state()
    party.run('BEGIN')
    party.run(call)
    party.run("PREPARE TRANSACTION 'bank_test'")
    party.run("ROLLBACK PREPARED 'bank_test'")
    assert party.state() == before
    party.run(call)


def test_prepared_statements(party):
    """Six executions are enough for a generic plan."""
    party.run('PREPARE pay (uuid, uuid, bigint) AS SELECT (bank.transfer($1, $2, $3)).amount')
    party.run('PREPARE look (uuid) AS SELECT (bank.ledger_balance($1)).balance')
    seen = []
    for _ in range(8):
        party.run('EXECUTE pay ({payer}, {payee}, 1)')
        seen += party.run('EXECUTE look ({payee})')
    # (f(x)).column calls f once for the one column that is asked.
    assert [balance for balance, in seen] == list(range(101, 109))


def test_what_a_pooler_does_between_clients(party):
    """DISCARD ALL drops plans, settings and temporary tables; what the backend
    keeps of the ledger must not miss them."""
    for amount in range(1, 4):
        party.run('CREATE TEMPORARY TABLE account (balance text)')
        party.run('SET search_path = pg_temp, bank_ledger')
        party.run(f'SELECT bank.transfer({{payer}}, {{payee}}, {amount})')
        party.run('DISCARD ALL')
    assert party.run('SELECT (bank.ledger_balance({payee})).balance') == [(106,)]


def test_a_table_that_another_session_changes(party):
    """What a backend keeps of a table is looked up again when it changes."""
    other = Session()
    for change in ('ADD COLUMN added text', 'DROP COLUMN added'):
        party.run('SELECT bank.transfer({payer}, {payee}, 1)')
        for table in ('account', 'account_event', 'transfer', 'hold'):
            other.rows(f'ALTER TABLE bank_ledger.{table} {change}')
    party.run('SELECT bank.transfer({payer}, {payee}, 1)')
    party.run('SELECT bank.void_hold({held})')
    assert party.run('SELECT (bank.ledger_balance({payee})).balance') == [(103,)]


def test_many_savepoints_within_each_other(party):
    party.run('BEGIN')
    for depth in range(100):
        party.run(f'SAVEPOINT s{depth}')
        party.run('SELECT bank.transfer({payer}, {payee}, 1)')
    party.run('ROLLBACK TO SAVEPOINT s40')
    party.run('SELECT bank.post_hold({held})')
    party.run('COMMIT')
    assert party.run('SELECT (bank.ledger_balance({payee})).balance') == [(190,)]


def test_readers_may_run_in_workers(party):
    name = party.session.value("SELECT name FROM pg_settings WHERE name IN "
                               "('force_parallel_mode', 'debug_parallel_query')")
    call = 'SELECT (bank.ledger_balance({payee})).balance'
    alone = party.run(call)
    party.run(f'SET {name} = on')
    plan = party.run('EXPLAIN ' + call)
    assert any('Gather' in line for line, in plan)
    assert party.run(call) == alone


def batch(party, key):
    return party.text(BATCH.format('ARRAY[{payer}]', 'ARRAY[{payee}]', 'ARRAY[1]',
                                   f"ARRAY['{key}']"))


@pytest.mark.parametrize('begun', [False, True], ids=['alone', 'in a transaction'])
def test_a_batch_cancelled_while_it_writes(operator, party, begun):
    """It waits for a key inside its own subtransaction, and leaves none behind."""
    key, other = str(uuid.uuid4()), Session()
    other.rows(CREATE, party.id['stranger'], 'BRL', key)
    other.rows('BEGIN')
    other.rows('SELECT bank.deposit(%s, 1, %s)', key, key)
    if begun:
        party.run('BEGIN')
        party.run('SAVEPOINT here')
    thread, result = in_background(lambda: party.session.failure(batch(party, key)))
    wait_until(lambda: operator.value('SELECT count(*) FROM pg_stat_activity WHERE pid = %s '
                                      "AND wait_event = 'transactionid'", party.session.pid) == 1,
               'the batch waits for the key')
    operator.rows('SELECT pg_cancel_backend(%s)', party.session.pid)
    thread.join(DEADLINE)
    assert result[0][0] == '57014'
    if begun:
        party.run('ROLLBACK TO SAVEPOINT here')
    other.rows('COMMIT')
    assert party.run(batch(party, key)) == [('LG008',)]
    assert party.run(batch(party, uuid.uuid4())) == [('ok',)]
    if begun:
        party.run('COMMIT')


def test_a_batch_that_fails_in_an_exception_block(operator, party):
    """The block's subtransaction is rolled back, and not the batch's own."""
    operator.rows('CREATE UNIQUE INDEX added ON bank_ledger.transfer (reference) '
                  "WHERE reference = 'once'")
    try:
        party.run('''DO $$ BEGIN
            BEGIN
                PERFORM bank.transfer_batch(ARRAY[{payer}, {payer}]::uuid[],
                    ARRAY[{payee}, {payee}]::uuid[], ARRAY[1, 2], NULL, ARRAY['once', 'once']);
            EXCEPTION WHEN integrity_constraint_violation THEN
                PERFORM bank.transfer({payer}, {payee}, 4);
            END;
            PERFORM bank.transfer({payer}, {payee}, 8);
        END $$''')
    finally:
        operator.rows('DROP INDEX bank_ledger.added')
    assert party.run('SELECT (bank.ledger_balance({payee})).balance') == [(112,)]
