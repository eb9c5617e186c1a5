"""Statements and balances at a date, compared with the journal read as a
whole, while others post and after."""
import datetime
import random
import threading
import uuid

import psycopg2
import pytest

from conftest import DEADLINE, Session, in_background, wait_until

CREATE = 'SELECT (bank.create_account(%s)).account_id'
JOURNAL = '''
    SELECT version, occurred_at AS dated, NULL::uuid AS id, NULL AS kind, NULL::uuid AS other,
           NULL::bigint AS amount, balance, held, NULL AS reference
    FROM bank_ledger.account_event WHERE account_id = %(id)s
    UNION ALL
    SELECT from_version, completed_at, transfer_id, kind,
           CASE WHEN kind <> 'withdrawal' THEN to_account END, -amount, from_balance, from_held,
           reference
    FROM bank_ledger.transfer WHERE from_account = %(id)s
    UNION ALL
    SELECT to_version, completed_at, transfer_id, kind,
           CASE WHEN kind <> 'deposit' THEN from_account END, amount, to_balance, to_held, reference
    FROM bank_ledger.transfer WHERE to_account = %(id)s
    ORDER BY version'''
STATEMENT = 'SELECT * FROM bank.statement(%s, %s, %s, %s, %s)'
AT = 'SELECT * FROM bank.balance_at(%s, %s)'
START = "SELECT xact_start FROM pg_stat_activity WHERE pid = %s"
EVER = ('-infinity', 'infinity')
NEVER = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)


def state(journal, version):
    """Version, date, balance and held as a statement's opening has them."""
    if version == 0:
        return (0, None, 0, 0)
    row = journal[version - 1]
    return (row[0], row[1], row[6], row[7])


def opening_or_closing(line, found):
    version, dated, balance, held = found
    return (line, version, dated, None, None, None, None, balance, held, None)


def expected(journal, since, until, after, max_rows):
    """The page that a statement has, from the whole journal of an account."""
    first = sum(row[1] < since for row in journal)
    last = sum(row[1] < until for row in journal)
    start = max(first, min(after or 0, len(journal)))
    lines = [row for row in journal[start:last] if row[2] is not None]
    end = lines[max_rows - 1][0] if len(lines) > max_rows else max(start, last)
    return [opening_or_closing('opening', state(journal, start)),
            *[('entry', *row) for row in lines[:max_rows]],
            opening_or_closing('closing', state(journal, end))]


def adds_up(page):
    return page[0][7] + sum(row[6] for row in page[1:-1]) == page[-1][7]


class Book:
    """Accounts of one holder, and chance."""

    def __init__(self, seed, accounts=3):
        self.session = Session()
        self.session.rows("SET TimeZone = 'UTC'")
        self.chance = random.Random(seed)
        holder = str(uuid.uuid4())
        self.accounts = [self.session.value(CREATE, holder) for _ in range(accounts)]

    def journal(self, account):
        with self.session.connection.cursor() as cursor:
            cursor.execute(JOURNAL, {'id': account})
            return cursor.fetchall()

    def post(self):
        """Something that happens to an account, or is refused."""
        one, two = self.chance.sample(self.accounts, 2)
        amount = self.chance.randrange(1, 200)
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(milliseconds=3)
        self.session.failure(*self.chance.choice([
            ('SELECT bank.transfer(%s, %s, %s, NULL, %s)', one, two, amount, f'ref {amount}'),
            ('SELECT bank.deposit(%s, %s)', one, amount),
            ('SELECT bank.withdraw(%s, %s)', one, amount),
            ('SELECT bank.transfer(%s, %s, 1), bank.transfer(%s, %s, 2)', one, two, two, one),
            ('SELECT bank.hold(%s, %s, %s, %s)', one, two, amount,
             self.chance.choice(['infinity', soon])),
            (f'SELECT bank.{self.chance.choice(["post", "void"])}_hold(hold_id) FROM bank.holds '
             'WHERE state = %s AND from_account = %s LIMIT 1', 'pending', one),
            ('SELECT bank.transfer_batch(%s::uuid[], %s::uuid[], %s)', [one, two, one],
             [two, one, two], [amount, 1, 2]),
            ('SELECT bank.reverse(transfer_id) FROM bank.statement(%s, %s, %s) '
             'WHERE kind = %s ORDER BY version DESC LIMIT 1', one, *EVER, 'transfer'),
            ('SELECT bank.set_limit(%s, %s)', one, amount * 1000),
        ]))

    def moment(self, journal):
        """A date that is an entry's, or just beside it, or no entry's."""
        beside = datetime.timedelta(microseconds=self.chance.choice([-1, 0, 0, 1, 10**9]))
        return self.chance.choice(journal)[1] + beside


