"""deploy/up, down and reset on a stack of their own: what runs is left alone,
what does not is started, and nothing is left behind."""
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUN = ROOT / 'build/e2e-stack'
PARTS = ('postgresql', 'kafka', 'redis', 'customer-api', 'bacen', 'bridge')
NAMES = ['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE', 'BANK_SEARCH_DATABASE',
         'BANK_KAFKA_BROKERS', 'BANK_REDIS_URL', 'BANK_CUSTOMER_API_URL', 'BANK_BACEN_URL',
         'BANK_BRIDGE_METRICS_URL', 'BANK_BRIDGE_PIDS']


def deploy(command):
    # What another stack's env says must not reach this one.
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(('BANK_', 'PG')) or name in ('BANK_CACHE_DIR', 'BANK_PROGRAM')}
    done = subprocess.run([ROOT / 'deploy' / command], env={**clean, 'BANK_RUN_DIR': str(RUN)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=500,
                          check=False)
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


def env():
    return dict(re.findall(r"^(\w+)='(.*)'$", (RUN / 'env').read_text(), re.M))


def pids():
    """The process of each part, by the files that down goes by."""
    return {part: int((RUN / 'pid' / part).read_text().split()[0]) for part in PARTS}


def roles():
    return [int(pid) for pid in env()['BANK_BRIDGE_PIDS'].split()]


def is_alive(pid):
    try:
        state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'


def wait_gone(*gone):
    deadline = time.monotonic() + 60
    while any(map(is_alive, gone)):
        assert time.monotonic() < deadline, f'{gone} still there'
        time.sleep(0.05)


def query(sql, database='bank'):
    at = env()
    return subprocess.run(
        ['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', at['PGHOST'], '-p', at['PGPORT'],
         '-U', at['PGUSER'], '-d', database, '-c', sql], check=True, timeout=60,
        stdout=subprocess.PIPE).stdout.decode().strip()


@pytest.fixture(name='stack', scope='module', autouse=True)
def stack_up():
    deploy('reset')
    deploy('up')
    yield
    deploy('reset')


def test_env_is_plain_and_complete():
    lines = (RUN / 'env').read_text().splitlines()
    assert [line.partition('=')[0] for line in lines] == NAMES
    assert all(re.fullmatch(r"[A-Z_]+='[^']+'", line) for line in lines)
    assert len(roles()) == 4 and all(map(is_alive, roles()))
    assert roles()[0] == pids()['bridge']


def test_databases_know_their_role():
    role = 'SELECT role FROM bank_ledger.site'
    assert query(role) == 'ledger'
    assert query(role, env()['BANK_SEARCH_DATABASE']) == 'search'


def test_any_local_user_connects():
    stranger = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] \
        if os.getuid() == 0 else []
    at = env()
    subprocess.run(stranger + ['psql', '-XqAtw', '-h', at['PGHOST'], '-p', at['PGPORT'], '-U',
                               at['PGUSER'], '-d', at['PGDATABASE'], '-c', 'SELECT 1'],
                   check=True, timeout=60, stdout=subprocess.PIPE, cwd='/')


@pytest.mark.parametrize('role, database, replication, reached', [
    ('bank_publish', 'bank', 'database', True),
    ('bank_publish', 'bank', 'true', False),
    ('bank_publish', 'bank_search', 'database', False),
    ('postgres', 'bank', 'true', False),
    ('bank_project', 'bank_search', 'false', True),
    ('bank_project', 'bank', 'false', False),
    ('bank_report', 'bank', 'false', True),
    ('bank_report', 'bank_search', 'false', False)])
def test_logins_reach_their_database_only(role, database, replication, reached):
    at = env()
    target = (f"host={at['PGHOST']} port={at['PGPORT']} user={role} dbname={database} "
              f'replication={replication}')
    command = 'SELECT 1' if replication == 'false' else 'IDENTIFY_SYSTEM'
    done = subprocess.run(['psql', '-XqAtw', target, '-c', command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode == 0) == reached, done.stderr.decode()


def test_second_up_changes_nothing():
    before = (RUN / 'env').read_text(), pids()
    deploy('up')
    assert ((RUN / 'env').read_text(), pids()) == before


@pytest.mark.parametrize('part', PARTS)
def test_killed_part_is_started_again(part):
    before = pids()
    os.kill(before[part], signal.SIGKILL)
    wait_gone(before[part])
    deploy('up')
    after = pids()
    assert [name for name in PARTS if after[name] != before[name]] == [part]
    assert len(roles()) == 4 and all(map(is_alive, roles()))
    assert query('SELECT count(*) FROM bank.verify()') == '0'


def test_paused_role_does_not_outlive_its_supervisor():
    supervisor, publish = roles()[:2]
    os.kill(publish, signal.SIGSTOP)
    os.kill(supervisor, signal.SIGKILL)
    wait_gone(supervisor)
    deploy('up')
    assert not is_alive(publish)
    assert supervisor not in roles() and all(map(is_alive, roles()))


def test_stale_pid_file_harms_nobody():
    bystander = subprocess.Popen(['sleep', '600'])
    try:
        bacen = pids()['bacen']
        _, start, boot = (RUN / 'pid' / 'bacen').read_text().split()
        (RUN / 'pid' / 'bacen').write_text(f'{bystander.pid} {start} {boot}\n')
        os.kill(bacen, signal.SIGKILL)
        wait_gone(bacen)
        deploy('up')
        assert bystander.poll() is None
        assert is_alive(pids()['bacen'])
    finally:
        bystander.kill()
        bystander.wait()


def test_down_leaves_no_process_and_keeps_data():
    query('CREATE TABLE public.kept AS SELECT 1 AS one')
    before = env()
    running = list(pids().values()) + roles()
    deploy('down')
    assert not any(map(is_alive, running))
    assert not os.path.exists(before['PGHOST'])
    deploy('up')
    after = env()
    assert query('SELECT one FROM public.kept') == '1'
    assert {**after, 'BANK_BRIDGE_PIDS': ''} == {**before, 'BANK_BRIDGE_PIDS': ''}


def test_reset_leaves_nothing():
    running, folder = list(pids().values()) + roles(), env()['PGHOST']
    deploy('reset')
    assert not any(map(is_alive, running))
    assert not RUN.exists() and not os.path.exists(folder)
