"""Whatever stands where BACEN or customer-api should be: the retry and a
creation end in time, believe nothing that is not proven, and leave the row
due."""
import os
import pathlib
import shutil
import sys
import time
import uuid
from urllib.parse import urlsplit

import pytest

from conftest import Session, wait_until
from test_rate import gate                              # noqa: F401
from test_retry import RETRY, due, make_due, reporter, states     # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'test/fake'))

from certificates import Authority      # noqa: E402
from impostor import FAULTS, OK, Impostor, send, tls    # noqa: E402

FOLDER = ROOT / 'build/test/certificates'


@pytest.fixture
def impostor():
    made = []

    def make(answer, context=None):
        made.append(Impostor(answer, context))
        return made[-1]
    yield make
    for one in made:
        one.stop()


@pytest.mark.parametrize('name', FAULTS)
def test_bacen(operator, reporter, impostor, due, name):
    answer, expected = FAULTS[name]
    bacen = impostor(answer)
    due(1)
    with operator.setting(operator, bacen_url=f'http://127.0.0.1:{bacen.port}/notificacoes',
                          bacen_timeout='700ms'):
        wait_until(lambda: reporter.value('SHOW bank.bacen_timeout') == '700ms', 'it is set')
        began = time.monotonic()
        reporter.rows(RETRY)
        assert time.monotonic() - began < 7
    assert states(operator) == {'pending': 1}
    assert operator.value('SELECT last_error FROM bank_report.notification').startswith(expected)
    assert len(bacen.requests) == 1, 'sent once'
    make_due(operator)
    operator.rows('UPDATE bank_report.gate SET opened_until = NULL')
    reporter.rows(RETRY)
    assert states(operator) == {'delivered': 1}


def test_redirect_is_not_followed(operator, reporter, impostor, due):
    target = impostor(send(OK))
    bacen = impostor(send(f'HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:{target.port}/\r\n'
                          'Content-Length: 0\r\n\r\n'.encode()))
    due(1)
    with operator.setting(operator, bacen_url=f'http://127.0.0.1:{bacen.port}/notificacoes'):
        wait_until(lambda: str(bacen.port) in operator.value('SHOW bank.bacen_url'), 'it is set')
        reporter.rows(RETRY)
    assert states(operator) == {'pending': 1} and target.requests == []
    assert operator.value('SELECT last_status FROM bank_report.notification') == 307


def test_refused_connection(operator, reporter, due):
    due(1)
    with operator.setting(operator, bacen_url='http://127.0.0.1:1/notificacoes'):
        reporter.rows('SELECT 1')
        reporter.rows(RETRY)
    assert states(operator) == {'pending': 1}
    assert 'no answer' in operator.value('SELECT last_error FROM bank_report.notification')


# TLS: what is proven is believed, and nothing else.

@pytest.fixture(scope='module', name='authority')
def certificates():
    shutil.rmtree(FOLDER, ignore_errors=True)
    return Authority(FOLDER)


def told(operator, reporter, due, **settings):
    """Sends one notification under these settings: its error, None where it
    was delivered."""
    due(1)
    operator.rows('UPDATE bank_report.gate SET opened_until = NULL, failures = 0')
    with operator.setting(operator, **settings):
        operator.rows('SELECT pg_sleep(0)')
        wait_until(lambda: all(Session().value(f'SHOW bank.{name}') == value
                               for name, value in settings.items()), 'they are set')
        Session(user='bank_report').rows(RETRY)
    return operator.value('SELECT last_error FROM bank_report.notification')


def test_certificates_of_bacen(operator, reporter, impostor, due, authority):
    good = impostor(send(OK), tls(*authority.issue('bacen', 'localhost')))
    url = f'https://localhost:{good.port}/notificacoes'
    assert told(operator, reporter, due, bacen_url=url, bacen_ca=authority.certificate) is None
    assert 'no answer' in told(operator, reporter, due, bacen_url=url)
    assert 'no answer' in told(operator, reporter, due, bacen_url=url,
                               bacen_ca='/no/such/file.pem')
    assert len(good.requests) == 1
    for what, pair in authority.unproven().items():
        bad = impostor(send(OK), tls(*pair))
        error = told(operator, reporter, due, bacen_ca=authority.certificate,
                     bacen_url=f'https://localhost:{bad.port}/notificacoes')
        assert error is not None and 'no answer' in error and bad.requests == [], what


