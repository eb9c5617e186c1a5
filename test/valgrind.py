"""The regression tests in a server that runs under valgrind.

What is reported counts where a function of the extension is in its stack: a
server that was not built for valgrind (USE_VALGRIND) has reports of its own.
BANK_SYSTEM_PG_CONFIG may name one that was, with assertions, which sees more.
"""
import contextlib
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / 'build/valgrind'
WRAPPER = """#!/bin/sh
exec valgrind --quiet --leak-check=no --trace-children=yes --log-file={logs}/%p.log \\
    --error-markers=BEGIN,END {program} "$@"
"""


@contextlib.contextmanager
def server_under_valgrind():
    """The private copy of the server runs so while the block lasts."""
    config = subprocess.run([ROOT / 'deploy/postgres-tree'], check=True, text=True,
                            stdout=subprocess.PIPE).stdout.strip()
    program = pathlib.Path(config).with_name('postgres')
    real = program.with_name('postgres.real')
    program.rename(real)
    try:
        program.write_text(WRAPPER.format(logs=LOGS, program=real), encoding='utf-8')
        program.chmod(0o755)
        yield
    finally:
        real.replace(program)


def reports():
    """Those in whose stack the extension is."""
    for log in sorted(LOGS.glob('*.log')):
        text = log.read_text(encoding='utf-8', errors='replace')
        for report in re.findall(r'BEGIN\n(.*?)END', text, re.S):
            if 'bank.so' in report or re.search(r'\bbank_\w+ \(', report):
                yield report


def main():
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    LOGS.chmod(0o777)
    with server_under_valgrind():
        done = subprocess.run([ROOT / 'test/run', 'regress'], check=False)
    ran = done.returncode == 0 and any(LOGS.glob('*.log'))
    found = list(reports())
    print(*found, sep='\n')
    print('1..1')
    print(f'{"ok" if ran and not found else "not ok"} 1 - '
          f'valgrind reports nothing of the extension ({len(found)} reports)')
    return 1 if found or not ran else 0


if __name__ == '__main__':
    sys.exit(main())
