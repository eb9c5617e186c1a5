"""The bridge catches up with a million transfers, and stays small.  The last of
make chaos, since BACEN is told of none of them."""
import os
import signal

import checker
from faults import require_ended
from stack import eventually, kill, script
from test_memory import BATCH, LIMIT, Watch, move

TRANSFERS = int(os.environ.get('BANK_CHAOS_TRANSFERS', '1000000'))
LONG_S = 1800


def test_memory_through_a_million_transfers(stack):
    """BACEN is away, so that its part, which is the retry's, is not waited for."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=BATCH)
    stack.bacen_answers({'status': 503, 'times': 0})
    supervisor = stack.part('bridge')
    kill(supervisor, signal.SIGTERM)
    require_ended([supervisor])
    move(stack, payer, payee, TRANSFERS)
    script('up')
    with Watch(stack) as watch:
        stack.published(LONG_S)
        eventually(lambda: stack.metric('project_lag_records') == 0
                   and stack.metric('report_lag_records') == 0, 'all is stored', LONG_S)
    assert watch.peak < LIMIT, f'{watch.peak} bytes'
    journal = checker.Journal(stack.ledger)
    records = checker.without_later_seals(
        stack, journal, checker.read_topics(stack.env['BANK_KAFKA_BROKERS']))
    found = checker.check_events(journal, records) + checker.check_once(records)
    assert not found, checker.shortened(found)
