"""One run against a server, from its seed to what is held against it."""
import os
import random

import psycopg2

from history import History
from journal import Journal
from plan import Plan
from server import Session, dsn
from sessions import run_sessions
from verdict import complaints_of

SECONDS = float(os.environ.get('BANK_MODEL_SECONDS', 20))
SHOWN = 12


def seed_of_today():
    return os.environ.get('BANK_MODEL_SEED') or f'{random.SystemRandom().getrandbits(40):x}'


class Run:
    def __init__(self, port=None, seconds=SECONDS, disturbed=(), sessions=12, prepare=None,
                 least=0, several=0.25, seed=None):
        self.seed = seed or seed_of_today()
        self.port, self.seconds, self.sessions = port, seconds, sessions
        self.prepare, self.least, self.several = prepare, least, several
        self.plan, self.history = Plan(self.seed), History(disturbed)
        self.before = Journal.settlement_before(self.reader())
        self.last = 0

    def reader(self):
        session = Session(port=self.port)
        session.rows("SET timezone = 'UTC'; SET client_min_messages = warning")
        return session

    def connect(self):
        return psycopg2.connect(**dsn(port=self.port))

    def work(self, nemesis=None):
        self.last = run_sessions(self.plan, self.history, self.connect, self.seconds,
                                 self.sessions, self.least, self.several, nemesis,
                                 self.prepare)

    def journal(self):
        return Journal(self.reader(), self.plan.world(self.last), self.before)

    def check(self):
        """Everything the run is judged by."""
        reader = self.reader()
        found = complaints_of(self.history, self.journal(), self.plan.calm, reader)
        found += [f'verify: {row}' for row in reader.rows('SELECT * FROM bank.verify()')]
        shown = '\n'.join(found[:SHOWN])
        assert not found, f'BANK_MODEL_SEED={self.seed}: {len(found)} complaints\n{shown}'
