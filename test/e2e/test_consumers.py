"""The roles project and report on a stack of their own: replays, late records,
a Redis that is away, a paused process, and a record that is no record."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.request
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUN = ROOT / 'build' / 'consumers'
DEADLINE = 60


def deploy(command):
    # What another stack's env says must not reach this one.
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(('BANK_', 'PG')) or name == 'BANK_CACHE_DIR'}
    done = subprocess.run([ROOT / 'deploy' / command], env={**clean, 'BANK_RUN_DIR': str(RUN)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=500,
                          check=False)
    assert done.returncode == 0, done.stdout.decode()


def env():
    return dict(re.findall(r"^(\w+)='(.*)'$", (RUN / 'env').read_text(), re.M))


def wait_until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def query(sql, database='bank'):
    at = env()
    return subprocess.run(
        ['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', at['PGHOST'], '-p', at['PGPORT'],
         '-U', at['PGUSER'], '-d', database, '-c', sql], check=True, timeout=DEADLINE,
        stdout=subprocess.PIPE).stdout.decode().strip()


def http(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method),
                                timeout=DEADLINE) as answer:
        return answer.read()


def health():
    url = env()['BANK_BRIDGE_METRICS_URL'].replace('/metrics', '/health')
    try:
        return json.loads(http('GET', url))
    except urllib.error.HTTPError as unhealthy:
        return json.loads(unhealthy.read())


def redis(account):
    done = subprocess.run(
        ['redis-cli', '-u', env()['BANK_REDIS_URL'], '--no-auth-warning', 'HMGET',
         f'bank:balance:{account}', 'balance', 'version'], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, timeout=DEADLINE, check=False)
    return done.stdout.decode().split()


def ledger(account):
    return query('SELECT balance, version FROM bank_ledger.account '
                 f"WHERE account_id = '{account}'").split('|')


def search(account):
    return query('SELECT balance, version FROM bank_search.balance '
                 f"WHERE account_id = '{account}'", 'bank_search').split('|')


def produce(topic, key, value, kind, *options):
    subprocess.run(
        ['kcat', '-P', '-b', env()['BANK_KAFKA_BROKERS'], '-t', topic, '-k', key,
         '-H', 'ce_specversion=1.0', '-H', f'ce_type={kind}', *options],
        input=value.encode(), check=True, timeout=DEADLINE)


def records(topic):
    """Key and value of every record there is."""
    done = subprocess.run(
        ['kcat', '-C', '-e', '-q', '-b', env()['BANK_KAFKA_BROKERS'], '-t', topic,
         '-f', '%k %s\n'], stdout=subprocess.PIPE, check=True, timeout=DEADLINE)
    return [line.split(' ', 1) for line in done.stdout.decode().splitlines()]


def posts():
    return [entry['headers']['idempotency-key']
            for entry in json.loads(http('GET', env()['BANK_BACEN_URL'] + '/_log'))]


def pid_of(role):
    return health()['roles'][role]['pid']


def is_alive(pid):
    try:
        state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'


def is_caught_up(accounts):
    return all(ledger(account) == search(account) == redis(account) for account in accounts)


@pytest.fixture(name='accounts', scope='module')
def stack_with_accounts():
    deploy('reset')
    deploy('up')
    http('PUT', env()['BANK_CUSTOMER_API_URL'] + '/_control/default', {'ativo': True})
    customer = uuid.uuid4()
    made = [query(f"SELECT account_id FROM bank.create_account('{customer}')")
            for _ in range(2)]
    query(f"SELECT bank.deposit('{made[0]}', 100000)")
    yield made
    deploy('reset')


@pytest.fixture(autouse=True)
def healthy(accounts):
    deploy('up')
    wait_until(lambda: health()['healthy'], 'the bridge is not healthy')
    transfer(accounts)
    wait_until(lambda: is_caught_up(accounts), 'project does not follow')
    yield


def transfer(accounts):
    return query('SELECT transfer_id FROM '
                 f"bank.transfer('{accounts[0]}', '{accounts[1]}', 100)")


def test_old_and_repeated_records_change_nothing(accounts):
    for key, value in reversed(records('bank.balances')):
        produce('bank.balances', key, value, 'bank.balance.updated')
    end = str(len(records('bank.balances')))
    wait_until(lambda: query('SELECT sum(cached) FROM bank_search.consumer_offset',
                             'bank_search') == end, 'not read to the end')
    assert is_caught_up(accounts)


def test_redis_away_stops_no_row_and_is_repaired(accounts):
    os.kill(int((RUN / 'pid' / 'redis').read_text().split()[0]), signal.SIGKILL)
    transfer(accounts)
    wait_until(lambda: all(ledger(account) == search(account) for account in accounts),
               'the search database waits for redis')
    wait_until(lambda: not health()['roles']['project']['healthy'], 'redis is not missed')
    deploy('up')
    wait_until(lambda: is_caught_up(accounts), 'redis is not repaired')


def test_rewinding_report_posts_nothing_again(accounts):
    transfer(accounts)
    wait_until(lambda: query("SELECT count(*) FROM bank_report.notification "
                             "WHERE state <> 'delivered'") == '0', 'not delivered')
    before = posts()
    query('UPDATE bank_report.consumer_offset SET next_offset = 0')
    os.kill(pid_of('report'), signal.SIGKILL)
    last = transfer(accounts)
    wait_until(lambda: last in posts(), 'the transfer after the rewind is not told')
    assert posts() == before + [last]


def test_a_paused_process_is_fenced(accounts):
    paused = pid_of('report')
    supervisor = int(env()['BANK_BRIDGE_PIDS'].split()[0])
    os.kill(paused, signal.SIGSTOP)
    query('UPDATE bank_report.consumer_generation SET generation = generation + 1')
    last = transfer(accounts)
    os.kill(paused, signal.SIGCONT)
    wait_until(lambda: not is_alive(paused) and not is_alive(supervisor), 'it goes on')
    assert query('SELECT count(*) FROM bank_report.notification '
                 f"WHERE transfer_id = '{last}'") == '0'
    deploy('up')
    wait_until(lambda: last in posts(), 'the next process does not tell it')


def test_what_is_no_record_stops_the_role(accounts):
    before = query('SELECT sum(next_offset) FROM bank_report.consumer_offset')
    produce('bank.transfers', 'x', '{"transfer_id": 1}', 'bank.transfer.completed', '-p', '0')
    wait_until(lambda: not health()['roles']['report']['healthy'], 'it goes on')
    log = RUN / 'log' / 'bridge.log'
    wait_until(lambda: 'field \\"transfer_id\\" is of the wrong type' in log.read_text(),
               'the record is not named')
    assert query('SELECT sum(next_offset) FROM bank_report.consumer_offset') == before
    # Whoever knows better goes on behind it.
    query("INSERT INTO bank_report.consumer_offset AS o VALUES ('bank.transfers', 0, 1) "
          'ON CONFLICT (topic, partition) DO UPDATE SET next_offset = o.next_offset + 1')
    last = transfer(accounts)
    wait_until(lambda: last in posts(), 'it does not go on behind the record')
