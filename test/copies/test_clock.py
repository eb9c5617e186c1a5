"""A machine's clock that steps, on a server of our own whose time comes from
libfaketime: entries stay in the order of their versions and before closings
(invariant 4), what lies too far ahead is refused until somebody accepts it,
holds that are over stay over, and limits count by the local day of the entry."""
import datetime
import glob
import os
import random
import shutil
import threading
import uuid

import psycopg2
import pytest

from server import RUN, Copy, Session, give_to_server, run

LIBRARY = '/usr/lib/*/faketime/libfaketime.so.1'
LEAD_S = 10                         # bank.max_clock_lead
SAO_PAULO = datetime.timezone(datetime.timedelta(hours=-3))
HOUR_S, DAY_S = 3600, 86400


class Clock:
    """The server's clock: the machine's, moved."""

    def __init__(self):
        self.file = RUN / 'clock'
        self.offset = 0
        self.move(0)

    def move(self, seconds):
        self.offset += seconds
        new = self.file.with_suffix('.new')
        new.write_text(f'{self.offset:+.3f}\n')
        give_to_server(new)
        os.replace(new, self.file)

    def now(self):
        return (datetime.datetime.now(datetime.timezone.utc)
                + datetime.timedelta(seconds=self.offset))

    def go_to(self, hour, minute=0, second=0):
        """To the next such time of day in São Paulo, a day ahead at least."""
        there = (self.now().astimezone(SAO_PAULO) + datetime.timedelta(days=1)).replace(
            hour=hour, minute=minute, second=second, microsecond=0)
        self.move((there - self.now()).total_seconds())

    def environment(self):
        return ['env', f'LD_PRELOAD={glob.glob(LIBRARY)[0]}', 'FAKETIME_NO_CACHE=1',
                f'FAKETIME_TIMESTAMP_FILE={self.file}', 'FAKETIME_DONT_FAKE_MONOTONIC=1']


@pytest.fixture(scope='module')
def stepping():
    """The clock, and a server that lives by it."""
    clock, copy = Clock(), Copy('clock', 4)
    settings = (RUN / 'postgresql/stack.conf').read_text()
    try:
        run(shutil.which('initdb'), '-D', str(copy.folder), '-U', 'postgres', '-A', 'trust',
            '-N', '-E', 'UTF8', '--locale=C.UTF-8', '--no-instructions')
        # The job runner has a clock of its own to keep, and is not asked here.
        copy.write('postgresql.conf', settings + "shared_preload_libraries = ''\n", 'a')
        copy.log.touch()
        give_to_server(copy.log)
        run(*clock.environment(), copy.pg_ctl, '-D', str(copy.folder), '-l', str(copy.log), '-w',
            '-o', f'-p {copy.port}', 'start')
        copy.session('postgres').rows('CREATE DATABASE bank')
        copy.session().rows("CREATE EXTENSION bank; SELECT bank_ledger.init('ledger', 'clock')")
        yield clock, copy
    finally:
        copy.stop()


class Teller(Session):
    """Two accounts of one holder with money, and a third that is empty."""

    def __init__(self, clock, port):
        super().__init__(port=port)
        self.clock = clock
        self.rows("SET client_min_messages = warning; SET timezone = 'UTC'")
        self.holder = str(uuid.uuid4())
        self.a, self.b, self.empty = (self.value(
            'SELECT account_id FROM bank.create_account(%s)', self.holder) for _ in range(3))
        self.rows('SELECT bank.deposit(%s, 1000)', self.a)

    def transfer(self, amount=1):
        return self.rows('SELECT * FROM bank.transfer(%s, %s, %s)', self.a, self.b, amount)[0]

    def refusal(self, amount=1):
        return self.state_of('SELECT bank.transfer(%s, %s, %s)', self.a, self.b, amount)

    def hold(self, lasts, amount=1000):
        until = self.clock.now() + datetime.timedelta(seconds=lasts)
        return self.value('SELECT hold_id FROM bank.hold(%s, %s, %s, %s)',
                          self.a, self.b, amount, until)

    def balance(self, account=None):
        return self.rows('SELECT * FROM bank.ledger_balance(%s)', account or self.a)[0]

    def ahead(self):
        """The accounts of ours that verify() finds ahead of the clock."""
        found = {row['subject'].removeprefix('account ') for row in
                 self.rows("SELECT subject FROM bank.verify() WHERE invariant = '4'")}
        assert self.value('SELECT bank_ledger.accounts_ahead()') == len(found)
        return found & {self.a, self.b, self.empty}

    def accept(self, *accounts):
        for account in accounts:
            self.rows('SELECT bank.accept_clock(%s)', account)


