"""What a page of a statement costs does not depend on how long the history is
nor on where in it the page lies."""
import os

import psycopg2
import pytest

HISTORY = 1_000_000
PAGE = 100
# A page touches a root, inner and leaf page of an index and a row's own for
# each row it walks over: its lines, and the rest of the stretches it begins
# and ends in; and looks for dates by halving.
BUFFERS_MAX = 4 * (PAGE + 2 * 64) + 600
DATABASE = 'bank_cost'
HOLDER = 'c0000000-0000-4000-8000-000000000001'
ONE, OTHER = 'a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001'

# As posting would have left it, but for the digests: one account pays 1 to the
# other three times and gets it back, a second apart, so that both pay at some
# waypoints and are paid at others.  One has versions 1 (created), 2 (deposit)
# and i + 2, the other 1 and i + 1.
FILL = '''
    WITH entry AS (
        SELECT i, i % 6 IN (1, 2, 3) AS pays, 3 - abs(i % 6 - 3) AS given,
               ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid AS id,
               ('00000000-0000-7000-8000-' || lpad(to_hex(i - 1), 12, '0'))::uuid AS previous
        FROM generate_series(1, {history}) AS i
    )
    INSERT INTO bank_ledger.transfer (transfer_id, kind, customer_id, from_account, to_account,
        amount, currency, from_version, to_version, from_balance, to_balance, from_held, to_held,
        completed_at, actor, from_previous, to_previous, from_digest, to_digest, period)
    SELECT e.id, 'transfer', one.customer_id,
           CASE WHEN pays THEN one.account_id ELSE other.account_id END,
           CASE WHEN pays THEN other.account_id ELSE one.account_id END,
           1, 'BRL', i + CASE WHEN pays THEN 2 ELSE 1 END, i + CASE WHEN pays THEN 1 ELSE 2 END,
           CASE WHEN pays THEN one.balance - given ELSE given END,
           CASE WHEN pays THEN given ELSE one.balance - given END, 0, 0,
           one.updated_at + i * interval '1 s', 'somebody',
           CASE WHEN i > 1 THEN e.previous WHEN pays THEN one.last_transfer END,
           CASE WHEN i > 1 THEN e.previous WHEN NOT pays THEN one.last_transfer END,
           one.digest, one.digest, 1
    FROM entry AS e, bank_ledger.account AS one, bank_ledger.account AS other
    WHERE one.account_id = '{one}' AND other.account_id = '{other}'
'''
FINISH = '''
    UPDATE bank_ledger.account AS a
    SET last_transfer = t.transfer_id, updated_at = t.completed_at,
        version = {history} + CASE WHEN a.account_id = '{one}' THEN 2 ELSE 1 END
    FROM bank_ledger.transfer AS t
    WHERE a.account_id IN ('{one}', '{other}')
      AND t.transfer_id = ('00000000-0000-7000-8000-' || lpad(to_hex({history}), 12, '0'))::uuid
'''


class Session:
    def __init__(self, database):
        self.connection = psycopg2.connect(dbname=database, user=os.environ['PGUSER'])
        self.connection.autocommit = True

    def rows(self, query, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, query, *values):
        return self.rows(query, *values)[0][0]

    def buffers(self, query, *values):
        """How many pages a query touches, in memory or not, once planned."""
        plan = self.value('EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' + query, *values)[0]['Plan']
        return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']


def fill(session, history):
    names = {'history': history, 'one': ONE, 'other': OTHER}
    session.rows('CREATE EXTENSION bank')
    session.rows("SELECT bank_ledger.init('ledger', 'cost')")
    for account in (ONE, OTHER):
        session.rows('SELECT bank.create_account(%s, %s, %s)', HOLDER, 'BRL', account)
    session.rows('SELECT bank.deposit(%s, 1000)', ONE)
    session.rows(FILL.format(**names))
    session.rows(FINISH.format(**names))
    session.rows('VACUUM ANALYZE bank_ledger.transfer')


@pytest.fixture(scope='module')
def session():
    server = Session('postgres')
    server.rows(f'DROP DATABASE IF EXISTS {DATABASE}')
    server.rows(f'CREATE DATABASE {DATABASE}')
    made = Session(DATABASE)
    try:
        fill(made, HISTORY)
        yield made
    finally:
        made.connection.close()
        server.rows(f'DROP DATABASE {DATABASE}')


def places(session):
    """Versions at the beginning, in the middle and near the end, and their dates."""
    versions = [10, HISTORY // 2, HISTORY - 2 * PAGE]
    return [(version, session.value(
        'SELECT completed_at FROM bank_ledger.transfer WHERE %s IN (from_account, to_account) '
        'AND CASE from_account WHEN %s THEN from_version ELSE to_version END = %s',
        ONE, ONE, version)) for version in versions]


def test_a_page_costs_the_same_wherever_it_is(session):
    costs = []
    for version, date in places(session):
        for since, after in ((date, None), ('-infinity', version)):
            call = ('SELECT * FROM bank.statement(%s, %s, %s, %s, %s)',
                    ONE, since, 'infinity', after, PAGE)
            page = session.rows(*call)
            assert len(page) == PAGE + 2
            assert page[0][7] + sum(row[6] for row in page[1:-1]) == page[-1][7]
            costs.append(session.buffers(*call))
    print('buffers of a page:', costs)
    assert max(costs) < BUFFERS_MAX
    assert max(costs) < 2 * min(costs)


def test_the_end_of_a_period_costs_no_more_than_a_page(session):
    costs = []
    for _, date in places(session):
        call = ("SELECT * FROM bank.statement(%s, %s, %s::timestamptz + interval '10 s')",
                ONE, date, date)
        assert len(session.rows(*call)) == 10 + 2
        costs.append(session.buffers(*call))
    print('buffers of a short period:', costs)
    assert max(costs) < BUFFERS_MAX


def test_a_date_costs_the_same_wherever_it_is(session):
    costs = []
    for version, date in places(session):
        call = ('SELECT * FROM bank.balance_at(%s, %s)', ONE, date)
        assert session.rows(*call)[0][1] == version
        costs.append(session.buffers(*call))
    print('buffers of a balance at a date:', costs)
    assert max(costs) < BUFFERS_MAX


def test_a_longer_page_costs_its_lines(session):
    date = places(session)[1][1]
    costs = [session.buffers('SELECT * FROM bank.statement(%s, %s, %s, NULL, %s)',
                             ONE, date, 'infinity', lines) for lines in (1000, 2000, 4000)]
    print('buffers of 1000, 2000 and 4000 lines:', costs)
    assert costs[2] - costs[1] < 2.2 * (costs[1] - costs[0])
