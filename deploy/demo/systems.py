"""The systems of the stack as the demo reaches them: PostgreSQL, Kafka, Redis
and the two simulators, at the addresses of the file env."""
import json
import os
import subprocess
import time
import urllib.request
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extras

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = os.path.join(ROOT, os.environ.get('BANK_RUN_DIR', '.run'))


def read_env():
    with open(os.path.join(RUN, 'env'), encoding='utf-8') as file:
        pairs = (line.rstrip('\n').partition('=') for line in file)
        return {name: value.strip("'") for name, _, value in pairs}


def wait_until(probe, seconds=30):
    """The first true answer of probe, else the last one when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found or time.monotonic() >= deadline:
            return found
        time.sleep(0.2)


class Refusal(dict):
    """An error of the database: code, message, detail, hint."""

    def __init__(self, error):
        diag = error.diag
        super().__init__(code=error.pgcode, message=diag.message_primary,
                         detail=diag.message_detail, hint=diag.message_hint)


class Database:
    """A session; every statement is a transaction unless begin() was called."""

    def __init__(self, env, database):
        self.connection = psycopg2.connect(
            host=env['PGHOST'], port=env['PGPORT'], user=env['PGUSER'], dbname=database,
            cursor_factory=psycopg2.extras.RealDictCursor)
        self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'")

    def begin(self):
        self.connection.autocommit = False

    def commit(self):
        self.connection.commit()
        self.connection.autocommit = True

    def text(self, sql, *values):
        with self.connection.cursor() as cursor:
            return cursor.mogrify(sql, values or None).decode()

    def rows(self, sql, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return [dict(row) for row in cursor] if cursor.description else []

    def row(self, sql, *values):
        found = self.rows(sql, *values)
        return found[0] if found else None

    def attempt(self, sql, *values):
        """The rows, or the Refusal."""
        try:
            return self.rows(sql, *values)
        except psycopg2.Error as error:
            return Refusal(error)


class Kafka:
    """Reads records written since the demo began."""

    def __init__(self, env):
        self.brokers = env['BANK_KAFKA_BROKERS']
        self.since_ms = int(time.time() * 1000) - 1000

    def records(self, topic, key):
        """The records of a key, oldest first: type, id and value."""
        done = subprocess.run(
            ['kcat', '-C', '-e', '-q', '-J', '-b', self.brokers, '-t', topic,
             '-o', f's@{self.since_ms}'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=60)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return [record_of(record) for record in found if record['key'] == str(key)]


def record_of(record):
    """kcat gives headers as one list of names and values in turn."""
    pairs = record.get('headers', [])
    headers = dict(zip(pairs[::2], pairs[1::2]))
    return {'type': headers.get('ce_type'), 'id': headers.get('ce_id'),
            'value': json.loads(record['payload'])}


class Redis:
    def __init__(self, env):
        url = urlsplit(env['BANK_REDIS_URL'])
        self.command = ['redis-cli', '-h', url.hostname, '-p', str(url.port)]
        self.environment = {**os.environ, 'REDISCLI_AUTH': url.password}

    def run(self, *words):
        return subprocess.run(self.command + list(words), env=self.environment, check=True,
                              stdout=subprocess.PIPE, timeout=60).stdout.decode()

    def balance(self, account_id):
        """The hash of an account, as text; empty where there is none."""
        words = self.run('HGETALL', f'bank:balance:{account_id}').splitlines()
        return dict(zip(words[::2], words[1::2]))


class Simulator:
    def __init__(self, url):
        self.url = url

    def order(self, method, path, value=None):
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.url + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read()

    def log(self):
        return json.loads(self.order('GET', '/_log'))


class Systems:
    """Everything of one stack."""

    def __init__(self):
        self.env = read_env()
        self.ledger = Database(self.env, self.env['PGDATABASE'])
        self.search = Database(self.env, self.env['BANK_SEARCH_DATABASE'])
        self.kafka = Kafka(self.env)
        self.redis = Redis(self.env)
        self.customers = Simulator(self.env['BANK_CUSTOMER_API_URL'])
        self.bacen = Simulator(self.env['BANK_BACEN_URL'])
