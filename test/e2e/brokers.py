"""Brokers of a test's own beside the stack's, and the stack's bridge at work
with them."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from faults import own_bridge, require_ended
from stack import ROOT, RUN, eventually, kill

ROLES = ('publish', 'project', 'report')
CLUSTER_ID = 'QUFBQUFBQUFBQUFBQUFBQQ'
START_S = 180           # for so many Java machines on a busy computer
FREE_S = 180            # three times wal_sender_timeout
OURS = ('listeners', 'advertised.listeners', 'controller.quorum', 'log.dirs', 'node.id',
        'offsets.topic.replication')


def free_ports(count):
    held = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Node:
    """One broker, which is a controller too."""

    def __init__(self, number, folder):
        self.number, self.folder = number, folder / str(number)
        self.client, self.controller, self.bridge = free_ports(3)
        self.advertised = self.bridge       # the port the bridge is told to go to
        self.process = None

    def properties(self, brokers):
        """The stack's, with addresses, neighbours and folder of our own."""
        kept = [line for line in (RUN / 'kafka/server.properties').read_text().splitlines()
                if not line.startswith(OURS)]
        return '\n'.join(kept + [
            f'node.id={self.number}', f'log.dirs={self.folder}/data',
            f'listeners=PLAINTEXT://127.0.0.1:{self.client},BRIDGE://127.0.0.1:{self.bridge},'
            f'CONTROLLER://127.0.0.1:{self.controller}',
            f'advertised.listeners=PLAINTEXT://127.0.0.1:{self.client},'
            f'BRIDGE://127.0.0.1:{self.advertised}',
            'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,'
            f'BRIDGE:{brokers.protocol}', 'inter.broker.listener.name=PLAINTEXT',
            'controller.quorum.voters=' + ','.join(
                f'{node.number}@127.0.0.1:{node.controller}' for node in brokers.nodes),
            f'offsets.topic.replication.factor={len(brokers.nodes)}',
            f'default.replication.factor={len(brokers.nodes)}',
            f'min.insync.replicas={(len(brokers.nodes) + 1) // 2}', *brokers.further, ''])

    def answers(self):
        return socket.socket().connect_ex(('127.0.0.1', self.client)) == 0


class Brokers:
    """Started and stopped with the block.  The bridge has a listener of its own,
    which may ask for a login."""

    def __init__(self, stack, count=1, further=(), protocol='PLAINTEXT', folder=None):
        self.java = pathlib.Path(
            f'/proc/{stack.part("kafka")}/cmdline').read_bytes().decode().split('\0')[:-3]
        self.folder = folder or RUN / 'brokers'
        self.further, self.protocol = further, protocol
        self.nodes = [Node(number, self.folder) for number in range(1, count + 1)]

    @property
    def address(self):
        """For tests and administrators."""
        return f'127.0.0.1:{self.nodes[0].client}' if len(self.nodes) == 1 else \
            ','.join(f'127.0.0.1:{node.client}' for node in self.nodes)

    @property
    def bridge_address(self):
        return ','.join(f'127.0.0.1:{node.advertised}' for node in self.nodes)

    def command(self, *words):
        return [str(ROOT / 'deploy/as-server'), *self.java, *map(str, words)]

    def write(self, node):
        """The file of a node's properties, which only the servers' user may read."""
        file = node.folder / 'server.properties'
        file.write_text(node.properties(self))
        subprocess.run(['chmod', '600', file], check=True)
        if os.geteuid() == 0:
            for path in (self.folder, node.folder, file):
                shutil.chown(path, 'postgres', 'postgres')
        return file

    def format(self, node):
        node.folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            self.command('kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID,
                         '-c', self.write(node)), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=START_S, check=False)
        assert done.returncode == 0, done.stdout.decode()

    def begin(self, node):
        with open(RUN / f'log/broker-{node.number}.log', 'ab') as log:
            node.process = subprocess.Popen(
                self.command('kafka.Kafka', self.write(node)), cwd=node.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self, node):
        self.begin(node)
        eventually(node.answers, f'broker {node.number} listens', START_S)

    @staticmethod
    def kill(node):
        node.process.kill()
        node.process.wait()

    def __enter__(self):
        for node in self.nodes:
            self.format(node)
        for node in self.nodes:
            self.begin(node)
        for node in self.nodes:
            eventually(node.answers, f'broker {node.number} listens', START_S)
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            if node.process is not None:
                self.kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def leaders(self, topic):
        """{partition: (its leader, those in sync)}, as the brokers that live say."""
        living = ','.join(f'127.0.0.1:{node.client}' for node in self.nodes
                          if node.process.poll() is None)
        done = subprocess.run(['kcat', '-L', '-J', '-m', '10', '-b', living, '-t', topic],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60,
                              check=False)
        if done.returncode != 0:
            return {}
        [found] = json.loads(done.stdout)['topics']
        return {one['partition']: (one['leader'], [replica['id'] for replica in one['isrs']])
                for one in found['partitions']}


