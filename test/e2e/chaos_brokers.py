"""Three brokers, of which two must have a record: whoever leads is killed under
load, again and again.  A right that is taken, a password that is changed, a topic made
anew behind the bridge's back.  Run by make chaos."""
import os

import checker
import orders
from brokers import Brokers, bridge_on, require_held_up, run_once
from faults import under_load
from stack import ended, eventually

ROUNDS = int(os.environ.get('BANK_CHAOS_LEADERS', '10'))
LONG_S = 600
TOPIC = 'bank.balances'


def leader(brokers):
    """The node that leads most partitions of a topic."""
    numbers = [number for number, _ in brokers.leaders(TOPIC).values()]
    return next((node for node in brokers.nodes
                 if numbers and node.number == max(numbers, key=numbers.count)), None)


def is_whole(brokers):
    found = brokers.leaders(TOPIC)
    return found and all(len(in_sync) == len(brokers.nodes) for _, in_sync in found.values())


def test_leader_killed_again_and_again(stack):
    """No record is lost, none is out of order, none comes twice."""
    with Brokers(stack, count=3) as brokers, bridge_on(stack, brokers), \
            under_load(stack, within_s=LONG_S) as load:
        for _ in range(ROUNDS):
            killed = eventually(lambda: leader(brokers), 'somebody leads')
            records = stack.metric('publish_acknowledged_total')
            brokers.kill(killed)
            eventually(lambda: stack.metric('publish_acknowledged_total') > records + 100,
                       'others lead, and take records', LONG_S)
            brokers.start(killed)
            eventually(lambda: is_whole(brokers), 'all are in sync', LONG_S)
            more = len(load.outcomes.done) + 10
            eventually(lambda: load.reached(more), 'postings between two kills')


SASL = {'kafka_security_protocol': 'SASL_PLAINTEXT', 'kafka_sasl_mechanism': 'PLAIN',
        'kafka_sasl_username': 'bank', 'kafka_sasl_password': 'first'}
RIGHTS = (('User:bank', orders.TOPIC, 'bank.', orders.PREFIXED),
          ('User:bank', orders.GROUP, 'bank-bridge.', orders.PREFIXED))


def guarded(password):
    """Settings of a broker that asks for a password and looks at rights."""
    return ('authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
            'super.users=User:ANONYMOUS', 'sasl.enabled.mechanisms=PLAIN',
            'listener.name.bridge.plain.sasl.jaas.config='
            'org.apache.kafka.common.security.plain.PlainLoginModule required '
            f'user_bank="{password}";')


def test_right_taken_and_password_changed(stack):
    [broker] = (brokers := Brokers(stack, further=guarded('first'),
                                   protocol='SASL_PLAINTEXT')).nodes
    with brokers:
        for right in RIGHTS:
            orders.grant(brokers.address, *right)
        with bridge_on(stack, brokers, **SASL), under_load(stack):
            orders.revoke(brokers.address, *RIGHTS[0])
            require_held_up(stack, 'kafka refuses a right')
            orders.grant(brokers.address, *RIGHTS[0])
            eventually(lambda: stack.health()['healthy'], 'all work again')
            for password in ('second', 'first'):
                brokers.further = guarded(password)
                brokers.kill(broker)
                brokers.start(broker)
                if password == 'second':
                    require_held_up(stack, 'kafka refuses the login')
            eventually(lambda: stack.health()['healthy'], 'all work again')


def test_topic_made_anew_behind_its_back(stack):
    """The first record that lands before the last one is not acknowledged; the
    bridge ends, and says that rebuild helps."""
    stack.customer('BRL')
    stack.quiet()
    bridge = stack.part('bridge')
    orders.delete_topic(stack.env['BANK_KAFKA_BROKERS'], 'bank.accounts')
    run_once('init')
    eventually(lambda: stack.customer('BRL') and ended(bridge), 'the bridge ends')
    run_once('rebuild')
    stack.up()
    stack.quiet()
    checker.require_sound(stack)
