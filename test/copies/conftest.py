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
