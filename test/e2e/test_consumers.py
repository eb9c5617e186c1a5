"""The roles project and report on a stack of their own: replays, late records,
a Redis that is away, a paused process, and a record that is no record."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request
import uuid

import pytest

import orders

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUN = ROOT / 'build/e2e-consumers'
BRIDGE = os.environ.get('BANK_PROGRAM', ROOT / 'bridge/build/bank-bridge')
DEADLINE = 60


def deploy(command):
    # What another stack's env says must not reach this one.
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(('BANK_', 'PG')) or name in ('BANK_CACHE_DIR', 'BANK_PROGRAM')}
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
    first = transfer(accounts)
    wait_until(lambda: first in posts() and query(
        "SELECT count(*) FROM bank_report.notification WHERE state <> 'delivered'") == '0',
        'not delivered')
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


def metric(name):
    text = http('GET', env()['BANK_BRIDGE_METRICS_URL']).decode()
    return int(re.search(rf'^bank_bridge_{name} (\d+)$', text, re.M).group(1))


def value(name):
    """A metric that need not be an integer."""
    text = http('GET', env()['BANK_BRIDGE_METRICS_URL']).decode()
    return float(re.search(rf'^bank_bridge_{name} (\S+)$', text, re.M).group(1))


def status(*words, **settings):
    done = subprocess.run(
        [ROOT / 'deploy/as-server', BRIDGE, '--config',
         RUN / 'bridge/bank-bridge.conf', 'status', *words], cwd=ROOT, timeout=DEADLINE,
        env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        check=False)
    return done.returncode, done.stdout.decode()


def test_metrics_of_an_outage(accounts):
    """Backlog, age and circuit, in /metrics, /health and for a person."""
    http('PUT', env()['BANK_BACEN_URL'] + '/_control/answers',
         [{'path': '/notificacoes', 'status': 503, 'times': 0}])
    try:
        for _ in range(10):
            transfer(accounts)
        wait_until(lambda: value('report_pending') == 10 and value('report_circuit') > 0,
                   'the backlog is not seen')
        assert 0 < value('report_oldest_seconds') < 600
        wait_until(lambda: 'circuit' in health()['roles']['report']['reason'], 'nor said')
        code, text = status()
        assert code == 0 and '10 pending' in text and re.search('circuit +(half )?open', text)
    finally:
        http('PUT', env()['BANK_BACEN_URL'] + '/_control/answers', [])
    query("UPDATE bank_report.gate SET opened_until = now()")
    query("UPDATE bank_report.notification SET next_attempt_at = now() WHERE state = 'pending'")
    query('CALL bank_report.retry()')
    wait_until(lambda: value('report_pending') == 0 and value('report_circuit') == 0
               and value('report_oldest_seconds') == 0, 'the end of it is not seen')


def test_status_for_a_person(accounts):
    wait_until(lambda: value('publish_lag_bytes') >= 0 and value('publish_heartbeats_total') > 0,
               'the slot is not looked at')
    code, text = status()
    assert code == 0 and len(text.splitlines()) < 24
    assert [line.split()[:2] for line in text.splitlines() if not line.startswith(' ')] == [
        [role, 'works'] for role in ('publish', 'project', 'report')]
    assert '?' not in text and 'reserved' in text and 'unlimited safe' in text
    assert status('--sometimes')[0] == 2
    code, text = status(BANK_BRIDGE_HTTP_PORT='1')
    assert code == 1 and 'no bridge answers' in text
    os.kill(int((RUN / 'pid' / 'redis').read_text().split()[0]), signal.SIGKILL)
    wait_until(lambda: not health()['healthy'], 'redis is not missed')
    code, text = status()
    assert code == 1 and re.search('^project +NOT READY.*redis', text, re.M)


def test_status_keeps_one_screen(accounts):
    watch = subprocess.Popen(
        [ROOT / 'deploy/as-server', BRIDGE, '--config',
         RUN / 'bridge/bank-bridge.conf', 'status', '--watch'], cwd=ROOT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    screens = b''
    while screens.count(b'\033[H\033[J') < 2 or b'circuit' not in screens.split(b'\033[J')[-1]:
        screens += watch.stdout.read1(65536)
    watch.terminate()
    assert watch.wait(DEADLINE) == 0


def letters(key):
    """The records of bank.dead with a key, headers as a dictionary."""
    done = subprocess.run(
        ['kcat', '-C', '-e', '-q', '-J', '-b', env()['BANK_KAFKA_BROKERS'], '-t', 'bank.dead'],
        stdout=subprocess.PIPE, check=True, timeout=DEADLINE)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for record in found:
        pairs = record['headers']
        record['headers'] = dict(zip(pairs[::2], pairs[1::2]))
    return [record for record in found if record['key'] == key]


def poisons(field):
    """Value, another type, and the reason, of records whose first field is named."""
    return [
        (f'{{"{field}": 1}}', None, f'field "{field}" is of the wrong type'),
        (f'{{"{field}": "0192"}}', None, f'field "{field}" has a value that is not valid'),
        ('{}', None, f'field "{field}" is missing'),
        (f'{{"{field}": "0192', None, 'no JSON at byte'),
        ('[]', None, 'no JSON object'),
        ('{}', 'bank.thing.imagined', 'header ce_type is not the type of this topic'),
        ('x' * 300000, None, 'no JSON at byte'),
    ]


@pytest.mark.parametrize('topic, kind, role, field', [
    ('bank.transfers', 'bank.transfer.completed', 'report', 'transfer_id'),
    ('bank.balances', 'bank.balance.updated', 'project', 'account_id')])
def test_poison_goes_to_bank_dead_and_stops_nobody(accounts, topic, kind, role, field):
    before, pid, poison = metric(f'{role}_dead_total'), pid_of(role), poisons(field)
    for number, (value, other, _) in enumerate(poison):
        produce(topic, f'{role}-{number}', value, other or kind, '-H', 'mark=kept', '-p', '0')
    last = transfer(accounts)
    wait_until(lambda: last in posts() and is_caught_up(accounts), 'the roles do not go on')
    wait_until(lambda: metric(f'{role}_dead_total') == before + len(poison), 'not all are counted')
    for number, (value, other, reason) in enumerate(poison):
        [letter] = letters(f'{role}-{number}')
        headers = letter['headers']
        assert value.startswith(letter['payload'])
        assert len(letter['payload']) == len(value) or 'bank_dead_size' in headers
        assert headers['mark'] == 'kept' and headers['ce_type'] == (other or kind)
        assert headers['bank_dead_role'] == role and headers['bank_dead_source'] == topic
        assert headers['bank_dead_place']
        assert headers['bank_dead_reason'].startswith(reason)
    assert pid_of(role) == pid, 'the role was not started again'


@pytest.mark.parametrize('topic, kind', [
    ('bank.transfers', 'bank.transfer.completed'), ('bank.balances', 'bank.balance.updated')])
def test_unknown_version_is_buried(accounts, topic, kind):
    produce(topic, f'version-{topic}', '{}', kind, '-H', 'ce_specversion=2.0')
    wait_until(lambda: letters(f'version-{topic}'), 'not buried')
    [letter] = letters(f'version-{topic}')
    assert letter['headers']['bank_dead_reason'] == 'header ce_specversion is not 1.0'


def test_poison_is_buried_once(accounts):
    """Also where the role begins again, and where Redis is filled anew."""
    produce('bank.balances', 'once', '{}', 'bank.balance.updated')
    wait_until(lambda: letters('once'), 'not buried')
    transfer(accounts)
    wait_until(lambda: is_caught_up(accounts), 'project does not follow')
    pid = pid_of('project')
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid_of('project') != pid and health()['healthy'], 'not started again')
    redis_cli('FLUSHALL')
    wait_until(lambda: is_caught_up(accounts), 'redis is not filled')
    assert len(letters('once')) == 1


@pytest.mark.parametrize('topic, kind, role, offset', [
    ('bank.transfers', 'bank.transfer.completed', 'report',
     ('SELECT next_offset FROM bank_report.consumer_offset', 'bank')),
    ('bank.balances', 'bank.balance.updated', 'project',
     ('SELECT applied FROM bank_search.consumer_offset', 'bank_search'))])
def test_what_bank_dead_does_not_take_is_not_passed_over(accounts, topic, kind, role, offset):
    where = f"{offset[0]} WHERE topic = '{topic}' AND partition = 0", offset[1]
    broker, key, before = env()['BANK_KAFKA_BROKERS'], f'refused-{role}', query(*where)
    orders.set_topic(broker, 'bank.dead', 'max.message.bytes', '1')
    try:
        produce(topic, key, '{}\n{}\n{}\n', kind, '-p', '0')
        wait_until(lambda: 'bank.dead takes none' in health()['roles'][role]['reason'],
                   'it is not said')
        assert query(*where) == before and not letters(key)
    finally:
        orders.set_topic(broker, 'bank.dead', 'max.message.bytes', None)
    wait_until(lambda: health()['healthy'] and query(*where) == str(int(before) + 3),
               'the role does not go on')
    assert len(letters(key)) == 3


def test_poison_that_is_no_value(accounts):
    """Key and headers of a letter are bounded as its value is."""
    before = metric('report_dead_total')
    kcat = ['kcat', '-P', '-b', env()['BANK_KAFKA_BROKERS'], '-t', 'bank.transfers', '-p', '0',
            '-X', 'message.max.bytes=2000000', '-K', ':']
    headers = [word for i in range(8) for word in ('-H', f'h{i}={"x" * 120000}')]
    subprocess.run(kcat, input=b'k' * 1040000 + b':v\n', check=True, timeout=DEADLINE)
    subprocess.run(kcat + headers, input=b'all-headers:v\n', check=True, timeout=DEADLINE)
    wait_until(lambda: metric('report_dead_total') == before + 2, 'they are not buried')
    [cut], [bare] = letters('k' * 100000), letters('all-headers')
    assert cut['headers']['bank_dead_key_size'] == '1040000' and cut['payload'] == 'v'
    assert int(bare['headers']['bank_dead_headers_size']) > 960000
    assert 'h0' not in bare['headers'] and bare['headers']['bank_dead_reason']


@contextlib.contextmanager
def flood_of_poison(topic):
    """One record after the other that nobody understands."""
    kcat = subprocess.Popen(['kcat', '-P', '-b', env()['BANK_KAFKA_BROKERS'], '-t', topic,
                             '-K', ':'], stdin=subprocess.PIPE)
    ended = threading.Event()

    def feed():
        while not ended.wait(0.1):
            kcat.stdin.write(b'poison:poison\n')
            kcat.stdin.flush()

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        yield
    finally:
        ended.set()
        feeder.join()
        kcat.stdin.close()
        assert kcat.wait(DEADLINE) == 0


def test_letters_hold_up_no_publisher(accounts):
    """Those of the other roles arrive while it waits for ends that stand still."""
    buried, pid = metric('project_dead_total'), pid_of('publish')
    with flood_of_poison('bank.balances'):
        wait_until(lambda: metric('project_dead_total') > buried, 'nothing is buried')
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid_of('publish') != pid and health()['roles']['publish']['healthy'],
                   'publish does not begin')
        now = metric('project_dead_total')
        wait_until(lambda: metric('project_dead_total') > now, 'nothing more is buried')
    transfer(accounts)
    wait_until(lambda: is_caught_up(accounts), 'the stack does not follow')


def redis_cli(*words):
    return subprocess.run(
        ['redis-cli', '-u', env()['BANK_REDIS_URL'], '--no-auth-warning', *words],
        stdout=subprocess.PIPE, timeout=DEADLINE, check=True).stdout.decode()


def balance(account):
    began = time.monotonic()
    found = query(f"SELECT balance, version, source FROM bank.balance('{account}')").split('|')
    return found, time.monotonic() - began


def test_a_flushed_redis_is_filled_again(accounts):
    """By itself, all of it, and nobody has to read."""
    count = int(redis_cli('DBSIZE'))
    redis_cli('FLUSHALL')
    assert balance(accounts[0])[0][:2] == ledger(accounts[0])
    wait_until(lambda: int(redis_cli('DBSIZE')) == count and is_caught_up(accounts),
               'redis is not filled')
    assert balance(accounts[0])[0] == ledger(accounts[0]) + ['redis']


def test_a_redis_filled_again_has_nothing_older_than_the_database(accounts):
    """Where the newest record is gone: compaction keeps the one written last."""
    change = ('UPDATE bank_search.balance SET version = version {0} 1, balance = balance {0} 1 '
              f"WHERE account_id = '{accounts[0]}'")
    wait_until(lambda: is_caught_up(accounts), 'project does not follow')
    query(change.format('+'), 'bank_search')
    try:
        redis_cli('FLUSHALL')
        wait_until(lambda: redis(accounts[0]) == search(accounts[0]), 'redis has an older one')
        assert redis(accounts[1]) == ledger(accounts[1])
    finally:
        query(change.format('-'), 'bank_search')
        redis_cli('FLUSHALL')
    wait_until(lambda: is_caught_up(accounts), 'redis is not filled')
    assert balance(accounts[0])[0] == ledger(accounts[0]) + ['redis']


def test_a_redis_of_an_older_time_is_brought_up(accounts):
    """Restarted with what it had once, as by a snapshot of some minutes ago."""
    old = {key: redis_cli('HGETALL', key).splitlines()
           for key in redis_cli('KEYS', 'bank:balance:*').split()}
    note = redis_cli('GET', 'bank:cached').strip()
    for _ in range(3):
        transfer(accounts)
    wait_until(lambda: is_caught_up(accounts), 'project does not follow')
    script = "redis.call('FLUSHALL')"
    for key, words in old.items():
        quoted = ', '.join(f"'{word}'" for word in words)
        script += f"; redis.call('HSET', '{key}', {quoted})"
    redis_cli('EVAL', script + f"; redis.call('SET', 'bank:cached', '{note}')", '0')
    wait_until(lambda: is_caught_up(accounts), 'redis stays behind')


def test_wrong_type_under_the_keys(accounts):
    for key in (f'bank:balance:{accounts[0]}', 'bank:cached'):
        redis_cli('EVAL', "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'x')", '1', key)
    assert balance(accounts[0])[0][:2] == ledger(accounts[0])
    wait_until(lambda: is_caught_up(accounts), 'redis is not repaired')
    assert balance(accounts[0])[0] == ledger(accounts[0]) + ['redis']


def test_redis_out_of_memory(accounts):
    """What cannot be written does not stay as it was."""
    redis_cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    redis_cli('CONFIG', 'SET', 'maxmemory', '1')
    try:
        transfer(accounts)
        wait_until(lambda: all(ledger(account) == search(account) for account in accounts),
                   'the search database waits for redis')
        wait_until(lambda: balance(accounts[0])[0] == ledger(accounts[0]) + ['database'],
                   'a stale balance stays')
    finally:
        redis_cli('CONFIG', 'SET', 'maxmemory', '0')
    wait_until(lambda: is_caught_up(accounts), 'redis is not repaired')


def test_redis_out_of_memory_far_behind(accounts):
    """That it cannot say how far it was filled keeps nobody from what is new."""
    paused, note = pid_of('project'), redis_cli('GET', 'bank:cached').strip()
    query(f"SELECT bank.set_limit('{accounts[0]}', n) FROM generate_series(1000001, 1000700) AS n")
    wait_until(lambda: is_caught_up(accounts), 'project does not follow')
    os.kill(paused, signal.SIGSTOP)
    try:
        transfer(accounts)
        redis_cli('SET', 'bank:cached', note)
        redis_cli('CONFIG', 'SET', 'maxmemory', '1')
        os.kill(paused, signal.SIGCONT)
        wait_until(lambda: balance(accounts[0])[0] == ledger(accounts[0]) + ['database'],
                   'a stale balance stays')
        wait_until(lambda: 'does not write' in health()['roles']['project']['reason'],
                   'it is not said')
    finally:
        os.kill(paused, signal.SIGCONT)
        redis_cli('CONFIG', 'SET', 'maxmemory', '0')
    query(f"SELECT bank.set_limit('{accounts[0]}', NULL)")
    wait_until(lambda: is_caught_up(accounts) and health()['healthy'], 'redis is not repaired')


def test_a_paused_redis(accounts):
    """Reads fall back within its timeout, nothing waits for it."""
    paused = int((RUN / 'pid' / 'redis').read_text().split()[0])
    os.kill(paused, signal.SIGSTOP)
    try:
        transfer(accounts)
        wait_until(lambda: all(ledger(account) == search(account) for account in accounts),
                   'the search database waits for redis')
        found, took = balance(accounts[0])
        assert found == ledger(accounts[0]) + ['database']
        assert took < 5, 'half a second for redis, and the rest is the machine'
    finally:
        os.kill(paused, signal.SIGCONT)
    wait_until(lambda: is_caught_up(accounts), 'redis is not repaired')


def test_rewinding_project_changes_nothing(accounts):
    before = [ledger(account) for account in accounts]
    rows = query('SELECT md5(string_agg(b::text, chr(10) ORDER BY account_id)) '
                 'FROM bank_search.balance AS b', 'bank_search')
    query('UPDATE bank_search.consumer_offset SET applied = 0, cached = 0', 'bank_search')
    redis_cli('DEL', 'bank:cached')
    os.kill(pid_of('project'), signal.SIGKILL)
    end = str(len(records('bank.balances')))
    wait_until(lambda: query('SELECT sum(applied) FROM bank_search.consumer_offset',
                             'bank_search') == end, 'not read to the end')
    wait_until(lambda: is_caught_up(accounts), 'something went back')
    assert [ledger(account) for account in accounts] == before
    assert query('SELECT md5(string_agg(b::text, chr(10) ORDER BY account_id)) '
                 'FROM bank_search.balance AS b', 'bank_search') == rows


@pytest.mark.parametrize('role, database', [('project', 'bank_search'), ('report', 'bank')])
def test_a_zombie_writes_nothing(accounts, role, database):
    """A second process starts while the first is paused; the first goes on."""
    table = f'bank_{"search" if role == "project" else "report"}.consumer_generation'
    zombie = pid_of(role)
    supervisor = int(env()['BANK_BRIDGE_PIDS'].split()[0])
    before = int(query(f'SELECT generation FROM {table}', database))
    os.kill(zombie, signal.SIGSTOP)
    conf = RUN / 'bridge/bank-bridge.conf'
    port = {'BANK_BRIDGE_HTTP_PORT': '0'}
    second = subprocess.Popen(
        [ROOT / 'deploy/as-server', BRIDGE, '--config', conf, role],
        cwd=ROOT, env={**os.environ, **port}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: int(query(f'SELECT generation FROM {table}', database)) > before,
                   'the second does not start')
        last = transfer(accounts)
        wait_until(lambda: last in posts() if role == 'report' else is_caught_up(accounts),
                   'the second does not work')
        os.kill(zombie, signal.SIGCONT)
        wait_until(lambda: not is_alive(zombie) and not is_alive(supervisor),
                   'the zombie goes on')
        assert posts().count(last) <= 1 and second.poll() is None
    finally:
        second.terminate()
        assert second.wait(DEADLINE) == 0
    deploy('up')
    wait_until(lambda: health()['healthy'] and is_caught_up(accounts), 'the stack does not follow')


FLOOD = 10000


@pytest.mark.parametrize('topic, kind, role', [
    ('bank.transfers', 'bank.transfer.completed', 'report'),
    ('bank.balances', 'bank.balance.updated', 'project')])
def test_a_flood_of_poison_passes_in_seconds(accounts, topic, kind, role):
    """Letters are written together; each of them once."""
    before, pid = metric(f'{role}_dead_total'), pid_of(role)
    produce(topic, f'flood-{role}', '{}\n' * FLOOD, kind)
    last = transfer(accounts)
    wait_until(lambda: metric(f'{role}_dead_total') == before + FLOOD, 'the flood does not pass')
    wait_until(lambda: last in posts() and is_caught_up(accounts), 'the roles do not go on')
    assert len({letter['headers']['bank_dead_place'] for letter in letters(f'flood-{role}')}) == \
        len(letters(f'flood-{role}')) == FLOOD
    assert pid_of(role) == pid, 'the role was not started again'
