"""A broker that refuses for good: a record for its size, a topic that is gone.
Nothing is acknowledged that is not in Kafka; what is wrong is named; and all is
well once it is put right."""
import re

import orders
from brokers import (ROLES, here, is_not_ready, require_held_up, run_once, stays, stop_bridge,
                     unconfirmed)
from faults import counted, own_bridge, under_load
from stack import RUN, eventually

LOG = RUN / 'log/bridge.log'


def test_record_refused_for_its_size(stack):
    """It is named, with exit code 5, and nothing after it is confirmed."""
    broker = stack.env['BANK_KAFKA_BROKERS']
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    stack.quiet()
    said = LOG.stat().st_size
    orders.set_topic(broker, 'bank.transfers', 'max.message.bytes', '500')
    try:
        with counted(stack, 'publish_delivery_errors_total'):
            moved = stack.transfer(payer, payee, 1)['transfer_id']
            after = here(stack)
            eventually(lambda: is_not_ready(stack, 'publish', 'exit code 5'), 'publish ends')
        assert re.search(f'"kafka refuses a record" topic=bank.transfers record={moved} '
                         r'error="Broker: Message size too large" hint=.*max\.message\.bytes',
                         LOG.read_bytes()[said:].decode())
        with under_load(stack):
            stays(lambda: unconfirmed(stack, after))
            assert not stack.notification(moved)
            orders.set_topic(broker, 'bank.transfers', 'max.message.bytes', None)
    finally:
        orders.set_topic(broker, 'bank.transfers', 'max.message.bytes', None)


def test_deleted_topics(stack):
    """Made again they are empty, which is seen, and what they had is sent from
    the journal."""
    with under_load(stack):
        for topic in ('bank.transfers', 'bank.balances'):
            orders.delete_topic(stack.env['BANK_KAFKA_BROKERS'], topic)
        require_held_up(stack, 'kafka lacks a topic')
        stop_bridge(stack)
        run_once('init')
        with own_bridge('run', ','.join(ROLES)) as bridge:
            assert bridge.wait(60) == 4
            assert re.search('"topic was made anew or has lost records" topic=bank.(balances|'
                             'transfers) .*hint="Run bank-bridge rebuild."', bridge.said())
        run_once('rebuild')
        stack.up()
