"""The four flows, each seen in every system."""
import json
import time

import psycopg2
import pytest

import checker
from stack import eventually, new_id


def wait_replicated(stack, account):
    """Search database and Redis hold what the ledger holds of an account."""
    truth = stack.ledger.row(
        'SELECT customer_id, currency, status, balance, held, version, updated_at '
        'FROM bank.ledger_balance(%s)', account)
    eventually(lambda: stack.search.row(
        'SELECT customer_id, currency, status, balance, held, version, updated_at '
        'FROM bank_search.balance WHERE account_id = %s', account) == truth,
        f'search database has {truth}')
    expected = {'account_id': account, 'epoch': '1', **{k: str(v) for k, v in truth.items()},
                'updated_at': checker.rfc3339(truth['updated_at'])}
    eventually(lambda: stack.redis.balance(account) == expected, f'Redis has {expected}')


def records(stack, topic, key):
    return [record for record in checker.read_topic(stack.env['BANK_KAFKA_BROKERS'], topic)
            if record.key == key]


def refusal(session, sql, *values):
    """The SQLSTATE with which a statement is refused."""
    with pytest.raises(psycopg2.Error) as raised:
        session.rows(sql, *values)
    return raised.value.pgcode


def test_account_is_created_everywhere(stack):
    customer, account = stack.customer('BRL')
    wait_replicated(stack, account)
    accounts, = records(stack, 'bank.accounts', account)
    assert accounts.headers['ce_type'] == 'bank.account.created'
    assert json.loads(accounts.value)['customer_id'] == customer
    balances, = records(stack, 'bank.balances', account)
    assert balances.headers['ce_id'] == f'{account}:1:1'
    assert stack.redis.run('TTL', f'bank:balance:{account}').strip() == '-1'


def test_no_account_unless_customer_is_active(stack):
    unknown, inactive, silent, broken = (new_id() for _ in range(4))
    stack.customers.order('PUT', f'/_control/customers/{inactive}', {'ativo': False})
    stack.customers.order('PUT', '/_control/answers', [
        {'path': f'/clientes/{unknown}', 'status': 404, 'times': 1},
        {'path': f'/clientes/{silent}', 'drop': True, 'times': 1},
        {'path': f'/clientes/{broken}', 'status': 200, 'body': '<html>', 'times': 1}])
    for customer, code in ((unknown, 'LG002'), (inactive, 'LG003'), (silent, 'LG011'),
                           (broken, 'LG011')):
        assert refusal(stack.ledger, 'SELECT bank.create_account(%s)', customer) == code
    asked = [entry['path'] for entry in stack.customers.log()]
    for customer in (unknown, inactive, silent, broken):
        assert asked.count(f'/clientes/{customer}') == 1, 'asked once, never again'
    assert not stack.ledger.rows(
        'SELECT account_id FROM bank_ledger.account WHERE customer_id = ANY(%s::uuid[])',
        [unknown, inactive, silent, broken])


def test_transfer_reaches_every_system(stack):
    customer, payer, payee = stack.customer('BRL', 'BRL', money=10000)
    moved = stack.transfer(payer, payee, 1050)
    assert (moved['from_balance'], moved['to_balance']) == (8950, 11050)
    wait_replicated(stack, payer)
    wait_replicated(stack, payee)
    record = records(stack, 'bank.transfers', customer)[-1]
    assert record.headers['ce_id'] == moved['transfer_id']
    row = stack.notified(moved['transfer_id'], 'delivered')
    assert (row['attempts'], row['last_status']) == (1, 201)
    entry, = stack.heard(moved['transfer_id'])
    assert entry['accepted'] and entry['headers']['x-attempt'] == '1'
    assert '"valor": 10.50,' in entry['body']


def test_only_transfers_are_told_to_bacen(stack):
    _, account, other = stack.customer('BRL', 'BRL', money=500)
    stack.ledger.rows('SELECT bank.withdraw(%s, 200)', account)
    stack.ledger.rows('SELECT bank.reverse((bank.deposit(%s, 200)).transfer_id)', account)
    moved = stack.transfer(account, other, 300)
    stack.notified(moved['transfer_id'], 'delivered')
    stack.quiet()
    assert stack.ledger.row(
        'SELECT count(*) AS n FROM bank_report.notification WHERE %s IN (from_account, to_account)',
        account)['n'] == 1