def stop_bridge(stack):
    pids = [stack.part('bridge'), *map(stack.role, ROLES)]
    kill(pids[0], signal.SIGTERM)
    require_ended([pid for pid in pids if pid])


@contextlib.contextmanager
def other_offsets(stack):
    """The consumers know nothing of the topics in the block; what they knew
    before, they know again after it."""
    tables = ((stack.search, 'bank_search.consumer_offset'),
              (stack.ledger, 'bank_report.consumer_offset'))
    kept = [session.rows(f'DELETE FROM {table} RETURNING *') for session, table in tables]
    try:
        yield
    finally:
        for (session, table), rows in zip(tables, kept):
            session.rows(f'DELETE FROM {table}')
            for row in rows:
                session.rows(f'INSERT INTO {table} SELECT * FROM '
                             f'jsonb_populate_record(NULL::{table}, %s)', json.dumps(row))


def run_once(*words, **settings):
    with own_bridge(*words, **settings) as bridge:
        assert bridge.wait(120) == 0, bridge.said()


def publisher_is_gone(stack):
    """For the server too, which may be the last to see that a way is lost."""
    return not stack.session().rows("SELECT 1 FROM pg_stat_activity "
                                    "WHERE usename = 'bank_publish'")


@contextlib.contextmanager
def bridge_on(stack, brokers, **settings):
    """The bridge works with other brokers, which rebuild fills from the journal,
    in the block, and with the stack's again after it."""
    settings['kafka_bootstrap_servers'] = brokers.bridge_address
    stop_bridge(stack)
    try:
        with other_offsets(stack):
            run_once('init', **settings)
            run_once('rebuild', **settings)
            stack.env['BANK_KAFKA_BROKERS'] = brokers.address
            with own_bridge('run', ','.join(ROLES), **settings) as bridge:
                eventually(lambda: stack.health()['healthy'], 'the bridge works')
                yield bridge
                bridge.terminate()
                assert bridge.wait(60) == 0, bridge.said()
    finally:
        eventually(lambda: publisher_is_gone(stack), 'the server has let go of the bridge', FREE_S)
        run_once('rebuild')
        stack.up()


def is_not_ready(stack, role, reason):
    """What /health says of a role that cannot work."""
    said = stack.health()['roles'].get(role, {})
    return not said.get('healthy', True) and reason in said.get('reason', '')


def stays(probe, seconds=2):
    """Whether something is so for a while: that nothing changes has no event."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert probe()
        time.sleep(0.1)


def here(stack):
    return stack.ledger.row('SELECT pg_current_wal_lsn() AS lsn')['lsn']


def unconfirmed(stack, lsn):
    """Whether the slot stands before a place."""
    return stack.ledger.row('SELECT confirmed_flush_lsn < %s::pg_lsn AS waits FROM '
                            "pg_replication_slots WHERE slot_name = 'bank_bridge'", lsn)['waits']


def require_held_up(stack, reason):
    """Each role says why it cannot work, and nothing is confirmed meanwhile."""
    for role in ROLES:
        eventually(lambda role=role: is_not_ready(stack, role, reason), f'{role}: {reason}')
    after = here(stack)
    stays(lambda: unconfirmed(stack, after))