# Of every account: an entry dated before the one before, or at the closing or after it.
OUT_OF_ORDER = """
    WITH entry AS (
        SELECT account_id, version, occurred_at AS at, kind FROM bank_ledger.account_event
        UNION ALL SELECT from_account, from_version, completed_at, kind FROM bank_ledger.transfer
        UNION ALL SELECT to_account, to_version, completed_at, kind FROM bank_ledger.transfer)
    SELECT * FROM (
        SELECT e.*, a.closed_at,
               lag(e.at) OVER (PARTITION BY e.account_id ORDER BY e.version) AS before
        FROM entry AS e JOIN bank_ledger.account AS a USING (account_id)) AS e
    WHERE e.at < e.before OR e.kind <> 'inactivated' AND e.at >= e.closed_at"""


@pytest.fixture
def teller(stepping):
    """At noon of a later day than all before; what was done there is sound."""
    clock, copy = stepping
    clock.go_to(12)
    made = Teller(clock, copy.port)
    yield made
    clock.go_to(12)
    assert made.rows(OUT_OF_ORDER) == []
    assert made.rows('SELECT * FROM bank.verify()') == []


def test_a_small_step_back_is_let_pass(teller):
    first = teller.transfer()
    teller.clock.move(-LEAD_S / 2)
    second = teller.transfer()
    assert second['completed_at'] == first['completed_at'], 'no earlier, and no later'
    teller.clock.move(LEAD_S)
    assert teller.transfer()['completed_at'] > first['completed_at']


def test_a_large_step_back_is_refused_until_the_clock_has_come_up(teller):
    teller.transfer()
    teller.clock.move(-HOUR_S)
    calls = [f"bank.transfer('{teller.a}', '{teller.b}', 1)", f"bank.deposit('{teller.a}', 1)",
             f"bank.withdraw('{teller.a}', 1)",
             f"bank.hold('{teller.b}', '{teller.a}', 1, 'infinity')"]
    assert [teller.state_of(f'SELECT {call}') for call in calls] == ['LG020'] * len(calls)
    assert teller.value('SELECT result FROM bank.transfer_batch(ARRAY[%s]::uuid[], '
                        'ARRAY[%s]::uuid[], ARRAY[1])', teller.a, teller.b) == 'LG020'
    assert teller.ahead() == {teller.a, teller.b, teller.empty}
    assert teller.value('SELECT count(*) FROM bank.verify(%s)', teller.a) == 1
    teller.clock.move(HOUR_S)
    assert teller.ahead() == set()
    assert teller.refusal() == '00000'


def test_an_accepted_account_goes_on_at_its_last_date(teller):
    first = teller.transfer()
    teller.clock.move(-HOUR_S)
    teller.accept(teller.a)
    assert teller.refusal() == 'LG020', 'the other account was not accepted'
    teller.accept(teller.b, teller.b)
    assert teller.ahead() == {teller.empty}
    assert teller.transfer()['completed_at'] == first['completed_at']
    kinds = teller.rows("SELECT count(*) AS accepted FROM bank_ledger.account_event "
                        "WHERE kind = 'clock_accepted' AND account_id IN (%s, %s)",
                        teller.a, teller.b)
    assert kinds == [{'accepted': 2}], 'once for each'
    # What comes after the lead is a lead of its own.
    teller.clock.move(2 * HOUR_S)
    teller.transfer()
    teller.clock.move(-HOUR_S)
    assert teller.refusal() == 'LG020'


def test_the_refusal_names_the_account_that_stops_it(teller):
    """Not the one that is further ahead and was accepted."""
    teller.transfer()
    teller.clock.move(60)
    teller.rows('SELECT bank.deposit(%s, 1)', teller.a)
    teller.clock.move(-HOUR_S)
    teller.accept(teller.a)
    with pytest.raises(psycopg2.Error) as refused:
        teller.transfer()
    assert refused.value.pgcode == 'LG020'
    assert teller.b in refused.value.diag.message_detail
    teller.accept(teller.b)
    assert teller.refusal() == '00000'


def test_accepting_a_clock_that_is_right_does_nothing(teller):
    before = teller.balance()
    teller.accept(teller.a)
    assert teller.balance() == before


def test_a_closing_is_after_every_entry(teller):
    amount = teller.balance()['balance']
    last = teller.transfer(amount)['completed_at']
    teller.clock.move(-HOUR_S)
    closed = teller.value('SELECT closed_at FROM bank.inactivate_account(%s)', teller.a)
    assert closed == last + datetime.timedelta(microseconds=1)
    assert teller.state_of('SELECT bank.transfer(%s, %s, 1)', teller.b, teller.a) == 'LG004'


