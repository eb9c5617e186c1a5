"""The journal as it stands, in groups: the rows that one transaction wrote.

The server says which those are: rows of one transaction have one commit
timestamp, whatever subtransactions they were written in.
"""
from history import microseconds

TRANSFERS = """
    SELECT t.*, t.xmin::text AS xid, pg_xact_commit_timestamp(t.xmin) AS committed
    FROM bank_ledger.transfer AS t WHERE t.customer_id = ANY (%s::uuid[])"""
EVENTS = """
    SELECT e.*, e.xmin::text AS xid, pg_xact_commit_timestamp(e.xmin) AS committed
    FROM bank_ledger.account_event AS e
    WHERE e.customer_id = ANY (%s::uuid[])
       OR e.customer_id IS NULL AND NOT e.account_id = ANY (%s::uuid[])"""
ACTS = """
    SELECT o.*, o.xmin::text AS xid, pg_xact_commit_timestamp(o.xmin) AS committed
    FROM bank_ledger.operator_act AS o WHERE o.customer_id = ANY (%s::uuid[])"""
SETTLEMENT = """
    SELECT a.account_id, a.currency, a.balance, a.held, a.version, a.updated_at
    FROM bank_ledger.account AS a WHERE a.kind = 'settlement'"""
HOLDS = 'SELECT h.* FROM bank_ledger.hold AS h WHERE h.customer_id = ANY (%s::uuid[])'
ACCOUNTS = 'SELECT a.* FROM bank_ledger.account AS a WHERE a.customer_id = ANY (%s::uuid[])'


class Row:
    """One row.  entries: the accounts it is an entry of, and its version there."""

    def __init__(self, table, values):
        self.table, self.values = table, values
        self.kind = values['act'] if table == 'act' else values['kind']
        self.dated = microseconds(
            values['completed_at'] if table == 'transfer' else values['occurred_at'])
        self.committed = microseconds(values['committed'])
        if table == 'transfer':
            self.key = values['transfer_id']
            self.entries = [(values['from_account'], values['from_version']),
                            (values['to_account'], values['to_version'])]
        elif table == 'event':
            self.key = values['transfer_id']
            self.entries = [(values['account_id'], values['version'])]
        else:
            self.key, self.entries = None, []

    def __str__(self):
        return f'{self.kind} {self.key or ""} {self.entries} dated {self.dated}'


class Group:
    """The rows of one transaction, and the transactions that may be it."""

    def __init__(self, committed, candidates):
        self.rows, self.committed, self.candidates = [], committed, candidates
        self.earliest = self.latest = committed

    def __str__(self):
        names = ' or '.join(map(str, self.candidates or ())) or 'nobody'
        return f'{len(self.rows)} rows of {names}, committed {self.committed}'


class Journal:
    """What a session reads of the ledger about some customers.

    before: settlement accounts as they were before the run.
    """

    def __init__(self, session, customers, before):
        self.before = before
        old = [account['account_id'] for account in before]
        self.rows = [Row('transfer', values) for values in session.rows(TRANSFERS, customers)]
        self.rows += [Row('event', values) for values in session.rows(EVENTS, customers, old)]
        self.rows += [Row('act', values) for values in session.rows(ACTS, customers)]
        self.accounts = {row['account_id']: row for row in session.rows(ACCOUNTS, customers)}
        self.holds = session.rows(HOLDS, customers)
        self.settlement = {row['account_id']: row for row in session.rows(SETTLEMENT)}

    @staticmethod
    def settlement_before(session):
        return session.rows(SETTLEMENT)
