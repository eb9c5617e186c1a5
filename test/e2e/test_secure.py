"""The whole bridge over TLS and passwords: PostgreSQL by verify-full, Kafka by
SASL over SSL and by client certificate, Redis by password on a unix
socket, BACEN by client certificate.  Servers of its own beside the stack,
with certificates made here."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extras
import pytest

from stack import BRIDGE, ROOT, RUN as STACK_RUN, eventually

sys.path.insert(0, str(ROOT / 'test/fake'))

from bacen import Bacen                 # noqa: E402
from certificates import Authority      # noqa: E402
from customer_api import CustomerApi    # noqa: E402
from simulator import start             # noqa: E402

RUN = ROOT / 'build/e2e-secure'
ROLES = ('postgres', 'bank_publish', 'bank_project', 'bank_report')


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as found:
        return found.getsockname()[1]


def own(path):
    """Gives a file or folder to the servers' user, and to nobody else."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    if os.geteuid() == 0:
        shutil.chown(path, 'postgres', 'postgres')
    return path


def write(name, text):
    path = RUN / name
    path.write_text(text)
    return own(path)


def command(*words):
    return [str(word) for word in (ROOT / 'deploy/as-server', *words)]


def run(*words, **options):
    done = subprocess.run(command(*words), cwd=RUN, timeout=120, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    return done.returncode, done.stdout.decode(errors='replace')


def succeed(*words, **options):
    code, said = run(*words, **options)
    assert code == 0, said
    return said


def customers():
    """customer-api, which has a test of its own over TLS: everybody is active."""
    server = start(CustomerApi())
    request = urllib.request.Request(f'http://127.0.0.1:{server.server_port}/_control/default',
                                     b'{"ativo": true}', method='PUT')
    urllib.request.urlopen(request, timeout=10).close()
    return server


class Secure:
    """Servers, their secrets and certificates."""

    def __init__(self, stack):
        self.secrets = {name: uuid.uuid4().hex for name in (*ROLES, 'kafka', 'redis')}
        self.ports = {name: free_port() for name in
                      ('postgresql', 'plain', 'controller', 'sasl', 'ssl', 'bridge')}
        self.processes = []
        shutil.rmtree(RUN, ignore_errors=True)
        RUN.mkdir(parents=True)
        own(RUN)
        (RUN / 'certificates').mkdir()
        own(RUN / 'certificates')
        self.authority = Authority(RUN / 'certificates')
        self.server = self.authority.issue('server', 'localhost')
        self.client = self.authority.issue('client', 'bank', 'extendedKeyUsage=clientAuth')
        self.bin = pathlib.Path(os.readlink(f'/proc/{stack.part("postgresql")}/exe')).parent
        self.java = pathlib.Path(
            f'/proc/{stack.part("kafka")}/cmdline').read_bytes().decode().split('\0')[:-1]

    def begin(self, name, *words, **options):
        with open(RUN / f'{name}.log', 'ab') as log:
            self.processes.append(subprocess.Popen(
                command(*words), cwd=RUN, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **options))
        return self.processes[-1]

    def stop(self):
        for process in reversed(self.processes):
            # PostgreSQL waits for no session then; others may ignore it.
            postgresql = process.args[1].endswith('/postgres')
            process.send_signal(signal.SIGINT if postgresql else signal.SIGTERM)
        for process in self.processes:
            process.wait(120)

    # PostgreSQL

    def start_postgresql(self):
        data = RUN / 'data'
        password = write('postgres.password', self.secrets['postgres'])
        succeed(self.bin / 'initdb', '-D', data, '-U', 'postgres', '-A', 'scram-sha-256',
                f'--pwfile={password}', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync')
        (data / 'pg_hba.conf').write_text('hostssl all all 127.0.0.1/32 scram-sha-256\n')
        with open(data / 'postgresql.conf', 'a', encoding='utf-8') as conf:
            conf.write("shared_preload_libraries = 'bank'\n"
                       f"bank.redis_url = 'unix://:{self.secrets['redis']}@{self.redis}'\n")
        settings = {'listen_addresses': '127.0.0.1', 'port': self.ports['postgresql'],
                    'unix_socket_directories': '', 'ssl': 'on', 'ssl_cert_file': self.server[0],
                    'ssl_key_file': self.server[1], 'wal_level': 'logical', 'fsync': 'off',
                    'bank.customer_api_url': f'http://127.0.0.1:{customers().server_port}'
                                             '/clientes/{customer_id}'}
        self.begin('postgresql', self.bin / 'postgres', '-D', data,
                   *(word for name, value in settings.items()
                     for word in ('-c', f'{name}={value}')))
        eventually(lambda: self.session('postgres') is not None, 'PostgreSQL answers')
        for database in ('bank', 'bank_search'):
            self.session('postgres').cursor().execute(f'CREATE DATABASE {database}')
            self.session(database).cursor().execute('CREATE EXTENSION bank')
        for role in ROLES[1:]:
            self.session('bank').cursor().execute(
                f"ALTER ROLE {role} LOGIN PASSWORD '{self.secrets[role]}'")

    def dsn(self, role, database, **changes):
        options = {'host': 'localhost', 'port': self.ports['postgresql'], 'user': role,
                   'dbname': database, 'password': self.secrets[role], 'sslmode': 'verify-full',
                   'sslrootcert': self.authority.certificate, **changes}
        return ' '.join(f'{name}={value}' for name, value in options.items())

    def session(self, database):
        try:
            connection = psycopg2.connect(self.dsn('postgres', database))
        except psycopg2.OperationalError:
            return None
        connection.autocommit = True
        return connection

    def rows(self, sql, database='bank'):
        cursor = self.session(database).cursor()
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []

    # Kafka, Redis, BACEN

    def start_kafka(self):
        log = RUN / 'kafka'
        pem = write('broker.pem', ''.join(pathlib.Path(name).read_text()
                                          for name in reversed(self.server)))
        original = (STACK_RUN / 'kafka/server.properties').read_text()
        kept = [line for line in original.splitlines() if not line.startswith(
            ('listeners', 'controller.quorum', 'log.dirs'))]
        listeners = ','.join(f'{name}://127.0.0.1:{self.ports[port]}' for name, port in (
            ('PLAINTEXT', 'plain'), ('CONTROLLER', 'controller'), ('SASL_SSL', 'sasl'),
            ('SSL', 'ssl')))
        properties = write('broker.properties', '\n'.join(kept + [
            f'listeners={listeners}', f'log.dirs={log}',
            f'controller.quorum.voters=1@127.0.0.1:{self.ports["controller"]}',
            'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,'
            'SASL_SSL:SASL_SSL,SSL:SSL', 'inter.broker.listener.name=PLAINTEXT',
            'sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN',
            'listener.name.sasl_ssl.plain.sasl.jaas.config='
            'org.apache.kafka.common.security.plain.PlainLoginModule required '
            f'user_bank="{self.secrets["kafka"]}";',
            'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config='
            'org.apache.kafka.common.security.scram.ScramLoginModule required;',
            'ssl.keystore.type=PEM', f'ssl.keystore.location={pem}', 'ssl.truststore.type=PEM',
            f'ssl.truststore.location={self.authority.certificate}',
            'listener.name.ssl.ssl.client.auth=required', '']))
        java = self.java[:-2]
        succeed(*java, 'kafka.tools.StorageTool', 'format', '-t', 'QUFBQUFBQUFBQUFBQUFBQQ',
                '-c', properties, '--add-scram',
                f'SCRAM-SHA-512=[name=bank,password={self.secrets["kafka"]}]')
        self.begin('kafka', *java, 'kafka.Kafka', properties)
        eventually(lambda: socket.socket().connect_ex(('127.0.0.1', self.ports['sasl'])) == 0,
                   'Kafka listens', seconds=120)

    def start_redis(self):
        folder = pathlib.Path(f'/tmp/bank-secure-{os.getpid()}')
        folder.mkdir(exist_ok=True)
        own(folder)
        self.redis = folder / 'redis'
        settings = write('redis.conf', f'port 0\nunixsocket {self.redis}\nunixsocketperm 700\n'
                         f'requirepass {self.secrets["redis"]}\nsave ""\ndir {RUN}\n')
        self.begin('redis', 'redis-server', settings)
        eventually(self.redis.exists, 'Redis listens')

    def start_bacen(self):
        self.bacen = start(Bacen())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.server)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority.certificate)
        self.bacen.socket = context.wrap_socket(self.bacen.socket, server_side=True)

    # The bridge

    def configuration(self, kafka=None):
        kafka = kafka or {
            'bootstrap.servers': f'localhost:{self.ports["sasl"]}',
            'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'PLAIN',
            'sasl.username': 'bank', 'sasl.password': self.secrets['kafka'],
            'ssl.ca.location': self.authority.certificate}
        # A line has 200 characters at most, wherever the clone is.
        here = {'sslrootcert': os.path.relpath(self.authority.certificate, RUN)}
        return '\n'.join([
            '[site]', 'name = secure',
            '[init]', f'ledger_dsn = {self.dsn("postgres", "bank", **here)}',
            f'search_dsn = {self.dsn("postgres", "bank_search", **here)}',
            '[publish]', f'dsn = {self.dsn("bank_publish", "bank", **here)}',
            '[project]', f'dsn = {self.dsn("bank_project", "bank_search", **here)}',
            '[report]', f'dsn = {self.dsn("bank_report", "bank", **here)}',
            '[kafka]', *(f'{name} = {value}' for name, value in kafka.items()),
            '[redis]', f'url = unix://:{self.secrets["redis"]}@{self.redis}',
            '[bacen]', f'url = https://localhost:{self.bacen.server_port}/notificacoes',
            f'ca = {self.authority.certificate}', f'certificate = {self.client[0]}',
            f'key = {self.client[1]}',
            '[http]', f'port = {self.ports["bridge"]}', ''])

    def bridge(self, *words, name='bridge.conf', **environment):
        return run(BRIDGE, '--config', RUN / name, *words,
                   env={**os.environ, **environment})

    def health(self):
        try:
            with urllib.request.urlopen(f'http://127.0.0.1:{self.ports["bridge"]}/health',
                                        timeout=10) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            return json.load(error)
        except OSError:
            return {'healthy': False, 'roles': {}}

    def hash(self, account):
        text = succeed('redis-cli', '-s', self.redis, '--no-auth-warning', 'HGET',
                       f'bank:balance:{account}', 'balance',
                       env={**os.environ, 'REDISCLI_AUTH': self.secrets['redis']})
        return text.strip()