def test_an_expired_hold_is_not_revived(teller):
    hold = teller.hold(60)
    teller.clock.move(120)
    assert teller.balance()['available'] == 1000
    teller.transfer(1000)
    teller.clock.move(-120)
    teller.accept(teller.a, teller.b)
    assert teller.state_of('SELECT bank.post_hold(%s)', hold) == 'LG015'
    assert teller.state_of('SELECT bank.void_hold(%s)', hold) == 'LG015'
    assert teller.balance()['held'] == 0
    assert teller.refusal() == 'LG005'


def ended(teller, hold):
    """How often the journal ends the hold."""
    return teller.value("SELECT count(*) FROM bank_ledger.account_event "
                        "WHERE transfer_id = %s AND kind <> 'hold_created'", hold)


def assert_over(teller, hold):
    """To everybody who asks, although nobody has journalled it."""
    assert ended(teller, hold) == 0
    assert teller.state_of('SELECT bank.post_hold(%s)', hold) == 'LG015'
    assert teller.state_of('SELECT bank.void_hold(%s)', hold) == 'LG015'
    assert teller.balance()['available'] == 1000
    assert not teller.value('SELECT live FROM bank.holds WHERE hold_id = %s', hold)


def test_a_hold_that_its_payee_outlived_is_not_revived(teller):
    """Its payee was closed when it was over, and the payer was not touched."""
    hold = teller.hold(60)
    teller.clock.move(120)
    teller.rows('SELECT bank.inactivate_account(%s)', teller.b)
    teller.clock.move(-120)
    assert_over(teller, hold)
    assert teller.state_of('SELECT bank.transfer(%s, %s, 1000)', teller.a, teller.empty) == '00000'
    assert ended(teller, hold) == 1
    assert teller.balance()['held'] == 0


@pytest.mark.parametrize('call', [
    'hold(%(a)s, %(empty)s, 1000, %(until)s)', 'withdraw(%(a)s, 1000)', 'set_limit(%(a)s, 7)',
    'transfer_batch(ARRAY[%(a)s]::uuid[], ARRAY[%(empty)s]::uuid[], ARRAY[1000])'])
def test_whoever_writes_to_the_payer_then_ends_it(teller, call):
    hold = teller.hold(60)
    teller.clock.move(120)
    teller.rows('SELECT bank.deposit(%s, 1)', teller.b)
    teller.clock.move(-120)
    assert_over(teller, hold)
    until = teller.clock.now() + datetime.timedelta(seconds=HOUR_S)
    with teller.connection.cursor() as cursor:
        cursor.execute(f'SELECT bank.{call}', {**vars(teller), 'until': until})
    assert ended(teller, hold) == 1


def test_a_hold_that_its_payer_outlived_does_not_keep_its_payee(teller):
    """The payer's date came from a third account, and nothing was ended."""
    hold = teller.hold(60, 1)
    teller.clock.move(65)
    teller.rows('SELECT bank.deposit(%s, 5)', teller.empty)
    teller.clock.move(-8)
    teller.rows('SELECT bank.transfer(%s, %s, 5)', teller.empty, teller.a)
    assert ended(teller, hold) == 0
    assert teller.state_of('SELECT bank.inactivate_account(%s)', teller.b) == '00000'
    assert teller.state_of('SELECT bank.post_hold(%s)', hold) == 'LG015'


def test_a_hold_must_outlive_what_both_accounts_have_seen(teller):
    """Else it would be over as soon as it is made."""
    teller.clock.move(60)
    teller.rows('SELECT bank.deposit(%s, 1)', teller.b)
    teller.clock.move(-60)
    teller.accept(teller.b)
    until = teller.clock.now() + datetime.timedelta(seconds=30)
    assert teller.state_of('SELECT bank.hold(%s, %s, 1, %s)', teller.a, teller.b, until) == '22023'
    assert teller.state_of('SELECT bank.hold(%s, %s, 1, %s)', teller.a, teller.empty,
                           until) == '00000'


def test_a_limit_begins_anew_at_local_midnight(teller):
    teller.clock.go_to(23, 59, 50)
    teller.rows('SELECT bank.set_limit(%s, 100)', teller.a)
    assert [teller.refusal(60), teller.refusal(60)] == ['00000', 'LG012']
    raised = teller.rows('SELECT * FROM bank.set_limit(%s, 150)', teller.a)[0]
    assert (raised['daily_amount'], raised['next_amount']) == (100, 150)
    assert teller.refusal(41) == 'LG012', 'a higher one begins on the next day'
    teller.clock.move(15)
    assert [teller.refusal(130), teller.refusal(21)] == ['00000', 'LG012']
    # Back before midnight: the entry's date is still of the new day.
    teller.clock.move(-9)
    assert [teller.refusal(21), teller.refusal(20)] == ['LG012', '00000']


