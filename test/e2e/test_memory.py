"""The bridge stays small while it catches up."""
import threading

import checker
from faults import require_ended
from stack import eventually, kill, script

LIMIT = 50 * 1024 * 1024
EVENTS, TRANSFERS = 60000, 20000
BATCH = 10000
CATCH_UP_S = 300


class Watch(threading.Thread):
    """Measures the bridge's memory until it is told to stop."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.peak, self.over = stack, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            self.peak = max(self.peak, self.stack.bridge_memory())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


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
    _, payer, payee = stack.customer('BRL', 'BRL', money=BATCH)
    supervisor = stack.part('bridge')
    kill(supervisor, 15)
    require_ended([supervisor])
    stack.ledger.rows('SELECT bank.set_limit(%s, n) FROM generate_series(1000000, %s) AS n',
                      payer, 1000000 + EVENTS)
    stack.ledger.rows('SELECT bank.set_limit(%s, NULL)', payer)
    move(stack, payer, payee, TRANSFERS)
    script('up')
    with Watch(stack) as watch:
        stack.published()
        eventually(lambda: stack.metric('project_lag_records') == 0
                   and stack.metric('report_lag_records') == 0, 'all is stored', CATCH_UP_S)
    assert watch.peak < LIMIT, f'{watch.peak} bytes'
    stack.quiet()
    checker.require_sound(stack)