def test_certificate_shown_to_bacen(operator, reporter, impostor, due, authority):
    certificate, key = authority.issue('we', 'bank', 'extendedKeyUsage=clientAuth')
    bacen = impostor(send(OK), tls(*authority.issue('mutual', 'localhost'),
                                   client_ca=authority.certificate))
    url = f'https://localhost:{bacen.port}/notificacoes'
    assert told(operator, reporter, due, bacen_url=url, bacen_ca=authority.certificate,
                bacen_certificate=certificate, bacen_key=key) is None
    assert 'no answer' in told(operator, reporter, due, bacen_url=url,
                               bacen_ca=authority.certificate)
    assert len(bacen.requests) == 1


def test_certificates_of_customer_api(operator, impostor, authority):
    certificate, key = authority.issue('we-too', 'bank', 'extendedKeyUsage=clientAuth')
    body = b'{"ativo": true}'
    answer = send(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
    api = impostor(answer, tls(*authority.issue('api', 'localhost'),
                               client_ca=authority.certificate))
    url = f'https://localhost:{api.port}/clientes/{{customer_id}}'

    def created(**settings):
        with operator.setting(operator, customer_api_url=url, **settings):
            wait_until(lambda: Session().value('SHOW bank.customer_api_url') == url, 'it is set')
            failure = Session().failure('SELECT bank.create_account(%s)', str(uuid.uuid4()))
        return failure and failure[0]
    trusted = {'customer_api_ca': authority.certificate}
    assert created(**trusted, customer_api_certificate=certificate, customer_api_key=key) is None
    assert created(**trusted) == 'LG011'
    assert created(customer_api_certificate=certificate, customer_api_key=key) == 'LG011'
    assert len(api.requests) == 1


SECRETS = ('bank.customer_api_url', 'bank.bacen_url', 'bank.redis_url', 'bank.redis_password_file',
           'bank.search_dsn',
           'bank.bacen_ca', 'bank.bacen_certificate', 'bank.bacen_key', 'bank.customer_api_ca',
           'bank.customer_api_certificate', 'bank.customer_api_key')


@pytest.mark.parametrize('user', ['bank_report', 'bank_project', 'bank_publish'])
def test_settings_with_secrets_are_read_by_superusers_only(user):
    database = 'bank_search' if user == 'bank_project' else 'bank'
    other = Session(user=user, database=database)
    for name in SECRETS:
        assert other.failure(f'SHOW {name}')[0] == '42501', name
        assert other.failure('SELECT current_setting(%s)', name)[0] == '42501', name
    assert other.rows('SELECT name FROM pg_settings WHERE name = ANY (%s)', list(SECRETS)) == []
    assert other.failure('SELECT * FROM pg_file_settings')[0] == '42501'


def test_no_secret_is_logged(operator, session, silent):
    """Where a password is part of an address, and the address does not work."""
    secret = uuid.uuid4().hex
    with operator.setting(
            operator, redis_url=f'redis://u:{secret}@127.0.0.1:1',
            search_dsn=f'host=127.0.0.1 port=1 user=x password={secret}',
            customer_api_url=f'http://u:{secret}@127.0.0.1:1/{{customer_id}}'):
        wait_until(lambda: secret in session.value('SHOW bank.customer_api_url'), 'it is set')
        for query in (f"SELECT bank.balance('{uuid.uuid4()}')",
                      'SELECT bank.create_account(gen_random_uuid())'):
            failure = session.failure(query)
            assert failure is not None and secret not in str(failure)
    # A reload tells what changed: that is what the password's file is for.
    assert all('parameter "bank.' in line for line in lines_of_log(secret))


def lines_of_log(text):
    log = (ROOT / 'build/test/log/postgresql.log').read_text(errors='replace')
    return [line for line in log.splitlines() if text in line]


def test_password_of_redis_in_a_file(operator, session):
    """Read at every connection; the address and the log are without it."""
    url = urlsplit(os.environ['BANK_REDIS_URL'])
    search, account = Session(database='bank_search'), str(uuid.uuid4())
    search.rows("INSERT INTO bank_search.balance VALUES"
                " (%s, gen_random_uuid(), 'BRL', 1050, 0, 'active', 1, 3, now())", account)
    path = ROOT / 'build/test/redis-password'
    source = 'SELECT source FROM bank.balance(%s)'
    with operator.setting(session, redis_password_file=path,
                          redis_url=f'redis://{url.hostname}:{url.port}/0'):
        assert session.value(source, account) == 'database', 'there is no file'
        path.write_text(url.password + '\n')
        shutil.chown(path, *(('postgres', 'postgres') if os.geteuid() == 0 else (os.getuid(),)))
        path.chmod(0o600)
        wait_until(lambda: session.value(source, account) == 'redis', 'the file is read')
        path.write_text('wrong\n')
        other = Session()
        assert other.value(source, account) == 'database'
    assert not any(url.password in line for line in lines_of_log('redis_password_file'))
