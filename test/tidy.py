#!/usr/bin/python3
"""Checks that the sources keep the habits of the house.

Without arguments: prints what is wrong, one line each, and fails when there
is anything.  --tap: the same as TAP, one test a check, and a test that each
check can find what it looks for.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTION_MAX, FILE_MAX, WIDTH_MAX = 70, 1000, 100

REPLACEMENTS = {
    'strcpy': 'strlcpy or bank_text_copy', 'strcat': 'a bounded writer',
    'sprintf': 'snprintf', 'vsprintf': 'vsnprintf', 'atoi': 'strtol', 'atol': 'strtol',
    'strtok': 'strcspn', 'gets': 'fgets',
}


def is_server(name):
    return re.match(r'extension/[^/]*$', name) is not None


def is_common(name):
    return name.startswith('extension/common/')


def is_bridge(name):
    return name.startswith('bridge/')


def without_comments(text):
    """The text with comments and string contents blanked, line for line."""
    def blank(match):
        found = match.group(0)
        if found.startswith(('"', "'")):
            return found[0] + ' ' * (len(found) - 2) + found[-1]
        return re.sub(r'[^\n]', ' ', found)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                  blank, text, flags=re.S)


def line_of(text, position):
    return text.count('\n', 0, position) + 1


def find(code, pattern):
    for match in re.finditer(pattern, code, re.M):
        yield line_of(code, match.start()), match


# Each check takes a file's name and text and yields (line, what to do).

def long_functions(name, text):
    """Functions are 70 lines at most."""
    if not name.endswith('.c'):
        return
    start = signature = None
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        if line.startswith('{') and signature:
            start = signature
        elif line.startswith('}') and start:
            if number - start + 1 > FUNCTION_MAX:
                yield start, f'function of {number - start + 1} lines: split it'
            start = signature = None
        elif re.match(r'\w+\(', line):
            signature = number
        elif line.startswith('}'):
            signature = None


def long_files(name, text):
    """Files are 1,000 lines at most."""
    count = text.count('\n')
    if name.endswith(('.c', '.h', '.py', '.sh')) and count > FILE_MAX:
        yield count, f'file of {count} lines: one concept a file'


def whitespace(name, text):
    """No blanks at line ends, no tabs but in C and make, lines of 100 at most.

    A message stays on one line, however long, so that it can be searched for.
    """
    may_tab = name.endswith(('.c', '.h', 'Makefile'))
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield number, 'remove the blanks at the end of the line'
        if '\t' in line and not may_tab:
            yield number, 'indent by blanks'
        is_message = name.endswith('.c') and '"' in line
        if name.endswith(('.c', '.h', '.py')) and not is_message and \
                len(line.expandtabs(4)) > WIDTH_MAX:
            yield number, f'fold the line at {WIDTH_MAX} columns'


def marks(name, text):
    """Nothing is left for later in the code."""
    word = 'TO' 'DO|FIX' 'ME|XX' 'X|HA' 'CK'
    for number, _ in find(text, rf'\b({word})\b'):
        yield number, 'do it, or open an issue'


def layers(name, text):
    """extension/ and bridge/ meet in extension/common only."""
    if not name.endswith(('.c', '.h')):
        return
    for number, match in find(text, r'^#include ["<]([^">]+)[">]'):
        header = match.group(1)
        folders = {'server': ROOT / 'extension' / header, 'bridge': ROOT / 'bridge' / header}
        server_only = header == 'postgres.h' or header.startswith(
            ('access/', 'utils/', 'catalog/', 'executor/', 'storage/', 'nodes/'))
        if is_common(name) and (server_only or any(p.exists() for p in folders.values())):
            yield number, f'common/ knows neither program: do without {header}'
        if is_bridge(name) and (server_only or folders['server'].exists()):
            yield number, f'the bridge uses extension/common only: do without {header}'
        if is_server(name) and folders['bridge'].exists() and not folders['server'].exists():
            yield number, f'the extension does not know the bridge: do without {header}'


def error_codes(name, text):
    """Every ereport(ERROR) has a SQLSTATE."""
    if not is_server(name):
        return
    code = without_comments(text)
    for number, match in find(code, r'ereport\((ERROR|FATAL),'):
        end = code.find(';', match.start())
        if 'errcode(' not in code[match.start():end]:
            yield number, 'add errcode()'


def version_tests(name, text):
    """compat.h alone asks for the server's version."""
    if name.endswith(('.c', '.h')) and name != 'extension/compat.h':
        for number, _ in find(text, r'PG_VERSION_NUM'):
            yield number, 'move it to extension/compat.h'


def environment(name, text):
    """bridge/config.c alone reads the environment."""
    if name.endswith('.c') and name not in ('bridge/config.c',) and not name.startswith('test/'):
        for number, _ in find(without_comments(text), r'\b(secure_)?getenv\('):
            yield number, 'make it a setting of bridge/config.c'


def memory(name, text):
    """The server allocates by palloc, common/ by malloc."""
    code = without_comments(text)
    if is_server(name):
        for number, _ in find(code, r'\b(malloc|calloc|realloc|strdup)\('):
            yield number, 'use palloc'
    if is_common(name):
        for number, _ in find(code, r'\b(palloc0?|pstrdup|psprintf|ereport|elog)\('):
            yield number, 'common/ has no server: use malloc and return the error'


