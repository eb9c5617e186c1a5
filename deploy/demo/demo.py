#!/usr/bin/python3
"""Shows the four flows, the refusals and a BACEN outage on the private stack,
which it starts where it does not run.  Every step says what was done and what
each system then held; the exit status is 0 only if all was as expected.

Customers are new at each run, so it can be repeated.
"""
import subprocess
import sys
import time
import uuid

from screen import Screen, row_text
from systems import ROOT, RUN, Database, Refusal, Systems, wait_until

CRON_WAIT_S = 150       # two ticks of pg_cron, and the sending
BACKLOG_CALLS = 10


class Demo:
    def __init__(self):
        self.screen = Screen()
        self.at = Systems()
        self.customer = self.new_id()
        self.first = self.new_id()
        self.second = self.new_id()

    @staticmethod
    def new_id():
        return str(uuid.uuid4())

    # What every step is made of: say it, do it, show the answer.

    def sql(self, sql, *values, session=None, where='ledger'):
        """Runs a statement and shows it; the rows or the Refusal."""
        session = session or self.at.ledger
        self.screen.act(where, session.text(sql, *values))
        answer = session.attempt(sql, *values)
        if isinstance(answer, Refusal):
            self.screen.answer(f'ERROR {answer["code"]}: {answer["message"]}')
            for key in ('detail', 'hint'):
                if answer[key]:
                    self.screen.answer(f'{key.capitalize()}: {answer[key]}')
        else:
            self.screen.answer('\n'.join(map(row_text, answer)) or '(no row)')
        return answer

    def one(self, sql, *values, **more):
        """The first row; empty where there is none or it was refused."""
        answer = self.sql(sql, *values, **more)
        return {} if isinstance(answer, Refusal) or not answer else answer[0]

    def refused(self, code, why, sql, *values, **more):
        answer = self.sql(sql, *values, **more)
        got = answer['code'] if isinstance(answer, Refusal) else 'an answer'
        self.screen.check(f'refused with {code}: {why}' if got == code else
                          f'expected {code} ({why}), got {got}', got == code)
        return answer

    def order(self, simulator, name, method, path, value=None):
        shown = '' if value is None else str(value).replace("'", '"')
        shown = shown.replace('True', 'true').replace('False', 'false')
        self.screen.act(name, f'{method} {path} {shown}')
        simulator.order(method, path, value)

    def customer_is(self, customer, active):
        self.order(self.at.customers, 'customer-api', 'PUT',
                   f'/_control/customers/{customer}', {'ativo': active})

    # What the other systems hold, waited for.

    def kafka(self, topic, key, matches):
        """The first record of a key for which matches(value) holds."""
        def find():
            return [record for record in self.at.kafka.records(topic, key)
                    if matches(record['value'])]
        self.screen.act('kafka', f'{topic}, key {key}')
        found = wait_until(find)
        for record in found[:1]:
            self.screen.answer(f'{record["type"]}  ce_id={record["id"]}')
            self.screen.answer(row_text(record['value']))
        self.screen.check(f'the record is in {topic}', found)
        return found[0]['value'] if found else {}

    def replicated(self, account):
        """Search and Redis hold what the ledger holds."""
        truth = self.one('SELECT version, balance, status FROM bank.ledger_balance(%s)', account)
        sql = 'SELECT version, balance, status FROM bank_search.balance WHERE account_id = %s'
        wait_until(lambda: self.at.search.row(sql, account) == truth)
        held = self.one(sql, account, session=self.at.search, where='search')
        self.screen.check('search database equals ledger', truth and held == truth)
        expected = {name: str(value) for name, value in truth.items()}

        def cached():
            hash_ = self.at.redis.balance(account)
            return {name: hash_.get(name) for name in expected}
        wait_until(lambda: cached() == expected)
        self.screen.act('redis', f'HGETALL bank:balance:{account}')
        self.screen.answer(row_text(self.at.redis.balance(account)) or '(no key)')
        self.screen.check('Redis equals ledger', truth and cached() == expected)

    def notified(self, transfer, state, seconds=30):
        """The notification of a transfer once it is in that state."""
        sql = ('SELECT state, attempts, last_status, next_attempt_at, delivered_at '
               'FROM bank_report.notification WHERE transfer_id = %s')
        wait_until(lambda: (self.at.ledger.row(sql, transfer) or {}).get('state') == state,
                   seconds)
        row = self.one(sql, transfer, where='reporting')
        self.screen.check(f'the notification is {state}', row.get('state') == state)
        return row

    def bacen_heard(self, transfer):
        """What BACEN's log says about a transfer."""
        heard = [entry for entry in self.at.bacen.log()
                 if entry['headers'].get('idempotency-key') == transfer]
        self.screen.act('bacen', 'GET /_log')
        for entry in heard:
            accepted = 'accepted' if entry['accepted'] else 'not accepted'
            self.screen.answer(f'{entry["at"]}  {entry["method"]} {entry["path"]}  '
                               f'X-Attempt {entry["headers"].get("x-attempt")}  '
                               f'status {entry["status"]}, {accepted}')
        for entry in heard[-1:]:
            self.screen.answer(entry['body'])
        return heard

    # The steps, in order.

    def create_account(self):
        self.screen.step('An active customer opens two accounts',
                         'customer-api is asked; the account goes to Kafka, search and Redis.')
        self.customer_is(self.customer, True)
        for account in (self.first, self.second):
            row = self.one('SELECT account_id, status, currency, balance, version '
                           "FROM bank.create_account(%s, 'BRL', %s)", self.customer, account)
            self.screen.check('the ledger has the account, empty and active',
                              (row.get('status'), row.get('balance')) == ('active', 0))
        value = self.kafka('bank.accounts', self.first, lambda value: value['version'] == 1)
        self.screen.check('it names the customer', value.get('customer_id') == self.customer)
        self.replicated(self.first)

    def refuse_customers(self):
        self.screen.step('Who is not an active customer gets no account')
        inactive, unknown, unreachable = (self.new_id() for _ in range(3))
        create = 'SELECT account_id FROM bank.create_account(%s)'
        self.customer_is(inactive, False)
        self.refused('LG003', 'customer not active', create, inactive)
        self.order(self.at.customers, 'customer-api', 'DELETE', f'/_control/customers/{unknown}')
        self.refused('LG002', 'customer-api does not know him', create, unknown)
        self.order(self.at.customers, 'customer-api', 'PUT', '/_control/answers',
                   [{'path': f'/clientes/{unreachable}', 'drop': True}])
        self.refused('LG011', 'customer-api does not answer', create, unreachable)
        self.order(self.at.customers, 'customer-api', 'PUT', '/_control/answers', [])
        row = self.one('SELECT count(*) AS accounts FROM bank_ledger.account '
                       'WHERE customer_id = ANY(%s::uuid[])', [inactive, unknown, unreachable])
        self.screen.check('none of them has an account', row.get('accounts') == 0)

    def deposit(self):
        self.screen.step('A deposit of R$ 100.00', 'Money is in centavos: 10000.')
        row = self.one('SELECT kind, amount, to_balance, to_version, completed_at '
                       'FROM bank.deposit(%s, 10000)', self.first)
        self.screen.check('the balance is 10000', row.get('to_balance') == 10000)
        self.replicated(self.first)

    def transfer(self):
        self.screen.step('A transfer of R$ 10.50 between accounts of one holder',
                         'One call, atomic; everything else follows from its commit.')
        row = self.one('SELECT transfer_id, amount, from_balance, to_balance, completed_at '
                       'FROM bank.transfer(%s, %s, 1050)', self.first, self.second)
        transfer = str(row.get('transfer_id'))
        self.screen.check('8950 and 1050 remain',
                          (row.get('from_balance'), row.get('to_balance')) == (8950, 1050))
        self.kafka('bank.transfers', self.customer,
                   lambda value: value['transfer_id'] == transfer)
        for account, balance in ((self.first, 8950), (self.second, 1050)):
            value = self.kafka('bank.balances', account,
                               lambda value: value['transfer_id'] == transfer)
            self.screen.check(f'it says {balance}', value.get('balance') == balance)
            self.replicated(account)
        self.notified(transfer, 'delivered')
        heard = self.bacen_heard(transfer)
        self.screen.check('BACEN accepted it once, at the first attempt',
                          [entry['accepted'] for entry in heard] == [True])
        self.refused('LG005', 'insufficient funds', 'SELECT bank.transfer(%s, %s, 999999)',
                     self.first, self.second)

    def clear_backlog(self):
        """What earlier work left due would be told before our transfer."""
        due = ("SELECT count(*) AS due FROM bank_report.notification "
               "WHERE state IN ('pending', 'sending') AND next_attempt_at <= now()")
        for _ in range(BACKLOG_CALLS):
            if self.at.ledger.row(due)['due'] == 0:
                return
            self.sql('CALL bank_report.retry(10000)', where='reporting')

    def outage(self):
        self.screen.step('BACEN is down, and comes back',
                         'The transfer does not wait for BACEN; pg_cron delivers later.')
        self.clear_backlog()
        self.one('SELECT bank_report.schedule(1)', where='pg_cron')
        self.order(self.at.bacen, 'bacen', 'PUT', '/_control/answers',
                   [{'path': '/notificacoes', 'status': 503, 'times': 0}])
        began = time.monotonic()
        row = self.one('SELECT transfer_id, from_balance, to_balance '
                       'FROM bank.transfer(%s, %s, 250)', self.first, self.second)
        took_ms = (time.monotonic() - began) * 1000
        transfer = str(row.get('transfer_id'))
        self.screen.check(f'the transfer went through at once ({took_ms:.0f} ms)',
                          row.get('from_balance') == 8700 and took_ms < 1000)
        self.notified(transfer, 'pending')
        self.order(self.at.bacen, 'bacen', 'PUT', '/_control/answers', [])
        self.screen.act('pg_cron', 'CALL bank_report.retry(), at the next full minute …')
        row = self.notified(transfer, 'delivered', CRON_WAIT_S)
        self.screen.check('by a retry, not by the first attempt', row.get('attempts', 0) > 1)
        heard = self.bacen_heard(transfer)
        self.screen.check('BACEN accepted it once',
                          [entry['accepted'] for entry in heard].count(True) == 1)
        self.one('SELECT bank_report.unschedule()', where='pg_cron')

    def inactivate(self):
        self.screen.step('Closing a customer',
                         'All accounts or none; it never waits for a transaction.')
        close = 'SELECT account_id, status, closed_at FROM bank.inactivate_customer(%s)'
        self.refused('LG010', 'the accounts hold money', close, self.customer)
        other = Database(self.at.env, self.at.env['PGDATABASE'])
        other.begin()
        self.screen.act('session 2', 'BEGIN')
        for account, amount in ((self.first, 8700), (self.second, 1300)):
            self.one('SELECT amount, from_balance FROM bank.withdraw(%s, %s)', account, amount,
                     session=other, where='session 2')
        self.refused('LG009', 'a transaction is in progress', close, self.customer)
        self.screen.act('session 2', 'COMMIT')
        other.commit()
        rows = self.sql(close, self.customer)
        self.screen.check('both accounts are closed', not isinstance(rows, Refusal) and
                          [row['status'] for row in rows] == ['inactive'] * 2)
        self.kafka('bank.accounts', self.first, lambda value: value['status'] == 'inactive')
        self.replicated(self.first)

    def refuse_closed(self):
        self.screen.step('Nothing moves on a closed account, none is opened')
        self.refused('LG004', 'account inactive', 'SELECT bank.transfer(%s, %s, 1)',
                     self.first, self.second)
        self.refused('LG013', 'customer is closing, though customer-api still says active',
                     'SELECT account_id FROM bank.create_account(%s)', self.customer)

    def balance(self):
        self.screen.step('A balance is read from Redis, else from the search database')
        read = 'SELECT account_id, status, balance, version, source FROM bank.balance(%s)'
        self.screen.check('from Redis', self.one(read, self.first).get('source') == 'redis')
        self.screen.act('redis', 'FLUSHALL')
        self.screen.answer(self.at.redis.run('FLUSHALL'))
        row = self.one(read, self.first)
        self.screen.check('from the database', row.get('source') == 'database')
        row = self.one(read, self.first)
        self.screen.check('from Redis again, which was repaired', row.get('source') == 'redis')

    def verify(self):
        self.screen.step('The auditor', 'verify() recomputes the invariants; no row is sound.')
        rows = self.sql('SELECT * FROM bank.verify()')
        for notice in self.at.ledger.connection.notices[-1:]:
            self.screen.answer(notice.strip())
        self.screen.check('no invariant is broken', rows == [])

    def answer_as_usual(self):
        for simulator in (self.at.customers, self.at.bacen):
            simulator.order('PUT', '/_control/answers', [])

    def run(self):
        self.answer_as_usual()
        try:
            for step in (self.create_account, self.refuse_customers, self.deposit,
                         self.transfer, self.outage, self.inactivate, self.refuse_closed,
                         self.balance, self.verify):
                step()
        finally:
            self.answer_as_usual()


def finish(demo, began):
    screen = demo.screen
    print(f'\n{screen.passed} as expected, {screen.failed} not, in '
          f'{time.monotonic() - began:.0f} s.  The stack is up; to look around:\n\n'
          f'    set -a; . {RUN}/env; set +a\n'
          '    psql                                     the ledger\n'
          '    psql $BANK_SEARCH_DATABASE               the search database\n'
          '    kcat -C -b $BANK_KAFKA_BROKERS -t bank.transfers -e\n'
          '    curl $BANK_BRIDGE_METRICS_URL            bank-bridge\n'
          '    curl $BANK_BACEN_URL/_log                what BACEN was told\n\n'
          'make down stops it and keeps its data, make reset removes it.')
    return 0 if screen.failed == 0 else 1


def main():
    began = time.monotonic()
    if subprocess.run([f'{ROOT}/deploy/up'], check=False).returncode != 0:
        return 1
    demo = Demo()
    demo.run()
    return finish(demo, began)


if __name__ == '__main__':
    sys.exit(main())
