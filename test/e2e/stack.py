"""A private stack of the end-to-end tests' own in build/e2e, or one for each
of pytest's workers: started, reached, hurt and brought back.  Not here: what
must hold on it (checker.py)."""
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKER = os.environ.get('PYTEST_XDIST_WORKER', '')
os.environ['BANK_RUN_DIR'] = f'build/e2e{WORKER}'       # before systems reads it
os.environ['EXTRA_SETTINGS'] = str(ROOT / 'test/e2e/e2e.conf')
sys.path.insert(0, str(ROOT / 'deploy/demo'))

import systems  # noqa: E402  pylint: disable=wrong-import-position

RUN = ROOT / os.environ['BANK_RUN_DIR']
BRIDGE = os.environ.get('BANK_PROGRAM', ROOT / 'bridge/build/bank-bridge')
CONTROL_S = 300         # the longest time for a script of deploy/
DEADLINE_S = 60         # for what takes a few seconds at most


def new_id():
    return str(uuid.uuid4())


def eventually(probe, what, seconds=DEADLINE_S):
    """The first true answer of probe; fails, with the last answer, when the
    time is up."""
    found = systems.wait_until(probe, seconds)
    assert found, f'{what}: not within {seconds} s, the last answer was {found!r}'
    return found


def script(name):
    done = subprocess.run([f'deploy/{name}'], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=CONTROL_S, check=False)
    assert done.returncode == 0, f'deploy/{name}: {done.stdout.decode(errors="replace")}'


