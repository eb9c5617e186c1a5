"""A ledger with something in it, on the test server."""
import uuid

import pytest

from server import Session


class Ledger(Session):
    """The ledger's database, and three accounts: payer and payee of one
    holder, and empty of another."""

    def __init__(self):
        super().__init__()
        self.rows('SET client_min_messages = warning')
        self.holder, self.other = str(uuid.uuid4()), str(uuid.uuid4())
        self.payer, self.payee = self.account(self.holder), self.account(self.holder)
        self.empty = self.account(self.other)
        self.rows('SELECT bank.deposit(%s, 1000)', self.payer)
        self.rows('SELECT bank.transfer(%s, %s, 400)', self.payer, self.payee)
        self.rows('SELECT bank.inactivate_customer(%s)', str(uuid.uuid4()))
        self.fill()

    def fill(self):
        """Something of everything, between two accounts of a third holder."""
        holder = str(uuid.uuid4())
        one, two = self.account(holder), self.account(holder)
        deposit, pending, posted = (str(uuid.uuid4()) for _ in range(3))
        self.rows("SELECT bank.deposit(%s, 1000, %s, 'salary')", one, deposit)
        self.rows("SELECT bank.hold(%s, %s, 10, 'infinity', %s)", one, two, pending)
        self.rows("SELECT bank.hold(%s, %s, 20, 'infinity', %s)", one, two, posted)
        self.rows('SELECT bank.post_hold(%s, 15)', posted)
        self.rows('SELECT bank.reverse(%s)', posted)
        self.rows('SELECT bank.transfer_batch(%s::uuid[], %s::uuid[], %s)',
                  [one] * 70, [two] * 70, [1] * 70)
        self.rows('SELECT bank.set_limit(%s, 500)', one)
        self.rows('SELECT bank_ledger.beat()')
        self.rows('SELECT bank_ledger.seal_next()')

    def account(self, customer):
        return self.value('SELECT account_id FROM bank.create_account(%s)', customer)

    def writers(self):
        """A call of every function that writes."""
        return [
            f"SELECT bank.create_account('{self.holder}')",
            f"SELECT bank.inactivate_customer('{self.other}')",
            f"SELECT bank.inactivate_account('{self.empty}')",
            f"SELECT bank.reactivate_customer('{self.holder}')",
            f"SELECT bank.transfer('{self.payer}', '{self.payee}', 1)",
            f"SELECT bank.deposit('{self.payer}', 1)",
            f"SELECT bank.withdraw('{self.payer}', 1)",
            f"SELECT bank.transfer_batch('{{{self.payer}}}', '{{{self.payee}}}', '{{1}}')",
            f"SELECT bank.hold('{self.payer}', '{self.payee}', 1, 'infinity')",
            f"SELECT bank.post_hold('{uuid.uuid4()}')",
            f"SELECT bank.void_hold('{uuid.uuid4()}')",
            'SELECT bank.expire_holds()',
            f"SELECT bank.reverse('{uuid.uuid4()}')",
            f"SELECT bank.set_limit('{self.payer}', 1)",
            f"SELECT bank.accept_clock('{self.payer}')",
            'SELECT bank.schedule_expiry()',
            'SELECT bank.unschedule_expiry()',
            f"SELECT bank_report.requeue('{uuid.uuid4()}')",
            'SELECT bank_report.schedule(5)',
            'SELECT bank_report.unschedule()',
            'CALL bank_report.retry()',
        ]


@pytest.fixture(scope='module')
def ledger():
    made = Ledger()
    yield made
    made.close()