@pytest.fixture(scope='module', name='secure')
def secure_servers(whole_stack):
    made = Secure(whole_stack)
    try:
        made.start_bacen()
        made.start_redis()
        made.start_postgresql()
        made.start_kafka()
        write('bridge.conf', made.configuration())
        yield made
    finally:
        made.stop()
        made.bacen.shutdown()
        shutil.rmtree(RUN, ignore_errors=True)
        shutil.rmtree(made.redis.parent, ignore_errors=True)


def newer_library():
    """The environment of a bridge with a librdkafka of today."""
    folder = subprocess.run([ROOT / 'deploy/librdkafka'], check=True, stdout=subprocess.PIPE,
                            timeout=300).stdout.decode().strip()
    return {'LD_LIBRARY_PATH': folder}


@pytest.mark.parametrize('mechanism', ['PLAIN', 'SCRAM-SHA-512'])
def test_everything_over_tls_and_passwords(secure, mechanism):
    environment = {'BANK_BRIDGE_KAFKA_SASL_MECHANISM': mechanism}
    if mechanism != 'PLAIN':
        environment.update(newer_library())
    code, said = secure.bridge('init', **environment)
    assert code == 0, said
    bridge = secure.begin('bridge', BRIDGE, '--config', RUN / 'bridge.conf',
                          'run', 'publish,project,report', env={**os.environ, **environment})
    eventually(lambda: secure.health()['healthy'], 'the bridge works', seconds=120)
    customer, payer, payee = (str(uuid.uuid4()) for _ in range(3))
    for account in (payer, payee):
        secure.rows(f"SELECT bank.create_account('{customer}', 'BRL', '{account}')")
    secure.rows(f"SELECT bank.deposit('{payer}', 1000)")
    transfer = str(uuid.uuid4())
    secure.rows(f"SELECT bank.transfer('{payer}', '{payee}', 250, '{transfer}')")
    eventually(lambda: secure.hash(payee) == '250', 'it is in Redis')
    assert secure.rows(f"SELECT balance FROM bank_search.balance WHERE account_id = '{payee}'",
                       'bank_search') == [(250,)]
    eventually(lambda: secure.rows('SELECT state FROM bank_report.notification WHERE transfer_id'
                                   f" = '{transfer}'") == [('delivered',)], 'BACEN took it')
    uses_tls = secure.rows("SELECT bool_and(s.ssl) FROM pg_stat_ssl AS s JOIN pg_stat_activity"
                           " AS a USING (pid) WHERE a.usename LIKE 'bank_%'")
    assert uses_tls == [(True,)]
    check_no_secret(secure, bridge)
    bridge.terminate()
    assert bridge.wait(60) == 0


