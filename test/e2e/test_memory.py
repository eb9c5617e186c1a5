"""The bridge stays small while it catches up."""
import os

import pytest

import checker
from faults import Beside, require_ended
from stack import eventually, kill, script

pytestmark = pytest.mark.usefixtures('made_anew')

LIMIT = 50 * 1024 * 1024 * int(os.environ.get('BANK_MEMORY_FACTOR', '1'))
ACCOUNTS, CHANGES = 300, 200    # events of one transaction
BATCH = 5000                    # transfers of each of the others
CATCH_UP_S = 300


class Watch(Beside):
    """Measures the bridge's memory, or something else, until it is told to stop."""

    def __init__(self, stack, measure=None):
        super().__init__()
        self.measure, self.peak = measure or stack.bridge_memory, 0

    def run(self):
        while not self.over.wait(0.05):
            self.peak = max(self.peak, self.measure())


def late(stack, role):
    """Watches how far behind a role is."""
    return Watch(stack, lambda: stack.metric(f'{role}_lag_records'))


def move(stack, payer, payee, count):
    """So many transfers to and fro, in batches."""
    for _ in range(count // BATCH):
        results = stack.ledger.rows(
            'SELECT result, count(*) FROM bank.transfer_batch('
            '  (SELECT array_agg(CASE WHEN n %% 2 = 0 THEN %s ELSE %s END::uuid)'
            '   FROM generate_series(1, %s) AS n),'
            '  (SELECT array_agg(CASE WHEN n %% 2 = 1 THEN %s ELSE %s END::uuid)'
            '   FROM generate_series(1, %s) AS n),'
            '  array_fill(1::bigint, ARRAY[%s]), array_fill(NULL::uuid, ARRAY[%s]))'
            ' GROUP BY result', payer, payee, BATCH, payer, payee, BATCH, BATCH, BATCH)
        assert results == [{'result': 'ok', 'count': BATCH}], results


def test_memory_through_a_catch_up(stack):
    """One transaction of many events, and batches of transfers, all at once."""
    customer, payer, payee = stack.customer('BRL', 'BRL', money=BATCH)
    stack.ledger.rows('SELECT bank.create_account(%s) FROM generate_series(3, %s)',
                      customer, ACCOUNTS)
    supervisor = stack.part('bridge')
    kill(supervisor, 15)
    require_ended([supervisor])
    stack.ledger.rows('SELECT bank.set_limit(account_id, n) FROM bank_ledger.account, '
                      'generate_series(1000001, %s) AS n WHERE customer_id = %s',
                      1000000 + CHANGES, customer)
    move(stack, payer, payee, BATCH)
    script('up')
    with Watch(stack) as watch, late(stack, 'project') as project, late(stack, 'report') as report:
        stack.published()
        eventually(lambda: stack.metric('project_lag_records') == 0
                   and stack.metric('report_lag_records') == 0, 'all is stored', CATCH_UP_S)
    assert watch.peak < LIMIT, f'{watch.peak} bytes'
    assert project.peak > 0 and report.peak > 0, 'that they are late is told'
    stack.quiet()
    for role in ('project', 'report'):
        eventually(lambda role=role: float(stack.sample(f'{role}_lag_seconds')) < 1,
                   f'{role} is not late')
    checker.require_sound(stack)