@pytest.fixture(scope='module')
def book():
    made = Book(seed=20)
    made.session.rows('SELECT bank.deposit(a, 100000) FROM unnest(%s::uuid[]) AS a', made.accounts)
    for _ in range(600):
        made.post()
    # long stretches with nothing but transfers in them
    for _ in range(150):
        made.session.rows('SELECT bank.deposit(%s, 1)', made.accounts[1])
    # long stretches with no transfer in them
    for _ in range(150):
        made.session.rows('SELECT bank.set_limit(%s, %s)', made.accounts[0],
                          made.chance.randrange(10**9))
    made.session.rows('SELECT bank.deposit(%s, 1)', made.accounts[0])
    kinds = {row[0] for row in made.session.rows(
        'SELECT kind FROM bank_ledger.account_event WHERE account_id = ANY (%s::uuid[]) UNION '
        'SELECT kind FROM bank_ledger.transfer WHERE from_account = ANY (%s::uuid[])',
        made.accounts, made.accounts)}
    assert kinds >= {'created', 'hold_created', 'hold_posted', 'hold_voided', 'hold_expired',
                     'limit_set', 'transfer', 'withdrawal', 'reversal'}
    return made


def test_any_page_is_what_the_journal_says(book):
    for account in book.accounts:
        journal = book.journal(account)
        assert len(journal) > 3 * 64, 'there are some stretches'
        for _ in range(150):
            since, until = sorted([book.moment(journal), book.moment(journal)])
            after = book.chance.choice([None, book.chance.randrange(len(journal) + 2)])
            max_rows = book.chance.choice([1, 7, 64, 1000])
            page = book.session.rows(STATEMENT, account, since, until, after, max_rows)
            assert page == expected(journal, since, until, after, max_rows), \
                (since, until, after, max_rows)
            assert adds_up(page)


def test_any_date_has_the_balance_that_the_journal_says(book):
    for account in book.accounts:
        journal = book.journal(account)
        for _ in range(150):
            at = book.moment(journal)
            version, _, balance, _ = state(journal, sum(row[1] <= at for row in journal))
            assert book.session.rows(AT, account, at)[0][:2] == (balance, version)


def read_pages(session, account, max_rows, until_version):
    """Pages from the beginning on, until one ends at the version or later."""
    pages, after = [], None
    while not pages or pages[-1][-1][1] < until_version:
        page = session.rows(STATEMENT, account, *EVER, after, max_rows)
        pages.append(page)
        if len(page) > 2:
            after = page[-2][1]
    return pages


def test_pages_stay_consistent_while_transfers_go_on(book):
    poster = Book(seed=21)
    poster.accounts = book.accounts
    account = book.accounts[1]
    last = book.session.value('SELECT version FROM bank.ledger_balance(%s)', account) + 100
    ended = threading.Event()

    def post():
        while not ended.is_set():
            poster.post()

    thread = threading.Thread(target=post)
    thread.start()
    try:
        pages = read_pages(book.session, account, 10, last)
    finally:
        ended.set()
        thread.join()
    lines = [row for page in pages for row in page[1:-1]]
    journal = [('entry', *row) for row in book.journal(account) if row[2] is not None]
    assert lines == journal[:len(lines)], 'no line is missing, and none comes twice'
    assert lines[-1][1] >= last - 10
    for page, following in zip(pages, pages[1:]):
        assert adds_up(page)
        assert following[0][7] == page[-1][7], 'a page begins with what the one before ended with'