def test_a_hold_counts_for_its_own_day(teller):
    teller.clock.go_to(23, 59, 50)
    teller.rows('SELECT bank.set_limit(%s, 100)', teller.a)
    hold = teller.hold(HOUR_S, 70)
    assert teller.refusal(31) == 'LG012'
    teller.clock.move(15)
    assert teller.refusal(90) == '00000'
    teller.rows('SELECT bank.void_hold(%s)', hold)
    assert teller.refusal(11) == 'LG012', 'it gives nothing back to another day'
    assert teller.refusal(10) == '00000'


def test_a_removed_limit_counts_until_midnight(teller):
    teller.clock.go_to(23, 59, 50)
    teller.rows('SELECT bank.set_limit(%s, 100)', teller.a)
    teller.rows('SELECT bank.set_limit(%s, NULL)', teller.a)
    assert teller.refusal(101) == 'LG012'
    teller.clock.move(15)
    assert teller.refusal(101) == '00000'


NOTIFIED = """
    INSERT INTO bank_report.notification (transfer_id, customer_id, from_account, to_account,
        amount, currency, completed_at, state, attempts, requeued_after, next_attempt_at)
    VALUES (gen_random_uuid(), %s, %s, %s, 1, 'BRL', clock_timestamp(), %s, %s, %s,
            clock_timestamp() + %s::interval) RETURNING transfer_id"""


def test_a_step_back_keeps_no_notification(teller):
    """What is leased or due is neither earlier by a small step, nor an hour late
    by a large one."""
    def kept(state, attempts, until, requeued_after=0):
        return teller.value(NOTIFIED, teller.holder, teller.a, teller.b, state, attempts,
                            requeued_after, until)

    def tried():
        teller.rows('CALL bank_report.retry()')
        return {row['transfer_id'] for row in teller.rows(
            'DELETE FROM bank_report.notification WHERE attempts > 10 RETURNING transfer_id')}
    leased, longest = kept('sending', 10, '10 s'), kept('pending', 10, '1 hour')
    put_off = kept('pending', 10, '20 minutes')
    teller.clock.move(-LEAD_S / 2)
    assert tried() == set()
    untried, requeued = kept('pending', 0, '0 s'), kept('pending', 10, '0 s', 10)
    teller.rows('UPDATE bank_report.notification SET attempts = 10, requeued_after = 10 '
                'WHERE transfer_id = %s', untried)
    teller.clock.move(-HOUR_S / 2)
    assert tried() == {leased, longest, untried, requeued}
    teller.clock.move(-HOUR_S / 2)
    assert tried() == {put_off}


def work(clock, port, tellers, seed):
    """A session that moves money, holds, closes and opens as the clock steps."""
    dice, session = random.Random(seed), Session(port=port)
    for _ in range(60):
        teller = dice.choice(tellers)
        a, b = dice.sample([teller.a, teller.b, teller.empty], 2)
        until = clock.now() + datetime.timedelta(seconds=dice.choice([1, 60, 2 * HOUR_S]))
        call, values = dice.choice([
            ('transfer(%s, %s, %s)', (a, b, dice.randint(1, 50))), ('deposit(%s, 20)', (a,)),
            ('withdraw(%s, 5)', (a,)), ('hold(%s, %s, 3, %s)', (a, b, until)),
            ('accept_clock(%s)', (a,)), ('inactivate_account(%s)', (teller.empty,)),
            ('expire_holds()', ())])
        try:
            session.rows(f'SELECT bank.{call}', *values)
        except psycopg2.Error as error:
            assert error.pgcode in ('LG004', 'LG005', 'LG009', 'LG010', 'LG020', '22023'), error


def test_steps_at_random_under_load(teller, stepping):
    clock, copy = stepping
    seed = random.SystemRandom().getrandbits(32)
    dice = random.Random(seed)
    tellers = [teller, *(Teller(clock, copy.port) for _ in range(2))]
    failures = []

    def in_thread(number):
        try:
            work(clock, copy.port, tellers, seed + number)
        except BaseException as failure:                # a thread's end must be seen
            failures.append(failure)
    threads = [threading.Thread(target=in_thread, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        step = dice.choice([1, 3, 30, HOUR_S, DAY_S]) * dice.choice([-1, 1])
        clock.move(step)
        for thread in threads:
            thread.join(0.02)
        clock.move(-step)
    assert failures == [], f'seed {seed}'
    # The fixture sees that dates are in order, after a day on which all is past.
    clock.move(2 * DAY_S)
