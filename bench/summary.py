"""What the rounds say together: medians, intervals, ratios, and the tables
they are printed as."""
import statistics

from measures import MEASURES, RATIOS


def of(values):
    """The median of the rounds, and their lowest and highest: with five
    rounds the true median is between those in 94 of 100 runs."""
    return {'median': statistics.median(values), 'low': min(values), 'high': max(values),
            'rounds': list(values)}


def of_ratio(ratio, rounds):
    """A ratio is taken within each round, since its measures were neighbours
    there and met the same machine."""
    quotients = [one[ratio.over] / one[ratio.under] for one in rounds]
    found = of([1 - quotient for quotient in quotients] if ratio.is_cost else quotients)
    found['target'] = ratio.target
    found['reached'] = (found['median'] < ratio.target if ratio.is_cost
                        else found['median'] >= ratio.target)
    return found


def of_rounds(rounds):
    """rounds: for each the transfers per second by the name of the measure."""
    return {'transfers_per_second': {m.name: of([one[m.name] for one in rounds])
                                     for m in MEASURES},
            'ratios': {r.name: of_ratio(r, rounds) for r in RATIOS}}


def rate_cell(found):
    return f'{found["median"]:,.0f} ({found["low"]:,.0f}-{found["high"]:,.0f})'


def rate_lines(results):
    """A line for each title, a column for each number of clients."""
    columns = sorted({m.clients for m in MEASURES})
    cells = {}
    for m in MEASURES:
        cells.setdefault(m.title, {})[m.clients] = rate_cell(results[m.name])
    yield f'{"transfers per second by clients":42}' + ''.join(f'{c:>26}' for c in columns)
    for title, by_clients in cells.items():
        yield f'{title:42}' + ''.join(f'{by_clients.get(c, ""):>26}' for c in columns)


def ratio_cell(ratio, value):
    return f'{100 * value:.1f} %' if ratio.is_cost else f'{value:.2f}'


def ratio_lines(results):
    yield f'{"ratio":58}{"median":>9}{"low":>9}{"high":>9}   target'
    for r in RATIOS:
        found = results[r.name]
        target = f'< {100 * r.target:.0f} %' if r.is_cost else f'>= {r.target:g}'
        yield (f'{r.title:58}' +
               ''.join(f'{ratio_cell(r, found[key]):>9}' for key in ('median', 'low', 'high')) +
               f'   {target:8} {"reached" if found["reached"] else "missed"}')


def size_lines(results):
    yield f'{"bytes per transfer":42}{"heap":>10}{"indexes":>10}{"together":>10}{"rows":>14}'
    for title, size in results.items():
        together = size['heap'] + size['indexes']
        yield (f'{title:42}{size["heap"]:>10.0f}{size["indexes"]:>10.0f}{together:>10.0f}'
               f'{size["rows"]:>14,}')


def verify_line(found):
    verdict = 'sound' if found['findings'] == 0 else f'{found["findings"]} findings'
    return (f'bank.verify(): {verdict}; {found["rows"]:,} journal rows in '
            f'{found["seconds"]:.1f} s, {found["rows"] / found["seconds"]:,.0f} rows per second')


def text(results):
    """The whole report; rounds are named by their interval."""
    lines = [results['machine'], f'{results["rounds"]} rounds: median (lowest-highest)', '',
             *rate_lines(results['transfers_per_second']), '',
             *ratio_lines(results['ratios']), '',
             *size_lines(results['bytes_per_transfer']), '',
             verify_line(results['verify'])]
    return '\n'.join(lines) + '\n'