def check_no_secret(secure, bridge):
    """Neither in a log, nor in a process list or an environment, nor in what
    the bridge prints or another role may read in the server."""
    shown = [text for process in secure.processes for text in of_processes(process.pid)]
    shown += [secure.bridge('config')[1], secure.bridge('status')[1]]
    shown += [(RUN / f'{name}.log').read_text(errors='replace')
              for name in ('bridge', 'kafka', 'postgresql', 'redis')]
    shown += [str(secure.rows('SELECT query, application_name FROM pg_stat_activity'))]
    shown += settings_read(secure.dsn('bank_publish', 'bank'))
    assert any('bank-bridge' in text for text in of_processes(bridge.pid)), 'they are read'
    for name, secret in secure.secrets.items():
        assert not any(secret in text for text in shown), name


def of_processes(*parents):
    """Command line and environment of processes and of all their children."""
    found, left = [], list(map(str, parents))
    while left:
        process = pathlib.Path('/proc', left.pop())
        try:
            found += [(process / name).read_bytes().decode(errors='replace')
                      for name in ('cmdline', 'environ')]
            for thread in process.glob('task/*/children'):
                left += thread.read_text().split()
        except OSError:
            pass            # it has ended meanwhile
    return found


SECRET_SETTINGS = ('bank.redis_url', 'bank.search_dsn', 'bank.bacen_url', 'bank.customer_api_url')


