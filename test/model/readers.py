"""What the functions that look back say of a run's busiest accounts: balances
at dates and statements, page by page, are what the model's states were."""
import random

from history import now
from plan import timestamp

ACCOUNTS, DATES, PAGE = 12, 4, 7


class Readers:
    def __init__(self, session, replay, complaints):
        self.session, self.replay, self.complaints = session, replay, complaints
        dice = random.Random(len(replay.states))
        busiest = sorted((state for state in replay.last.values() if not state.is_settlement),
                         key=lambda state: -state.version)[:ACCOUNTS]
        for state in busiest:
            versions = replay.states[state.account]
            self.compare_statement(state.account, versions)
            for version in dice.sample(sorted(versions), min(DATES, len(versions))):
                self.compare_balance_at(state.account, versions, versions[version].dated)

    def compare_balance_at(self, account, versions, at):
        found = self.session.rows('SELECT * FROM bank.balance_at(%s, %s)', account,
                                  timestamp(at))[0]
        expected = max((state for state in versions.values() if state.dated <= at),
                       key=lambda state: state.version)
        if (found['balance'], found['version']) != (expected.balance, expected.version):
            self.complaints.append(f'2: balance_at {at} says {found}, the model {expected}')

    def compare_statement(self, account, versions):
        """All entries, in pages that each add up."""
        since, until, after, told = timestamp(versions[1].dated), timestamp(now()), None, []
        while True:
            page = self.session.rows('SELECT * FROM bank.statement(%s, %s, %s, %s, %s)',
                                     account, since, until, after, PAGE)
            entries = [row for row in page if row['line'] == 'entry']
            if page[0]['balance'] + sum(row['amount'] for row in entries) != page[-1]['balance']:
                self.complaints.append(f'2: a page of the statement does not add up: {page}')
            if not entries:
                break
            told += entries
            after = page[-1]['version']
        self.compare_entries(account, versions, told)

    def compare_entries(self, account, versions, told):
        posted = {version for row, _ in self.replay.keys.values()
                  for name, version in row.entries if name == account}
        if [row['version'] for row in told] != sorted(posted):
            self.complaints.append(f'2: the statement of {account} has other entries than the '
                                   f'journal: {told}')
            return
        for row in told:
            state = versions[row['version']]
            if (row['balance'], row['held'], row['amount']) != (
                    state.balance, state.held,
                    state.balance - versions[row['version'] - 1].balance):
                self.complaints.append(f'2: the statement says {row}, the model {state}')