def ended(pid):
    """True when a process is gone, or waits to be collected."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text(encoding='ascii', errors='replace')
    except OSError:
        return True
    return stat.rpartition(') ')[2].startswith('Z')


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)


def pss(pid):
    """Proportional set size in bytes; 0 of a process that is gone."""
    try:
        lines = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith('Pss:'))


class Stack:
    """The systems of one stack.  Addresses stay the same for its whole life;
    sessions are made anew where a server was killed."""

    def __init__(self):
        self.repeated = set()       # what two publishers may have sent twice
        self.env = self.ledger = self.search = None
        self.redis = self.customers = self.bacen = None
        self.threads = concurrent.futures.ThreadPoolExecutor()

    def up(self):
        """Starts what does not run, and connects."""
        script('up')
        self.env = systems.read_env()
        self.redis = systems.Redis(self.env)
        self.customers = systems.Simulator(self.env['BANK_CUSTOMER_API_URL'])
        self.bacen = systems.Simulator(self.env['BANK_BACEN_URL'])
        self.ledger = self.session()
        self.search = self.session(self.env['BANK_SEARCH_DATABASE'])

    def session(self, database=None, **changes):
        return systems.Database({**self.env, **changes}, database or self.env['PGDATABASE'])

    def in_thread(self, call, *values):
        """Begins a call; its answer is that of result()."""
        return self.threads.submit(call, *values)

    # Processes.

    @staticmethod
    def part(name):
        """The id of a part of the stack, as deploy/up wrote it down."""
        return int((RUN / 'pid' / name).read_text().split()[0])

    def health(self):
        """What the bridge says of its roles, also when it is not well."""
        url = self.env['BANK_BRIDGE_METRICS_URL'].replace('/metrics', '/health')
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            return json.load(error)
        except OSError:
            return {'healthy': False, 'roles': {}}

    def role(self, name):
        """The id of the process of a role that works, or None."""
        role = self.health()['roles'].get(name, {})
        return role['pid'] if role.get('healthy') else None

    def bridge_memory(self):
        """Bytes the bridge's processes have for themselves, shared ones divided."""
        pids = [self.part('bridge')] + [role['pid'] for role in self.health()['roles'].values()]
        return sum(pss(pid) for pid in pids)

    def bridge_files(self):
        """Open files of the bridge's processes."""
        pids = [self.part('bridge')] + [role['pid'] for role in self.health()['roles'].values()]
        return sum(len(os.listdir(f'/proc/{pid}/fd')) for pid in pids if not ended(pid))

    def sample(self, name):
        """A metric of the bridge that has no labels, as it is printed."""
        with urllib.request.urlopen(self.env['BANK_BRIDGE_METRICS_URL'], timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        return next(line.split()[1] for line in lines
                    if line.startswith(f'bank_bridge_{name} '))

    def metric(self, name):
        return int(self.sample(name))

    # Shorthands of the tests.

    def customer(self, *currencies, money=0):
        """A new active customer with an account for each currency."""
        customer = new_id()
        accounts = []
        for currency in currencies or ('BRL',):
            row = self.ledger.row('SELECT * FROM bank.create_account(%s, %s)', customer, currency)
            accounts.append(row['account_id'])
            if money:
                self.ledger.row('SELECT bank.deposit(%s, %s)', row['account_id'], money)
        return (customer, *accounts)

    def transfer(self, payer, payee, amount):
        return self.ledger.row('SELECT * FROM bank.transfer(%s, %s, %s)', payer, payee, amount)

    def notification(self, transfer_id):
        return self.ledger.row(
            'SELECT * FROM bank_report.notification WHERE transfer_id = %s', transfer_id)

    def notified(self, transfer_id, state):
        return eventually(
            lambda: self.ledger.row('SELECT * FROM bank_report.notification '
                                    'WHERE transfer_id = %s AND state = %s', transfer_id, state),
            f'notification of {transfer_id} {state}')

    def heard(self, transfer_id):
        """What BACEN was told of a transfer, oldest first."""
        return [entry for entry in self.bacen.log()
                if entry['headers'].get('idempotency-key') == transfer_id]

    def bacen_answers(self, *answers):
        self.bacen.order('PUT', '/_control/answers',
                         [{'path': '/notificacoes', **answer} for answer in answers])

    def retry(self):
        """One tick of the retry, as the role that pg_cron runs it as."""
        self.session(PGUSER='bank_report').rows('CALL bank_report.retry(100000)')

    def verify(self):
        assert self.ledger.rows('SELECT * FROM bank.verify()') == []

    # Quiet: everything the ledger has committed is everywhere.

    def published(self, seconds=DEADLINE_S):
        """Waits until the slot has confirmed all that is committed by now."""
        here = self.ledger.row('SELECT pg_current_wal_lsn() AS lsn')['lsn']
        eventually(lambda: self.ledger.row(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'bank_bridge' "
            'AND confirmed_flush_lsn >= %s', here), f'the slot at {here}', seconds)

    def quiet(self, seconds=DEADLINE_S):
        self.published(seconds)
        eventually(self.is_replicated, 'search database and Redis equal the ledger', seconds)
        eventually(self.is_told, 'every transfer has its notification, and BACEN took it',
                   seconds)

    def balances(self, session, table):
        return {row.pop('account_id'): row for row in session.rows(
            f'SELECT account_id, customer_id, currency, status, balance, held, version, '
            f'updated_at FROM {table}')}

    def is_replicated(self):
        truth = self.balances(self.ledger, 'bank_ledger.account')
        return truth == self.balances(self.search, 'bank_search.balance') \
            and truth.keys() == self.cached().keys() \
            and all(same_balance(truth[id], hash_) for id, hash_ in self.cached().items())

    def cached(self):
        """Every hash of Redis, by account."""
        script_text = ("local r = {} for _, k in ipairs(redis.call('KEYS', 'bank:balance:*')) do "
                       "r[#r + 1] = cjson.encode({k, redis.call('HGETALL', k)}) end return r")
        found = {}
        for line in self.redis.run('EVAL', script_text, '0').splitlines():
            if line:
                key, words = json.loads(line)
                found[key.rpartition(':')[2]] = dict(zip(words[::2], words[1::2]))
        return found

    def is_told(self):
        """Nothing is left for BACEN; what is due is sent on the way."""
        self.retry()
        return not self.ledger.rows(
            "SELECT 1 FROM bank_ledger.transfer AS t LEFT JOIN bank_report.notification AS n "
            "USING (transfer_id) LEFT JOIN bank_ledger.transfer AS r "
            "ON r.transfer_id = t.reverses WHERE coalesce(r.kind, t.kind) "
            "NOT IN ('deposit', 'withdrawal') AND n.state IS DISTINCT FROM 'delivered'")


def same_balance(row, hash_):
    """A row of the ledger and a hash of Redis say the same."""
    return {**{name: str(row[name]) for name in ('currency', 'status', 'balance', 'held',
                                                 'version')},
            'customer_id': row['customer_id'] or '',
            'updated_at': row['updated_at'].strftime('%Y-%m-%dT%H:%M:%S.%fZ')} == \
        {name: hash_.get(name) for name in ('currency', 'status', 'balance', 'held', 'version',
                                            'customer_id', 'updated_at')}