def settings_read(dsn):
    """What a role reads of settings, or is told instead: also in a replication
    connection, which loads no library at its start."""
    found = []
    for factory in (None, psycopg2.extras.LogicalReplicationConnection):
        with contextlib.closing(psycopg2.connect(dsn, connection_factory=factory)) as connection:
            if factory is None:
                connection.autocommit = True
            cursor = connection.cursor()
            for query in ('SHOW ALL', *(f'SHOW {name}' for name in SECRET_SETTINGS)):
                try:
                    cursor.execute(query)
                    found.append(str(cursor.fetchall()))
                except psycopg2.errors.InsufficientPrivilege as error:
                    found.append(str(error))
    return found


def test_no_secret_of_the_stack_is_shown(stack):
    """Neither in a log, a process list or an environment, nor in a setting
    that the roles of the bridge, or anybody, may read."""
    secret = urlsplit(stack.env['BANK_REDIS_URL']).password
    stack.quiet()
    parts = ('postgresql', 'kafka', 'redis', 'customer-api', 'bacen', 'bridge')
    shown = of_processes(*map(stack.part, parts))
    assert len(shown) > 2 * len(parts), 'children are read too'
    shown += [path.read_text(errors='replace') for path in (STACK_RUN / 'log').iterdir()]
    stack.ledger.rows('CREATE ROLE nobody_special LOGIN REPLICATION')
    try:
        for role in ('bank_publish', 'nobody_special'):
            shown += settings_read(f'host={stack.env["PGHOST"]} port={stack.env["PGPORT"]} '
                                   f'dbname=bank user={role}')
    finally:
        stack.ledger.rows('DROP ROLE nobody_special')
    assert not any(secret in text for text in shown)
    for private in ('postgresql/redis-password', 'redis/redis.conf', 'bridge/bank-bridge.conf',
                    'settings'):
        assert (STACK_RUN / private).stat().st_mode & 0o077 == 0, private


