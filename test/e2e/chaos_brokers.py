"""Three brokers, of which two must have a record: whoever leads is killed under
load, again and again; or one that follows stands still, and the publisher is
killed.  A right that is taken, a password that is changed, a topic made
anew behind the bridge's back.  Run by make chaos."""
import contextlib
import os
import signal

import checker
import orders
from brokers import Brokers, bridge_on, is_not_ready, require_held_up, run_once
from faults import under_load
from stack import ended, eventually, kill

ROUNDS = int(os.environ.get('BANK_CHAOS_LEADERS', '10'))
LONG_S = 600
TOPIC = 'bank.balances'
SENT = (TOPIC, 'bank.transfers')
IMPATIENT = ('replica.lag.time.max.ms=6000',)   # each start of ours waits for it too
SETTLING = (*checker.TOPICS, 'bank.bridge', 'bank.dead')
HIDDEN = 'waiting for what kafka may not show yet'
LACKING = 'kafka has too few replicas in sync'


def leader(brokers):
    """The node that leads most partitions of a topic."""
    numbers = [number for number, _ in brokers.leaders(TOPIC).values()]
    return next((node for node in brokers.nodes
                 if numbers and node.number == max(numbers, key=numbers.count)), None)


def is_whole(brokers):
    found = [brokers.leaders(topic) for topic in SENT]
    return all(found) and all(len(in_sync) == len(brokers.nodes)
                              for topic in found for _, in_sync in topic.values())


def test_leader_killed_again_and_again(stack):
    """No record is lost, none is out of order, none comes twice."""
    with Brokers(stack, count=3, further=IMPATIENT) as brokers, bridge_on(stack, brokers), \
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


def follower(brokers):
    """A node that leads nothing: leaders do not come back to one that was away."""
    node = brokers.nodes[-1]
    node.process.terminate()
    node.process.wait()
    eventually(lambda: all(number != node.number
                           for topic in SETTLING
                           for number, _ in brokers.leaders(topic).values()),
               'others lead', LONG_S)
    brokers.start(node)
    eventually(lambda: is_whole(brokers), 'all are in sync', LONG_S)
    return node


def written(brokers, node):
    """Bytes that the others have of what is sent for a transfer."""
    return {topic: sum(file.stat().st_size for other in brokers.nodes if other is not node
                       for file in other.folder.glob(f'data/{topic}-*/*.log'))
            for topic in SENT}


def start_again(stack, number):
    """Ends the publisher, which its supervisor starts again."""
    pid = stack.health()['roles']['publish']['pid']
    kill(pid, number)
    eventually(lambda: ended(pid), 'the publisher has ended')
    return eventually(lambda: stack.health()['roles']['publish'].get('pid') not in (None, 0, pid),
                      'it is started again')


@contextlib.contextmanager
def hidden(stack, brokers, frozen):
    """A follower stands still in the block; the leaders have a transfer, which they
    do not show, of a publisher that was killed."""
    _, payer, payee = stack.customer('BRL', 'BRL', money=100)
    stack.quiet()
    before = written(brokers, frozen)
    kill(frozen.process.pid, signal.SIGSTOP)
    try:
        stack.transfer(payer, payee, 1)
        eventually(lambda: all(size > before[topic] for topic, size
                               in written(brokers, frozen).items()), 'the leaders have it')
        start_again(stack, signal.SIGKILL)
        yield
    finally:
        kill(frozen.process.pid, signal.SIGCONT)
    eventually(lambda: is_whole(brokers), 'all are in sync', LONG_S)
    stack.quiet(LONG_S)


def test_follower_stands_still_and_publisher_is_killed(stack):
    """What the leaders have is not shown before the follower is given up, or is
    back where two are too few, and is not sent twice.  After an orderly end
    nothing is waited for."""
    away = ('broker.session.timeout.ms=60000',)     # the controllers do not give it up
    with Brokers(stack, count=3, further=IMPATIENT + away) as brokers, \
            bridge_on(stack, brokers, topics_partitions='1') as bridge:
        frozen = follower(brokers)
        with hidden(stack, brokers, frozen):
            eventually(lambda: is_not_ready(stack, 'publish', HIDDEN), 'it waits', LONG_S)
            stack.published(LONG_S)
        orders.set_topic(f'127.0.0.1:{brokers.nodes[0].client}', 'bank.transfers',
                         'min.insync.replicas', '3')
        with hidden(stack, brokers, frozen):
            eventually(lambda: is_not_ready(stack, 'publish', LACKING), 'it waits', LONG_S)
        checker.require_sound(stack)
        waits = bridge.said().count(HIDDEN)
        start_again(stack, signal.SIGTERM)
        stack.customer('BRL')
        stack.quiet()
        assert bridge.said().count(HIDDEN) == waits


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
