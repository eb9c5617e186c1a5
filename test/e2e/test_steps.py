"""Killed at each step of a record's way: project and report before the
database, between it and what comes after, and at the end; and the backend that
sends again.  What was done is not done twice, what was not is done."""
import contextlib
import signal

import psycopg2
import pytest

import checker
from stack import ended, eventually, kill

WAITS = ("SELECT 1 FROM pg_stat_activity WHERE application_name = %s "
         "AND wait_event_type = 'Lock'")


@pytest.fixture(name='pair')
def pair_with_money(stack):
    pair = stack.customer('BRL', 'BRL', money=100)[1:]
    stack.quiet()
    return pair


@pytest.fixture(autouse=True)
def everything_is_sound(stack):
    yield
    stack.bacen_answers()
    stack.quiet()
    checker.require_sound(stack)


def kill_role(stack, role):
    """Kills it; answers when the next one works."""
    killed = stack.health()['roles'][role]['pid']
    kill(killed)
    eventually(lambda: stack.role(role) not in (None, killed), f'{role} works again')


@contextlib.contextmanager
def locked(session, table):
    """Nobody reads or writes the table while the block lasts."""
    session.begin()
    session.rows(f'LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE')
    yield
    session.commit()


def moved(stack, pair):
    return stack.transfer(*pair, 1)['transfer_id']


def version_of(stack, account):
    return stack.ledger.row('SELECT version FROM bank_ledger.account WHERE account_id = %s',
                            account)['version']


def is_applied(stack, account):
    return stack.search.row('SELECT 1 FROM bank_search.balance WHERE account_id = %s '
                            'AND version = %s', account, version_of(stack, account))


def test_project_before_the_database(stack, pair):
    with locked(stack.session(stack.env['BANK_SEARCH_DATABASE']), 'bank_search.balance'):
        moved(stack, pair)
        eventually(lambda: stack.search.row(WAITS, 'bank-bridge project'), 'it waits')
        kill(stack.role('project'))


def test_project_between_database_and_redis(stack, pair):
    redis = stack.part('redis')
    kill(redis, signal.SIGSTOP)
    try:
        moved(stack, pair)
        eventually(lambda: is_applied(stack, pair[0]), 'the database has it')
        kill(stack.health()['roles']['project']['pid'])
    finally:
        kill(redis, signal.SIGCONT)


def test_project_after_redis(stack, pair):
    """Before it has stored that Redis has it."""
    moved(stack, pair)
    eventually(lambda: stack.redis.balance(pair[0]).get('version')
               == str(version_of(stack, pair[0])), 'Redis has it')
    kill_role(stack, 'project')


def test_report_before_the_database(stack, pair):
    """What it asked for may still be done, and then nobody sends it but the retry."""
    with locked(stack.session(), 'bank_report.notification'):
        transfer = moved(stack, pair)
        eventually(lambda: stack.ledger.row(WAITS, 'bank-bridge report'), 'it waits')
        kill(stack.role('report'))
    stack.quiet()
    assert len(stack.heard(transfer)) == 1


def test_report_between_database_and_bacen(stack, pair):
    """The retry takes over, and not before the lease has ended."""
    bacen = stack.part('bacen')
    kill(bacen, signal.SIGSTOP)
    try:
        transfer = moved(stack, pair)
        stack.notified(transfer, 'sending')
        kill_role(stack, 'report')
    finally:
        kill(bacen, signal.SIGCONT)
    require_one_more(stack, transfer)


def test_report_between_bacen_and_its_result(stack, pair):
    stack.bacen_answers({'delay_ms': 1000, 'times': 1})
    transfer = moved(stack, pair)
    stack.notified(transfer, 'sending')
    report = stack.role('report')
    kill(report, signal.SIGSTOP)
    eventually(lambda: stack.heard(transfer), 'BACEN has it')
    kill(report)
    eventually(lambda: stack.role('report') not in (None, report), 'report works again')
    require_one_more(stack, transfer)
    assert [entry['accepted'] for entry in stack.heard(transfer)] == [True, False]


def require_one_more(stack, transfer):
    """An attempt that nobody knows the end of is made again when its lease has
    ended, once."""
    row = stack.notification(transfer)
    stack.retry()
    assert stack.notification(transfer) == row, 'its lease has not ended'
    stack.ledger.rows('UPDATE bank_report.notification SET next_attempt_at = now() '
                      'WHERE transfer_id = %s', transfer)
    stack.retry()
    after = stack.notification(transfer)
    assert (after['state'], after['attempts']) == ('delivered', row['attempts'] + 1)
    assert sum(entry['accepted'] for entry in stack.heard(transfer)) == 1


def test_backend_that_sends_again(stack, pair):
    """kill -9 of it is a crash of the server, and the lease still counts."""
    stack.bacen_answers({'status': 503, 'times': 1})
    transfer = moved(stack, pair)
    stack.notified(transfer, 'pending')
    stack.bacen_answers({'delay_ms': 20000, 'times': 1})
    stack.ledger.rows('UPDATE bank_report.notification SET next_attempt_at = now() '
                      'WHERE transfer_id = %s', transfer)
    session = stack.session(PGUSER='bank_report')
    backend = session.row('SELECT pg_backend_pid() AS pid')['pid']
    call = stack.in_thread(session.rows, 'CALL bank_report.retry()')
    eventually(lambda: len(stack.heard(transfer)) == 2, 'it is under way')
    kill(backend)
    with pytest.raises(psycopg2.OperationalError):
        call.result(60)
    eventually(lambda: ended(backend), 'it is gone')
    eventually(lambda: answers(stack), 'the server is back')
    stack.up()
    assert stack.notification(transfer)['state'] == 'sending'
    require_one_more(stack, transfer)


def answers(stack):
    try:
        return stack.session()
    except psycopg2.OperationalError:
        return None