def unsafe_calls(name, text):
    """No call that cannot be told how much room there is."""
    if name.endswith(('.c', '.h')):
        for number, match in find(without_comments(text),
                                  rf'\b({"|".join(REPLACEMENTS)})\('):
            yield number, f'use {REPLACEMENTS[match.group(1)]}'


def head_comments(name, text):
    """Every C file says first what it is for."""
    if name.endswith(('.c', '.h')) and not text.startswith('/*'):
        yield 1, 'begin with a comment on what the file is for'


FILE_CHECKS = {
    long_functions: ('a.c', 'f(void)\n{\n' + ';\n' * 70 + '}\n'),
    long_files: ('a.c', '\n' * 1001),
    whitespace: ('a.py', 'x \n'),
    marks: ('a.c', 'TO' 'DO'),
    layers: ('extension/common/a.c', '#include "postgres.h"\n'),
    error_codes: ('extension/a.c', 'ereport(ERROR,\n(errmsg("x")));'),
    version_tests: ('extension/a.c', '#if PG_VERSION_NUM > 1\n'),
    environment: ('bridge/a.c', 'getenv("X")'),
    memory: ('extension/a.c', 'malloc(1)'),
    unsafe_calls: ('bridge/a.c', 'strcpy(a, b)'),
    head_comments: ('a.c', 'int a;\n'),
}


# Each of these takes {name: text} and yields (name, what to do).

def documented(files):
    """README names every error, every setting and every function."""
    readme = files.get('README.md', '')
    bridge = readme + files.get('bridge/README.md', '')
    for code in sorted(set(re.findall(r"'L','G',('\d','\d','\d')",
                                      files.get('extension/errors.h', '')))):
        name = 'LG' + re.sub(r"[',]", '', code)
        if name not in readme:
            yield 'README.md', f'explain {name}'
    for name in re.findall(r'"(bank\.\w+)",', files.get('extension/bank.c', '')):
        if f'`{name}`' not in readme:
            yield 'README.md', f'explain the setting {name}'
    for name in re.findall(r'\{"([a-z]+\.[a-z_]+)", SETTING', files.get('bridge/config.c', '')):
        if f'`{name}`' not in bridge:
            yield 'bridge/README.md', f'explain the setting {name}'
    for part, text in files.items():
        if part.startswith('sql/'):
            for name in re.findall(r'CREATE (?:FUNCTION|PROCEDURE) (bank(?:_report)?\.\w+)', text):
                if name not in readme:
                    yield 'README.md', f'explain {name}'


def commented(files):
    """Every function, type, table and schema of the script has a COMMENT."""
    script = '\n'.join(text for name, text in files.items() if name.startswith('sql/'))
    made = re.findall(r'^CREATE (FUNCTION|PROCEDURE|TYPE|TABLE|VIEW|SCHEMA) ([\w.]+)', script, re.M)
    for kind, name in made:
        if not re.search(rf'COMMENT ON {kind} {re.escape(name)}\b', script):
            yield 'sql/', f'add COMMENT ON {kind} {name}'


TREE_CHECKS = {
    documented: {'README.md': '', 'extension/errors.h': "'L','G','0','0','1'"},
    commented: {'sql/a.sql': 'CREATE TABLE a.b (c int);\n'},
}


def tracked():
    """Every text file of ours, by its name in the tree."""
    folders = ('extension', 'bridge', 'sql', 'test', 'deploy', 'bench')
    names = [ROOT / 'README.md', ROOT / 'Makefile']
    for folder in folders:
        names += sorted((ROOT / folder).rglob('*'))
    texts = {}
    for path in names:
        name = str(path.relative_to(ROOT))
        built = re.match(r'sql/bank--|bridge/build', name) or '__pycache__' in name
        if path.is_file() and not built and (
                path.suffix in ('.c', '.h', '.py', '.sh', '.sql', '.md', '.spec', '.conf', '')):
            texts[name] = path.read_text(errors='replace') if path.suffix or \
                path.name == 'Makefile' or path.read_bytes()[:2] == b'#!' else ''
    return texts


def findings(files):
    """Yields (check, message) for everything that is wrong."""
    for name, text in files.items():
        for check in FILE_CHECKS:
            if name == 'test/tidy.py' and check is marks:
                continue
            for line, remedy in check(name, text):
                yield check, f'{name}:{line}: {remedy}'
    for check in TREE_CHECKS:
        for name, remedy in check(files):
            yield check, f'{name}: {remedy}'


def can_fail(check):
    if check in TREE_CHECKS:
        return any(True for _ in check(TREE_CHECKS[check]))
    return any(True for _ in check(*FILE_CHECKS[check]))


def print_tap(found):
    checks = [*FILE_CHECKS, *TREE_CHECKS]
    print(f'1..{2 * len(checks)}')
    for number, check in enumerate(checks):
        messages = [message for by, message in found if by is check]
        print(f'{"not " if messages else ""}ok {2 * number + 1} - {check.__doc__.splitlines()[0]}')
        for message in messages:
            print(f'# {message}')
        print(f'{"" if can_fail(check) else "not "}ok {2 * number + 2} - '
              f'{check.__name__} finds what it looks for')


def main(tap):
    found = list(findings(tracked()))
    if tap:
        print_tap(found)
    else:
        print('\n'.join(message for _, message in found), end='\n' if found else '')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main('--tap' in sys.argv[1:]))
