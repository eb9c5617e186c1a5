"""Debezium as a witness: it reads the same publication through a slot of its
own, so what it saw of the journal says what the bridge must have published."""
import collections
import contextlib
import datetime
import json
import subprocess

import checker
from proxy import Proxy
from stack import CONTROL_S, ROOT, RUN, eventually

NAME = 'witness'        # of the slot, the connector and the topic
FOLDER = RUN / NAME
TIMES = ('occurred_at', 'completed_at', 'sealed_at')
LOGGING = {'rootLogger': 'warn, out', 'appender.out.type': 'Console',
           'appender.out.name': 'out', 'appender.out.layout.type': 'PatternLayout',
           'appender.out.layout.pattern': '%d{ISO8601} %p %c{1} %m%n'}
DIGESTS = ('root', 'previous')
MAKERS = {
    'account_event': lambda row, journal: checker.events_of_event(row, journal.epoch),
    'transfer': lambda row, journal: checker.events_of_transfer(row, journal.epoch,
                                                                journal.accounts),
    'seal': lambda row, journal: checker.events_of_seal(row, journal.epoch, journal.site),
}


def jars():
    """Where Debezium is; fetched when it is not there yet."""
    done = subprocess.run(['test/e2e/debezium'], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                          timeout=CONTROL_S, check=True)
    return done.stdout.splitlines()[-1]


def worker(brokers):
    return {'bootstrap.servers': brokers, 'listeners': 'http://127.0.0.1:0',
            'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
            'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
            'key.converter.schemas.enable': 'false', 'value.converter.schemas.enable': 'false',
            'offset.storage.file.filename': FOLDER / 'offsets'}


def connector(port):
    """Of everything in the publication, in one topic and one partition: the
    order of the stream."""
    return {'name': NAME, 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
            'database.hostname': '127.0.0.1', 'database.port': port, 'database.user': 'postgres',
            'database.password': 'none', 'database.dbname': 'bank', 'topic.prefix': NAME,
            'plugin.name': 'pgoutput', 'slot.name': NAME, 'publication.name': 'bank',
            'publication.autocreate.mode': 'disabled', 'snapshot.mode': 'no_data',
            'binary.handling.mode': 'hex', 'transforms': 'one',
            'transforms.one.type': 'org.apache.kafka.connect.transforms.RegexRouter',
            'transforms.one.regex': '.*', 'transforms.one.replacement': NAME,
            'topic.creation.default.replication.factor': 1,
            'topic.creation.default.partitions': 1}


def write(name, settings):
    path = FOLDER / name
    path.write_text(''.join(f'{key}={value}\n' for key, value in settings.items()))
    return path


class Witness:
    """Debezium at work for as long as the block lasts."""

    def __init__(self, stack):
        self.stack, self.brokers = stack, stack.env['BANK_KAFKA_BROKERS']
        self.begun_lsn = None

    @contextlib.contextmanager
    def at_work(self):
        FOLDER.mkdir(mode=0o777, exist_ok=True)
        FOLDER.chmod(0o777)             # the servers' user keeps its offsets there
        folder = jars()
        self.begun_lsn = self.stack.ledger.row(
            "SELECT lsn - '0/0' AS lsn FROM pg_create_logical_replication_slot(%s, 'pgoutput')",
            NAME)['lsn']
        server = f'{self.stack.env["PGHOST"]}/.s.PGSQL.{self.stack.env["PGPORT"]}'
        with Proxy(server) as proxy, open(FOLDER / 'log', 'wb') as log:
            process = subprocess.Popen(
                ['deploy/as-server', 'java', '-Xmx256m', '-XX:-UsePerfData',
                 f'-Dlog4j2.configurationFile={write("log4j2.properties", LOGGING)}',
                 '-cp', f'{folder}/*',
                 'org.apache.kafka.connect.cli.ConnectStandalone',
                 write('worker.properties', worker(self.brokers)),
                 write('connector.properties', connector(proxy.port))],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                eventually(self.is_active, 'Debezium reads its slot', CONTROL_S)
                yield
            finally:
                process.terminate()
                process.wait(CONTROL_S)
        eventually(lambda: not self.is_active(), 'its slot is free')
        self.stack.ledger.rows('SELECT pg_drop_replication_slot(%s)', NAME)

    def is_active(self):
        return self.stack.ledger.row(
            'SELECT active FROM pg_replication_slots WHERE slot_name = %s', NAME)['active']

    def saw(self, journal):
        """The events that follow from the rows it saw, but for seals that the
        journal has not: time alone makes them."""
        done = subprocess.run(['kcat', '-C', '-e', '-q', '-b', self.brokers, '-t', NAME],
                              stdout=subprocess.PIPE, check=True, timeout=CONTROL_S)
        sealed = {seal['number'] for seal in journal.seals}
        events = []
        for change in map(json.loads, done.stdout.splitlines()):
            table, row = change['source']['table'], typed(change['after'])
            if table in MAKERS and (table != 'seal' or row['number'] in sealed):
                events += MAKERS[table](row, journal)
        return by_key((event.topic, event.key, event.id[1], event.value) for event in events)


def typed(row):
    """As the tables have it: dates as dates and digests as bytes."""
    return {name: datetime.datetime.fromisoformat(value) if name in TIMES
            else bytes.fromhex(value) if name in DIGESTS else value
            for name, value in row.items()}


def by_key(events):
    """{(topic, key): [(id, what it says)] in their order}."""
    found = collections.defaultdict(list)
    for topic, key, id_, value in events:
        found[topic, key].append((id_, value))
    return found


def of_bridge(records, since):
    return by_key((record.topic, record.key, record.id[1], json.loads(record.value))
                  for record in sorted(records, key=lambda record: record.place)
                  if record.lsn > since)