def test_wrong_secrets_and_certificates_are_named(secure):
    """And what is named shows no secret."""
    other = Authority(RUN / 'certificates', 'other')
    wrong = uuid.uuid4().hex
    changes = [
        ({'BANK_BRIDGE_INIT_LEDGER_DSN': secure.dsn('postgres', 'bank', password=wrong)},
         'password authentication failed'),
        ({'BANK_BRIDGE_INIT_LEDGER_DSN': secure.dsn('postgres', 'bank',
                                                    sslrootcert=other.certificate)},
         'certificate verify failed'),
        ({'BANK_BRIDGE_INIT_LEDGER_DSN': secure.dsn('postgres', 'bank', host='127.0.0.2',
                                                    hostaddr='127.0.0.1')},
         'does not match host name'),
        ({'BANK_BRIDGE_KAFKA_SASL_PASSWORD': wrong}, 'Authentication failed'),
        ({'BANK_BRIDGE_KAFKA_SSL_CA_LOCATION': other.certificate}, 'certificate verify failed'),
    ]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(changes)) as threads:
        answers = threads.map(lambda change: secure.bridge('init', **change[0]), changes)
    for (_, reason), (code, said) in zip(changes, answers):
        assert code != 0 and reason in said, said
        assert wrong not in said and not any(s in said for s in secure.secrets.values())
    assert time.monotonic() - began < 400


def library_version():
    """Of the system's librdkafka, as kcat was linked with it."""
    said = subprocess.run(['kcat', '-V'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, timeout=60).stdout.decode()
    return tuple(map(int, re.search(r'librdkafka (\d+)\.(\d+)\.(\d+)', said).groups()))


def test_kafka_by_scram_with_the_systems_library(secure):
    """Brokers of today check what librdkafka sent wrongly before 2.6.1."""
    code, said = secure.bridge('init', BANK_BRIDGE_KAFKA_SASL_MECHANISM='SCRAM-SHA-512')
    if library_version() >= (2, 6, 1):
        assert code == 0, said
    else:
        assert code == 5 and 'Authentication failed' in said
        assert 'cannot log in by SCRAM' in said, 'the reason is named'


def test_kafka_by_client_certificate(secure):
    kafka = {'bootstrap.servers': f'localhost:{secure.ports["ssl"]}', 'security.protocol': 'SSL',
             'ssl.ca.location': secure.authority.certificate,
             'ssl.certificate.location': secure.client[0], 'ssl.key.location': secure.client[1]}
    write('ssl.conf', secure.configuration(kafka))
    code, said = secure.bridge('init', name='ssl.conf')
    assert code == 0, said


def test_rediss_is_refused_clearly(secure):
    code, said = secure.bridge('project', BANK_BRIDGE_HTTP_PORT='0',
                               BANK_BRIDGE_REDIS_URL='rediss://:secret@127.0.0.1')
    assert code == 2 and 'TLS is not supported' in said and 'secret' not in said
