"""test/run counts what suites say, and takes nothing bad for good."""
import importlib.machinery
import importlib.util
import pathlib
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / 'run'


def load_runner():
    loader = importlib.machinery.SourceFileLoader('runner', str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('runner', loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


runner = load_runner()


@pytest.mark.parametrize('text, passed, failed, skipped', [
    ('1..2\nok 1\nok 2 - fine\n', 2, 0, 0),
    ('ok 1\nnot ok 2 - bad\n1..2\n', 1, 1, 0),
    ('1..2\nok 1\nok 2 # SKIP no broker\n', 1, 0, 1),
    ('1..1\nok 1\n1..1\nok 1\n', 2, 0, 0),
    ('1..3\nok 1\nok 2\n', 2, 1, 0),        # ended early
    ('ok 1\nok 2\n', 2, 1, 0),              # before it said how many there are
    ('1..1\nok 1\nok 2\n', 2, 1, 0),
    ('1..0\n', 0, 1, 0),                    # no test at all
    ('', 0, 1, 0),
    ('okay then\n1..1\nok 1\n', 1, 0, 0),
])
def test_tap_is_counted(text, passed, failed, skipped):
    assert str(runner.count_tap(text)) == str(runner.Counts(passed, failed, skipped))


def test_output_of_pg_regress_is_counted():
    text = ('test account      ... ok           12 ms\n'
            'test transfer     ... FAILED        7 ms\n'
            'parallel group (2 tests):  a b\n     a  ... ok  1 ms\n     b  ... ok  1 ms\n')
    assert str(runner.count_pg_regress(text)) == '3 passed, 1 failed, 0 skipped'
    assert str(runner.count_pg_regress('ok 1 - account\nnot ok 2 - b\n1..2\n')) == \
        '1 passed, 1 failed, 0 skipped'


@pytest.mark.parametrize('script, counted', [
    ('echo 1..1; echo ok 1', '1 passed, 0 failed, 0 skipped'),
    ('echo 1..1; echo ok 1; exit 3', '1 passed, 1 failed, 0 skipped'),
    ('echo 1..1; echo ok 1; kill -SEGV $$', '1 passed, 1 failed, 0 skipped'),
    ('echo 1..1; echo not ok 1; exit 1', '0 passed, 1 failed, 0 skipped'),
])
def test_how_a_command_ends_counts(tmp_path, script, counted):
    assert str(runner.count_tap_after(['sh', '-c', script], tmp_path / 'log')) == counted


def test_what_runs_too_long_may_say_what_failed(tmp_path):
    log = tmp_path / 'log'
    script = 'trap "echo interrupted; exit" INT; echo began; sleep 600 & wait'
    assert runner.run(['sh', '-c', script], log, limit=1) == 124
    assert log.read_text().split('\n')[:2] == ['began', 'interrupted']


def test_what_heeds_no_interrupt_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, 'STOP_SECONDS', 1)
    log = tmp_path / 'log'
    assert runner.run(['sh', '-c', 'trap "" INT; sleep 600'], log, limit=1) == 124
    assert 'it took too long' in log.read_text()


@pytest.mark.parametrize('source, counted', [
    ('def test_a(): pass', '1 passed, 0 failed, 0 skipped'),
    ('def test_a(): assert False', '0 passed, 1 failed, 0 skipped'),
    ('import pytest\n@pytest.mark.skip\ndef test_a(): pass', '0 passed, 0 failed, 1 skipped'),
    ('raise ValueError', '0 passed, 1 failed, 0 skipped'),
    ('', '0 passed, 1 failed, 0 skipped'),
])
def test_pytest_is_counted(tmp_path, monkeypatch, source, counted):
    (tmp_path / 'test_x.py').write_text(source)
    monkeypatch.setattr(runner, 'RESULTS', tmp_path)
    assert str(runner.pytest(tmp_path / 'log', str(tmp_path))) == counted


@pytest.fixture
def suites(monkeypatch, tmp_path):
    """Suites of our own in the place of all others."""
    def broken(_):
        raise OSError('no such program')

    monkeypatch.setattr(runner, 'RESULTS', tmp_path)
    monkeypatch.setattr(runner, 'NEED_SERVER', set())
    monkeypatch.setattr(runner, 'SUITES', {
        'good': lambda log: log.write_text('') or runner.Counts(passed=2),
        'bad': lambda log: log.write_text('why') and runner.Counts(1, 1, 1),
        'broken': broken})


@pytest.mark.parametrize('names, status, last', [
    (['good'], 0, '2 passed, 0 failed, 0 skipped'),
    (['good', 'bad'], 1, '3 passed, 1 failed, 1 skipped'),
    (['broken', 'good'], 1, '2 passed, 1 failed, 0 skipped'),
    ([], 1, '3 passed, 2 failed, 1 skipped'),
])
def test_the_last_line_sums_all(suites, capsys, names, status, last):
    assert runner.main(names) == status
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_suite_that_is_not_there_is_refused(suites):
    with pytest.raises(SystemExit):
        runner.main(['godo'])