def told_by_kafka(stack, topic, key, *names):
    """The values of a key's records, only those names of each where some are given."""
    values = [json.loads(record.value) for record in records(stack, topic, key)]
    return [tuple(value[name] for name in names) if names else value for value in values]


def require_told(stack, row, valor):
    """BACEN took a transfer at the first attempt, as it says."""
    stack.notified(row['transfer_id'], 'delivered')
    entry, = stack.heard(row['transfer_id'])
    assert entry['accepted'] and f'"valor": {valor},' in entry['body']
    assert json.loads(entry['body'], parse_float=str) == {
        'id': row['transfer_id'], 'valor': valor,
        'conta': {'idOrigem': row['from_account'], 'idDestino': row['to_account']},
        'dataHora': checker.rfc3339(row['completed_at'])}


def test_hold_and_reversal_reach_every_system(stack):
    customer, payer, payee = stack.customer('BRL', 'BRL', money=10000)
    reference = 'Aluguel "março" \\ \n€'
    hold = stack.ledger.row("SELECT * FROM bank.hold(%s, %s, 1050, '2100-01-01', reference => %s)",
                            payer, payee, reference)['hold_id']
    wait_replicated(stack, payer)
    between = stack.transfer(payer, payee, 1)['transfer_id']
    stack.notified(between, 'delivered')        # by who would have told of the hold before
    assert not stack.notification(hold) and not stack.heard(hold)
    posted = stack.ledger.row('SELECT * FROM bank.post_hold(%s, 1000)', hold)
    back = stack.ledger.row('SELECT * FROM bank.reverse(%s)', hold)
    wait_replicated(stack, payer)
    wait_replicated(stack, payee)
    require_told(stack, posted, '10.00')
    require_told(stack, back, '10.00')
    names = ('version', 'balance', 'held', 'transfer_id')
    assert told_by_kafka(stack, 'bank.balances', payer, *names)[2:] == [
        (3, 10000, 1050, hold), (4, 9999, 1050, between), (5, 9999, 0, hold), (6, 8999, 0, hold),
        (7, 9999, 0, back['transfer_id'])]
    assert told_by_kafka(stack, 'bank.balances', payee, *names)[2:] == [
        (3, 10001, 0, between), (4, 11001, 0, hold), (5, 10001, 0, back['transfer_id'])]
    same = {'customer_id': customer, 'amount': 1000, 'currency': 'BRL', 'epoch': 1}
    assert told_by_kafka(stack, 'bank.transfers', customer)[-2:] == [
        {**same, 'transfer_id': hold, 'kind': 'hold_posted', 'reference': reference,
         'reverses': None, 'from_account': payer, 'from_version': 6, 'from_balance': 8999,
         'to_account': payee, 'to_version': 4, 'to_balance': 11001,
         'completed_at': checker.rfc3339(posted['completed_at'])},
        {**same, 'transfer_id': back['transfer_id'], 'kind': 'reversal', 'reference': None,
         'reverses': hold, 'from_account': payee, 'from_version': 5, 'from_balance': 10001,
         'to_account': payer, 'to_version': 7, 'to_balance': 9999,
         'completed_at': checker.rfc3339(back['completed_at'])}]


def test_nothing_appears_before_its_commit(stack):
    """Invariant 9: an open transaction is not seen, and one rolled back never."""
    customer, payer, payee = stack.customer('BRL', 'BRL', money=100)
    other = stack.session()
    other.begin()
    refused = other.row('SELECT * FROM bank.transfer(%s, %s, 1)', payer, payee)['transfer_id']
    _, witness, _ = stack.customer('BRL', 'BRL', money=5)
    wait_replicated(stack, witness)
    other.connection.rollback()
    other.connection.autocommit = True
    kept = stack.transfer(payer, payee, 2)['transfer_id']
    stack.notified(kept, 'delivered')
    seen = [record.headers['ce_id'] for record in records(stack, 'bank.transfers', customer)]
    assert kept in seen and refused not in seen
    assert not stack.notification(refused) and not stack.heard(refused)