def test_one_snapshot_has_one_statement(book):
    reader, account = Session(), book.accounts[0]
    reader.rows('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    before = reader.rows(STATEMENT, account, *EVER, None, 10000)
    book.session.rows('SELECT bank.deposit(%s, 5)', account)
    assert reader.rows(STATEMENT, account, *EVER, None, 10000) == before
    assert reader.rows(AT, account, 'infinity')[0][:2] == (before[-1][7], before[-1][1])
    reader.rows('COMMIT')
    after = reader.rows(STATEMENT, account, *EVER, None, 10000)
    assert after[-1][7] == before[-1][7] + 5


def test_a_broken_chain_is_said(book):
    """What a superuser took away is named, and is no crash and no loop."""
    session, account = Session(), book.accounts[2]
    journal = [row for row in book.journal(account) if row[2] is not None]
    missing, looping = journal[len(journal) // 2][2], journal[len(journal) // 4]
    side = '''UPDATE bank_ledger.transfer SET from_previous = transfer_id, to_previous = transfer_id
              WHERE transfer_id = %s'''
    for change in ('DELETE FROM bank_ledger.transfer WHERE transfer_id = %s', side):
        session.rows('BEGIN')
        session.rows('ALTER TABLE bank_ledger.transfer DISABLE TRIGGER USER')
        session.rows(change, missing if change != side else looping[2])
        failure = session.failure(STATEMENT, account, *EVER, None, 10000)
        session.rows('ROLLBACK')
        assert failure[0] == 'XX001' and account in failure[1]


def test_a_missing_index_is_said(book):
    session = Session()
    session.rows('BEGIN')
    session.rows('DROP INDEX bank_ledger.transfer_to_waypoint_idx')
    failure = session.failure(STATEMENT, book.accounts[0], *EVER, None, 10000)
    session.rows('ROLLBACK')
    assert failure[0] == '42704'


# Up to which date a balance will not change any more.

@pytest.fixture
def poster():
    """A session that has posted and not yet committed, and its start."""
    made = Book(seed=22, accounts=1)
    made.session.rows('BEGIN')
    made.session.rows('SELECT bank.deposit(%s, 10)', made.accounts[0])
    made.start = made.session.value(START, made.session.pid)
    yield made
    made.session.connection.rollback()
    made.session.rows('ROLLBACK')


def complete_until(session, account, at='infinity'):
    return session.rows(AT, account, at)[0][2]


@pytest.fixture
def account(session):
    session.rows("SET TimeZone = 'UTC'")
    return session.value(CREATE, str(uuid.uuid4()))


def test_a_running_posting_bounds_what_is_complete(session, poster, account):
    assert complete_until(session, account) <= poster.start
    wait_until(lambda: complete_until(session, account) == poster.start, 'nobody else posts')
    poster.session.rows('COMMIT')
    wait_until(lambda: complete_until(session, account) > poster.start, 'nobody posts')
    before = session.value('SELECT clock_timestamp()')
    wait_until(lambda: complete_until(session, account) >= before, 'nobody posts')


def test_a_posting_in_a_subtransaction_bounds_it_too(session, account, operator):
    # where it is not known to whom a subtransaction belongs, it would be NEVER
    operator.rows('TRUNCATE bank_ledger.heartbeat')
    poster = Book(seed=23, accounts=1)
    poster.session.rows('BEGIN')
    poster.session.rows('SAVEPOINT one')
    poster.session.rows('SELECT bank.deposit(%s, 10)', poster.accounts[0])
    poster.session.rows('SAVEPOINT two')
    poster.session.rows('SELECT bank.deposit(%s, 10)', poster.accounts[0])
    assert complete_until(session, account) > NEVER
    start = poster.session.value(START, poster.session.pid)
    wait_until(lambda: complete_until(session, account) == start, 'nobody else posts')
    poster.session.rows('COMMIT')


def test_a_reader_does_not_bound_it(session, account):
    reader = Session()
    reader.rows('BEGIN ISOLATION LEVEL REPEATABLE READ')
    start = reader.value('SELECT now() FROM bank_ledger.account LIMIT 1')
    wait_until(lambda: complete_until(session, account) > start, 'nobody posts')
    reader.rows('COMMIT')


def test_ones_own_postings_are_seen(session, account):
    session.rows('BEGIN')
    start = session.value('SELECT now()')
    session.rows('SELECT bank.deposit(%s, 7)', account)
    assert session.rows(AT, account, 'infinity')[0][:2] == (7, 2)
    wait_until(lambda: complete_until(session, account) > start, 'nobody else posts')
    session.rows('ROLLBACK')


def test_who_ends_before_he_is_looked_for_is_seen(session, account, operator):
    """However old the snapshot of the statement that calls is."""
    operator.rows('SELECT pg_advisory_lock(20)')
    waits = "SELECT version FROM bank.balance_at(%s, CASE WHEN pg_advisory_lock(20) IS NULL " \
            "THEN NULL ELSE 'infinity'::timestamptz END)"
    thread, result = in_background(lambda: session.value(waits, account))
    try:
        wait_until(lambda: operator.rows('SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted',
                                         session.pid), 'the statement has its snapshot')
        operator.rows('SELECT bank.deposit(%s, 1)', account)
    finally:
        operator.rows('SELECT pg_advisory_unlock(20)')
    thread.join(DEADLINE)
    assert result == [2]


def test_it_needs_no_right_to_see_who_runs(session, poster, account, operator):
    operator.rows('CREATE ROLE reader LOGIN')
    operator.rows('GRANT USAGE ON SCHEMA bank TO reader')
    operator.rows('GRANT EXECUTE ON FUNCTION bank.balance_at TO reader')
    try:
        reader = Session(user='reader')
        reader.rows("SET TimeZone = 'UTC'")
        assert reader.value(START, poster.session.pid) is None
        assert complete_until(reader, account) <= poster.start
        wait_until(lambda: complete_until(reader, account) == poster.start, 'nobody else posts')
        reader.connection.close()
    finally:
        operator.rows('DROP OWNED BY reader')
        operator.rows('DROP ROLE reader')


def test_a_prepared_posting_is_bounded_by_a_heartbeat(session, poster, account, operator):
    # heartbeats of before do not count here
    operator.rows('TRUNCATE bank_ledger.heartbeat')
    poster.session.rows("PREPARE TRANSACTION 'bank statement'")
    try:
        assert complete_until(session, account) == NEVER
        operator.rows('SELECT bank_ledger.beat()')
        assert complete_until(session, account) == NEVER
    finally:
        poster.session.rows("ROLLBACK PREPARED 'bank statement'")
    beat = operator.value('SELECT at FROM bank_ledger.heartbeat')
    poster.session.rows('BEGIN')
    poster.session.rows('SELECT bank.deposit(%s, 10)', poster.accounts[0])
    poster.session.rows("PREPARE TRANSACTION 'bank statement'")
    try:
        assert complete_until(session, account) == beat
        operator.rows('SELECT bank_ledger.beat()')
        assert complete_until(session, account) == beat
    finally:
        poster.session.rows("ROLLBACK PREPARED 'bank statement'")


def test_a_posting_that_shows_no_start_is_bounded_by_a_heartbeat(session, account, operator):
    operator.rows('SELECT bank_ledger.beat()')
    beat = operator.value('SELECT max(at) FROM bank_ledger.heartbeat')
    poster = Book(seed=24, accounts=1)
    poster.session.rows('SET track_activities = off')
    poster.session.rows('BEGIN')
    poster.session.rows('SELECT bank.deposit(%s, 10)', poster.accounts[0])
    operator.rows('SELECT bank_ledger.beat()')
    assert complete_until(session, account) == beat
    poster.session.rows('COMMIT')


def test_a_snapshot_from_before_is_bounded_by_a_heartbeat(session, account, operator):
    operator.rows('SELECT bank_ledger.beat()')
    beat = operator.value('SELECT max(at) FROM bank_ledger.heartbeat')
    session.rows('BEGIN ISOLATION LEVEL REPEATABLE READ')
    found = complete_until(session, account)
    operator.rows('SELECT bank.deposit(%s, 1)', account)
    operator.rows('SELECT bank_ledger.beat()')
    assert complete_until(session, account) == found <= beat
    session.rows('COMMIT')


def test_what_is_complete_never_changes():
    """Answers got while others post, some of them slowly, hold at the end."""
    books = [Book(seed=30 + n) for n in range(4)]
    accounts = books[0].accounts
    ended = threading.Event()

    def post(book):
        book.accounts = accounts
        while not ended.is_set():
            book.session.rows('BEGIN')
            book.session.failure('SELECT bank.deposit(%s, 1)', book.chance.choice(accounts))
            book.session.rows('SELECT pg_sleep(%s)', book.chance.choice([0, 0, 0.002, 0.02]))
            book.session.rows(book.chance.choice(['COMMIT', 'COMMIT', 'ROLLBACK']))

    threads = [threading.Thread(target=post, args=[book]) for book in books]
    for thread in threads:
        thread.start()
    answers = []
    reader = Book(seed=40, accounts=1)
    try:
        for _ in range(600):
            account = reader.chance.choice(accounts)
            at = reader.session.value('SELECT clock_timestamp() - random() * %s::interval',
                                      reader.chance.choice(['60 ms', '5 s']))
            balance, version, until = reader.session.rows(AT, account, at)[0]
            answers.append((account, at, balance, version, until))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    journals = {account: reader.journal(account) for account in accounts}
    complete = [answer for answer in answers if answer[1] < answer[4]]
    assert len(complete) > 100
    for account, at, balance, version, _ in complete:
        journal = journals[account]
        assert (version, balance) == state(journal, sum(row[1] <= at for row in journal))[::2]
    changed = [answer for answer in answers if answer[1] >= answer[4] and answer[3] !=
               sum(row[1] <= answer[1] for row in journals[answer[0]])]
    assert changed, 'some of the others changed, or this shows nothing'
