"""The benchmark sums its rounds as it says."""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / 'bench'))
import measures                                         # noqa: E402
import summary                                          # noqa: E402


def rounds_with(over, under, quotients):
    """Rounds of 100 per second but for two measures with these quotients."""
    rounds = [{one.name: 100.0 for one in measures.MEASURES} for _ in quotients]
    for found, quotient in zip(rounds, quotients):
        found[over], found[under] = 1000 * quotient, 1000.0
    return rounds


def ratio_named(name):
    return next(ratio for ratio in measures.RATIOS if ratio.name == name)


def test_a_median_has_its_lowest_and_highest():
    found = summary.of([5, 1, 4, 2, 3])
    assert (found['median'], found['low'], found['high']) == (3, 1, 5)
    assert found['rounds'] == [5, 1, 4, 2, 3]


@pytest.mark.parametrize('name, quotients, median, reached', [
    ('transfer_to_update', [0.9, 0.65, 0.1], 0.65, True),
    ('transfer_to_update', [0.9, 0.64, 0.1], 0.64, False),
    ('digest_of_transfer', [0.95, 0.91, 0.80], 0.09, True),
    ('digest_of_transfer', [0.95, 0.89, 0.80], 0.11, False),
])
def test_a_ratio_is_held_against_its_target(name, quotients, median, reached):
    ratio = ratio_named(name)
    found = summary.of_ratio(ratio, rounds_with(ratio.over, ratio.under, quotients))
    assert found['median'] == pytest.approx(median)
    assert found['reached'] is reached


def test_a_ratio_is_taken_within_each_round():
    ratio = ratio_named('transfer_to_update')
    rounds = [{ratio.over: 70, ratio.under: 100}, {ratio.over: 7, ratio.under: 10},
              {ratio.over: 700, ratio.under: 1000}]
    found = summary.of_ratio(ratio, rounds)
    assert found['low'] == found['high'] == pytest.approx(0.7)


def test_measures_and_ratios_are_named_once_and_known():
    names = [one.name for one in measures.MEASURES]
    assert len(names) == len(set(names))
    for ratio in measures.RATIOS:
        assert {ratio.over, ratio.under} <= set(names)
    for one in measures.MEASURES:
        assert (ROOT / 'bench/scripts' / f'{one.script}.sql').exists()


def test_the_report_says_what_was_reached_and_what_was_missed():
    ratio = ratio_named('transfer_to_update')
    results = {'machine': 'a machine', 'rounds': 3,
               'bytes_per_transfer': {'a table': {'rows': 10, 'heap': 200.4, 'indexes': 100.3}},
               'verify': {'rows': 1000, 'seconds': 2.0, 'findings': 0},
               **summary.of_rounds(rounds_with(ratio.over, ratio.under, [0.5, 0.5, 0.5]))}
    lines = summary.text(results).splitlines()
    assert any(line.startswith(ratio.title) and line.endswith('missed') for line in lines)
    assert any('a table' in line and '301' in line for line in lines)
    assert lines[-1] == ('bank.verify(): sound; 1,000 journal rows in 2.0 s, '
                         '500 rows per second')