def test_inactivation_is_seen_everywhere(stack):
    customer, account, other = stack.customer('BRL', 'USD', money=700)
    close = 'SELECT * FROM bank.inactivate_customer(%s)'
    assert refusal(stack.ledger, close, customer) == 'LG010'
    session = stack.session()
    session.begin()
    session.rows('SELECT bank.withdraw(%s, 700)', account)
    assert refusal(stack.ledger, close, customer) == 'LG009'
    session.commit()
    stack.ledger.rows('SELECT bank.withdraw(%s, 700)', other)
    closed = stack.ledger.rows(close, customer)
    assert stack.ledger.rows(close, customer) == closed, 'repeated: the same answer'
    wait_replicated(stack, account)
    wait_replicated(stack, other)
    types = [record.headers['ce_type'] for record in records(stack, 'bank.accounts', account)]
    assert types == ['bank.account.created', 'bank.account.inactivated']
    assert refusal(stack.ledger, 'SELECT bank.deposit(%s, 1)', account) == 'LG004'
    assert refusal(stack.ledger, 'SELECT bank.create_account(%s)', customer) == 'LG013'


def test_balance_survives_redis_that_forgot(stack):
    _, account = stack.customer('BRL', money=1050)
    wait_replicated(stack, account)
    read = 'SELECT balance, version, source FROM bank.balance(%s)'
    assert stack.ledger.row(read, account) == {'balance': 1050, 'version': 2, 'source': 'redis'}
    stack.redis.run('FLUSHALL')
    assert stack.ledger.row(read, account)['source'] == 'database'
    assert stack.ledger.row(read, account) == {'balance': 1050, 'version': 2, 'source': 'redis'}
    assert stack.search.row(read, account)['balance'] == 1050


def test_balance_not_older_than_asked(stack):
    _, account = stack.customer('BRL', money=1)
    row = stack.ledger.row('SELECT * FROM bank.deposit(%s, 2)', account)
    read = 'SELECT balance FROM bank.balance(%s, %s)'

    def read_own_write():
        answer = stack.ledger.attempt(read, account, row['to_version'])
        assert isinstance(answer, list) or answer['code'] == 'LG014', answer
        return isinstance(answer, list) and answer[0]['balance'] == 3
    eventually(read_own_write, 'the deposit is visible')
    assert refusal(stack.ledger, read, account, row['to_version'] + 1) == 'LG014'


def test_a_seal_is_told_and_can_be_held_against_the_ledger(stack):
    _, account = stack.customer('BRL', money=1)
    period = stack.ledger.row('SELECT max(period) AS n FROM bank_ledger.transfer '
                              'WHERE to_account = %s', account)['n']

    def is_sealed():
        stack.ledger.rows('SELECT bank_ledger.seal_next()')
        return stack.ledger.row('SELECT max(number) >= %s AS yes FROM bank_ledger.seal',
                                period)['yes']

    def told():
        return [seal for seal in map(json.loads, (
            record.value for record in records(stack, 'bank.seals', 'local')))
            if seal['number'] == period]
    eventually(is_sealed, f'period {period} is sealed')
    eventually(told, 'the seal is in Kafka')
    seal, = told()
    verify = ("SELECT * FROM bank.verify(seal => ROW(%s, %s, %s, decode(%s, 'hex'), "
              "decode(%s, 'hex'), %s)::bank.seal_row)")
    kept = [seal[name] for name in ('number', 'number', 'entries', 'root', 'previous',
                                    'sealed_at')]
    assert stack.ledger.rows(verify, *kept) == []
    kept[2] += 1
    assert len(stack.ledger.rows(verify, *kept)) == 1


def test_age_of_the_newest_seal_is_told(stack):
    """It grows for as long as a transaction keeps a period from being sealed."""
    newest = 'SELECT max(number) AS n FROM bank_ledger.seal'

    def sealed(number):
        stack.ledger.rows('SELECT bank_ledger.seal_next()')
        return (stack.ledger.row(newest)['n'] or 0) > number

    def age():
        return float(stack.sample('publish_seal_age_seconds'))

    before = stack.ledger.row(newest)['n'] or 0
    eventually(lambda: sealed(before), 'a seal is made')
    eventually(lambda: age() < 20, 'it is published')
    holding = stack.session()
    holding.begin()
    holding.row('SELECT pg_current_xact_id()')
    for _ in range(3):
        sealed(0)               # what the transaction came too late for
    stack.published()
    held, began, first = stack.ledger.row(newest)['n'], time.monotonic(), age()
    eventually(lambda: sealed(held) or time.monotonic() > began + 3, 'time has passed')
    assert not sealed(held) and age() - first >= 3
    holding.commit()
    eventually(lambda: sealed(held), 'sealing goes on')
    eventually(lambda: age() < 3, 'and is told')


def test_everything_is_sound(stack):
    stack.quiet()
    checker.require_sound(stack)
