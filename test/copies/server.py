"""The test server, and copies of it: servers of their own beside it, reached
through the same folder of sockets."""
import os
import pathlib
import shutil
import subprocess

import psycopg2
import psycopg2.extras

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ROOT / 'build/test'
DEADLINE_S = 120


def run(*command):
    """Runs a program as the user that servers run as; returns what it said."""
    done = subprocess.run([ROOT / 'deploy/as-server', *command], cwd=RUN, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, f'{command[0]}: {done.stdout}'
    return done.stdout


def give_to_server(path):
    if os.geteuid() == 0:
        shutil.chown(path, 'postgres', 'postgres')


def dsn(database='bank', port=None):
    return dict(host=os.environ['PGHOST'], port=port or os.environ['PGPORT'],
                user=os.environ['PGUSER'], dbname=database)


class Session:
    """Every statement is a transaction of its own."""

    def __init__(self, database='bank', port=None):
        self.connection = psycopg2.connect(**dsn(database, port))
        self.connection.autocommit = True

    def rows(self, sql, *values):
        with self.connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(sql, values or None)
            return [dict(row) for row in cursor] if cursor.description else []

    def value(self, sql, *values):
        return next(iter(self.rows(sql, *values)[0].values()))

    def state_of(self, sql, *values):
        """The SQLSTATE a statement ends with, 00000 where it works."""
        try:
            self.rows(sql, *values)
            return '00000'
        except psycopg2.Error as error:
            return error.pgcode

    def close(self):
        self.connection.close()


class Copy:
    """A server beside the test server: its folder is filled, then it runs."""

    def __init__(self, name, number):
        self.folder = RUN / f'copy-{name}'
        self.log = RUN / 'log' / f'copy-{name}.log'
        self.port = int(os.environ['PGPORT']) + number
        self.pg_ctl = shutil.which('pg_ctl')
        self.remove()
        self.folder.mkdir(mode=0o700)
        give_to_server(self.folder)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name, text, mode='w'):
        with open(self.folder / name, mode, encoding='utf-8') as file:
            file.write(text)
        give_to_server(self.folder / name)

    def start(self):
        self.log.touch()
        give_to_server(self.log)
        run(self.pg_ctl, '-D', str(self.folder), '-l', str(self.log), '-w', '-t', str(DEADLINE_S),
            '-o', f'-p {self.port}', 'start')

    def stop(self):
        if (self.folder / 'postmaster.pid').exists():
            run(self.pg_ctl, '-D', str(self.folder), '-m', 'immediate', '-w', 'stop')
        self.remove()

    def session(self, database='bank'):
        return Session(database, self.port)
