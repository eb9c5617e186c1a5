"""What the demo shows: steps, what was done, what was read back, and whether
that was as expected."""
import sys
import textwrap

WIDTH = 100
INDENT = ' ' * 14
COLOURS = {'title': '1;36', 'ok': '32', 'failed': '1;31', 'label': '33'}


def paint(text, colour):
    return f'\033[{COLOURS[colour]}m{text}\033[0m' if sys.stdout.isatty() else text


def folded(text, indent):
    """Text in lines of WIDTH, broken at blanks only, to stand after indent."""
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent,
                         break_long_words=False, break_on_hyphens=False).strip()


class Screen:
    """Prints and counts; nothing is raised for what was not as expected."""

    def __init__(self):
        self.steps = 0
        self.passed = 0
        self.failed = 0

    def step(self, title, *explanation):
        self.steps += 1
        head = f'── {self.steps}. {title} '
        print('\n' + paint(head + '─' * (WIDTH - len(head)), 'title'))
        for line in explanation:
            print(line)

    def act(self, where, what):
        """Something done, in the words it was done with."""
        print(f'\n{paint(where.ljust(13), "label")} {folded(what, INDENT)}', flush=True)

    def answer(self, text):
        for line in str(text).splitlines():
            print(f'{INDENT}→ {folded(line, INDENT + "  ")}', flush=True)

    def check(self, claim, holds):
        """A claim about what was read; False counts as failed."""
        self.passed += bool(holds)
        self.failed += not holds
        word = paint('ok    ', 'ok') if holds else paint('FAILED', 'failed')
        print(f'{word}        {claim}', flush=True)
        return holds


def row_text(row):
    """A row as name=value; nulls left out."""
    if row is None:
        return '(no row)'
    return ' '.join(f'{name}={value}' for name, value in row.items() if value is not None)
