"""Hands that disturb a run: cancelled and terminated backends, short timeouts,
and kill -9 of a backend and of the whole server."""
import os
import pathlib
import random
import signal
import time

import psycopg2

from sessions import SETTINGS

DEADLINE_S = 120


class Nemesis:
    """Does one of its harms at each call, which a run makes while it lasts.

    pause: the longest rest between two, in seconds.  least: how many are done
    before the run may end.
    """

    def __init__(self, seed, pause, least, harms):
        self.dice, self.pause, self.harms = random.Random(f'{seed}!'), pause, harms
        self.left = least

    def __call__(self, sessions):
        time.sleep(self.dice.uniform(0, self.pause))
        self.dice.choice(self.harms)(self.dice.choice(sessions))
        self.left -= 1


def shorten_timeouts(sessions):
    """Every second session waits for a lock, or works, for moments only."""
    for number, session in enumerate(sessions):
        if number % 4 == 1:
            session.settings = SETTINGS + "; SET lock_timeout = '3ms'"
        elif number % 4 == 3:
            session.settings = SETTINGS + "; SET statement_timeout = '8ms'"


def signals(reader):
    """Harms that a superuser's session can do to another's backend."""
    def cancel(session):
        reader.rows('SELECT pg_cancel_backend(%s)', session.pid)

    def terminate(session):
        reader.rows('SELECT pg_terminate_backend(%s)', session.pid)
    return [cancel, cancel, cancel, terminate]


def kills(copy):
    """Harms to a server of our own: a backend, and all of it, die by kill -9."""
    def kill_backend(session):
        # The number may be another process's by now.
        if session.pid and is_inside(pathlib.Path(f'/proc/{session.pid}'), str(copy.folder)):
            os.kill(session.pid, signal.SIGKILL)
            wait_until_it_answers(copy)

    def kill_server(session):
        postmaster = postmaster_of(copy)
        os.kill(postmaster, signal.SIGKILL)
        wait_for_leftovers(copy, postmaster)
        copy.start()
    return [kill_backend, kill_server]


def postmaster_of(copy):
    return int((copy.folder / 'postmaster.pid').read_text().splitlines()[0])


def is_inside(process, folder):
    try:
        return os.readlink(process / 'cwd') == folder
    except OSError:
        return False


def wait_for_leftovers(copy, postmaster):
    """A killed server's processes end a moment after it, and its own number
    stays until it is collected."""
    deadline, folder = time.monotonic() + DEADLINE_S, str(copy.folder)
    while os.path.exists(f'/proc/{postmaster}') or any(
            is_inside(process, folder) for process in pathlib.Path('/proc').glob('[0-9]*')):
        assert time.monotonic() < deadline, f'a process still works in {folder}'
        time.sleep(0.05)


def wait_until_it_answers(copy):
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            copy.session().close()
            return
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, 'the server does not come back'
            time.sleep(0.05)
