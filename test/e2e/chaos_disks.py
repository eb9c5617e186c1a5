"""A full disk of the broker, and of the server: clean errors, and all is well
once there is room.  Run by make chaos; a small file system takes root."""
import contextlib
import os
import shutil
import signal
import subprocess

import psycopg2
import pytest

from brokers import Brokers, bridge_on, is_not_ready
from faults import require_ended, under_load
from stack import RUN, ended, eventually, kill

LONG_S = 600
MEGABYTE = 1024 * 1024
FULL = {'53100', '57P02', '57P03'}      # refused, or cut off by the end of the server


def mount(folder, megabytes):
    return subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={megabytes}m', 'bank', folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


class Disk:
    """A small file system, which can be filled and emptied."""

    def __init__(self, folder):
        self.folder, self.filler = folder, folder / 'filler'

    def fill(self):
        """To the last block, also where somebody gives some back meanwhile."""
        with open(self.filler, 'ab', buffering=0) as filler:
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(MEGABYTE))

    def empty(self):
        self.filler.unlink(missing_ok=True)


@pytest.fixture(name='disk')
def small_disk(whole_stack):
    folder = RUN / 'small'
    folder.mkdir()
    done = mount(folder, 512) if os.geteuid() == 0 else None
    if done is None or done.returncode != 0:
        folder.rmdir()
        pytest.skip('a file system cannot be mounted here')
    try:
        yield Disk(folder)
    finally:
        subprocess.run(['umount', '-l', folder], check=True)
        folder.rmdir()


def test_full_disk_of_the_broker(stack, disk):
    """It ends; the bridge waits, and the ledger does not."""
    brokers = Brokers(stack, folder=disk.folder / 'brokers')
    [broker] = brokers.nodes
    with brokers, bridge_on(stack, brokers), under_load(stack, within_s=LONG_S) as load:
        disk.fill()
        eventually(lambda: disk.fill() or broker.process.poll() is not None,
                   'the broker ends', LONG_S)
        eventually(lambda: is_not_ready(stack, 'publish', 'kafka'), 'publish waits')
        meanwhile = len(load.outcomes.done) + 100
        eventually(lambda: load.reached(meanwhile), 'the ledger needs no broker')
        disk.empty()
        brokers.start(broker)
        eventually(lambda: stack.health()['healthy'], 'the bridge works again', LONG_S)


def stop_server(stack):
    server = stack.part('postgresql')
    if not ended(server):
        kill(server, signal.SIGINT)
    require_ended([server])


@contextlib.contextmanager
def data_on(stack, disk):
    """The server's data is on the small disk in the block."""
    usual, kept = RUN / 'postgresql', RUN / 'postgresql.kept'
    stop_server(stack)
    usual.rename(kept)
    moved = disk.folder / 'postgresql'
    subprocess.run(['cp', '-a', kept, moved], check=True)
    usual.symlink_to(moved)
    stack.up()
    try:
        yield
    finally:
        stop_server(stack)
        usual.unlink()
        shutil.rmtree(kept)
        subprocess.run(['cp', '-a', moved, usual], check=True)
        stack.up()


def answers(stack):
    try:
        return stack.session() is not None
    except psycopg2.OperationalError:
        return False


def test_full_disk_of_the_server(stack, disk):
    """Who posts gets an error, or no answer; what was answered is there."""
    with data_on(stack, disk), under_load(stack, within_s=LONG_S) as load:
        eventually(lambda: disk.fill() or FULL & {
            code for _, code in list(load.outcomes.counts)}, 'somebody meets it', LONG_S)
        disk.empty()
        server = stack.part('postgresql')
        eventually(lambda: ended(server) or answers(stack), 'it has recovered, or ended')
        stack.up()
