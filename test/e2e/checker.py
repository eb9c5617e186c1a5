"""Recomputes, from the journal alone, what must hold of it and of everything
that follows from it.  Written apart from the programs it judges: it shares no
code and no query with them, bank.verify() included.

Each check returns a list of complaints; none is sound.
"""
import collections
import json
import subprocess

TOLD = ('transfer', 'hold_posted')      # what BACEN must know, and their reversals
HOLD_CHANGES = {'hold_created': 1, 'hold_posted': -1, 'hold_voided': -1, 'hold_expired': -1}
TOPICS = ('bank.accounts', 'bank.balances', 'bank.transfers', 'bank.seals')


def rfc3339(time):
    return time.strftime('%Y-%m-%dT%H:%M:%S.%fZ')


# ---------------------------------------------------------------------------
# The journal
# ---------------------------------------------------------------------------

def rows_of(session, query):
    """The rows of a query, with digests as bytes that can be compared and copied."""
    return [{name: bytes(value) if isinstance(value, memoryview) else value
             for name, value in row.items()} for row in session.rows(query)]


class Journal:
    """The tables of bank_ledger, all of one snapshot."""

    def __init__(self, session):
        session.rows('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
        self.accounts = {row['account_id']: row
                         for row in rows_of(session, 'SELECT * FROM bank_ledger.account')}
        self.closing = {row['customer_id'] for row in session.rows(
            "SELECT customer_id FROM bank_ledger.customer WHERE status = 'closing'")}
        self.events = rows_of(session,
                              'SELECT xmin::text AS xid, * FROM bank_ledger.account_event')
        self.transfers = rows_of(session,
                                 'SELECT xmin::text AS xid, * FROM bank_ledger.transfer')
        self.holds = {row['hold_id']: row
                      for row in rows_of(session, 'SELECT * FROM bank_ledger.hold')}
        self.seals = rows_of(session, 'SELECT xmin::text AS xid, * FROM bank_ledger.seal')
        self.epoch = session.row('SELECT max(number) AS epoch FROM bank_ledger.epoch')['epoch']
        self.site = session.row('SELECT name FROM bank_ledger.site')['name']
        session.rows('COMMIT')

    def entries(self):
        """{account: its entries in the order of the versions}."""
        found = collections.defaultdict(list)
        for event in self.events:
            found[event['account_id']].append(
                {**event, 'change': 0, 'dated': event['occurred_at'], 'moves': False,
                 'holds': HOLD_CHANGES.get(event['kind'], 0) * (event['amount'] or 0)})
        for transfer in self.transfers:
            for side, sign in (('from', -1), ('to', 1)):
                found[transfer[f'{side}_account']].append({
                    'kind': transfer['kind'], 'version': transfer[f'{side}_version'],
                    'balance': transfer[f'{side}_balance'], 'held': transfer[f'{side}_held'],
                    'change': sign * transfer['amount'], 'dated': transfer['completed_at'],
                    'moves': True, 'holds': 0})
        for entries in found.values():
            entries.sort(key=lambda entry: entry['version'])
        return found

    def side(self, transfer, side):
        """Who pays or is paid; settlement is one, whichever of its accounts it is."""
        account = self.accounts[transfer[f'{side}_account']]
        return account['account_id'] if account['kind'] == 'customer' else 'settlement'


def check_entry(entry, previous, account):
    """What is wrong with an entry, given the one before it."""
    where = f'{account["account_id"]} version {entry["version"]}'
    if entry['version'] != (previous['version'] if previous else 0) + 1:
        yield f'2: {where} follows {previous and previous["version"]}'
    if entry['balance'] != (previous['balance'] if previous else 0) + entry['change']:
        yield f'2: {where} has balance {entry["balance"]} after {previous}'
    if account['kind'] == 'customer' and entry['balance'] < entry['held']:
        yield f'3: {where} has {entry["balance"]}, held {entry["held"]}'
    if entry['held'] != (previous['held'] if previous else 0) + entry['holds']:
        yield f'3: {where} has held {entry["held"]} after {previous}'
    if previous and entry['dated'] < previous['dated']:
        yield f'4: {where} is dated before the entry before it'
    if entry['moves'] and account['closed_at'] and entry['dated'] >= account['closed_at']:
        yield f'4: {where} is dated {entry["dated"]}, closed at {account["closed_at"]}'


def check_account(account, entries):
    if not entries:
        yield f'2: {account["account_id"]} has no journal'
        return
    previous = None
    for entry in entries:
        yield from check_entry(entry, previous, account)
        previous = entry
    state = [account[name] for name in ('version', 'balance', 'held')]
    if state != [previous[name] for name in ('version', 'balance', 'held')]:
        yield f'2: {account["account_id"]} is at {state}, its journal at {previous}'
    if entries[0]['kind'] != 'created' or account['opened_at'] != entries[0]['dated']:
        yield f'2: {account["account_id"]} does not begin with its creation'
    kinds = [entry['kind'] for entry in entries]
    closed = account['status'] == 'inactive'
    if closed != (kinds[-1] == 'inactivated') or 'inactivated' in kinds[:-1]:
        yield f'6: {account["account_id"]} is {account["status"]}, its journal {kinds[-3:]}'
    if closed and state[1:] != [0, 0]:
        yield f'6: {account["account_id"]} is closed with {state[1:]}'


def check_transfer(transfer, accounts):
    payer, payee = (accounts.get(transfer[f'{side}_account']) for side in ('from', 'to'))
    what = f'transfer {transfer["transfer_id"]}'
    if not payer or not payee or payer is payee or transfer['amount'] <= 0:
        yield f'1: {what} moves {transfer["amount"]} from {payer} to {payee}'
        return
    if not transfer['currency'] == payer['currency'] == payee['currency']:
        yield f'1: {what} crosses currencies'
    holders = {account['customer_id'] for account in (payer, payee)
               if account['kind'] == 'customer'}
    if holders != {transfer['customer_id']}:
        yield f'7: {what} of {transfer["customer_id"]} is between accounts of {holders}'
    settlement = 'settlement' in (payer['kind'], payee['kind'])
    if transfer['kind'] != 'reversal' and \
            settlement != (transfer['kind'] in ('deposit', 'withdrawal')):
        yield f'7: {what} is a {transfer["kind"]} from a {payer["kind"]} to a {payee["kind"]}'


def check_hold(hold, events, transfer):
    """A hold against its events on the paying account and the transfer of its key."""
    what = f'3: hold {hold["hold_id"]}'
    kinds = [event['kind'] for event in events]
    ended = [] if hold['state'] == 'pending' else [f'hold_{hold["state"]}']
    if kinds != ['hold_created', *ended]:
        yield f'{what} is {hold["state"]}, its journal {kinds}'
        return
    for event in events:
        if [event[name] for name in ('account_id', 'counterparty', 'due_at', 'amount',
                                     'customer_id', 'currency', 'reference')] != \
                [hold[name] for name in ('from_account', 'to_account', 'expires_at', 'amount',
                                         'customer_id', 'currency', 'reference')]:
            yield f'{what} is {hold}, its journal {event}'
        if (event['kind'] == 'hold_expired') != (event['occurred_at'] >= hold['expires_at']):
            yield f'{what} until {hold["expires_at"]} is {event["kind"]} {event["occurred_at"]}'
    if [hold['created_version'], hold['ended_version']] != \
            ([event['version'] for event in events] + [None])[:2]:
        yield f'{what} is {hold}, its journal {events}'
    yield from check_posted(what, hold, transfer)


def check_posted(what, hold, transfer):
    """What was posted of a hold is moved right after its release, by its key."""
    if hold['state'] != 'posted':
        if transfer or hold['posted_amount'] is not None:
            yield f'{what} is {hold["state"]}, and moved {hold["posted_amount"]} by {transfer}'
        return
    expected = {**{name: hold[name] for name in ('from_account', 'to_account', 'currency',
                                                 'customer_id', 'reference')},
                'kind': 'hold_posted', 'amount': hold['posted_amount'],
                'from_version': hold['ended_version'] + 1}
    if not transfer or {name: transfer[name] for name in expected} != expected:
        yield f'{what} is {hold}, its transfer {transfer}'
    if not 0 < hold['posted_amount'] <= hold['amount']:
        yield f'{what} of {hold["amount"]} is posted with {hold["posted_amount"]}'


def check_holds(journal):
    """Invariant 3: a hold ends once, and what an account has held is of its holds."""
    events, held = collections.defaultdict(list), collections.Counter()
    for event in sorted(journal.events, key=lambda event: event['version']):
        if event['kind'] in HOLD_CHANGES:
            events[event['transfer_id']].append(event)
    posted = {row['transfer_id']: row for row in journal.transfers if row['kind'] == 'hold_posted'}
    for id_, hold in journal.holds.items():
        yield from check_hold(hold, events.pop(id_, []), posted.pop(id_, None))
        held[hold['from_account']] += hold['amount'] * (hold['state'] == 'pending')
    for account in journal.accounts.values():
        if account['held'] != held[account['account_id']]:
            yield f'3: {account["account_id"]} has held {account["held"]}, its holds are ' \
                f'{held[account["account_id"]]}'
    yield from (f'3: hold {id_} does not exist' for id_ in {**events, **posted})


def check_reversals(journal):
    """Invariant 8 of reversals: once, of a transfer, the same amount back."""
    posted = {row['transfer_id']: row for row in journal.transfers}
    times = collections.Counter(row['reverses'] for row in journal.transfers)
    for row in journal.transfers:
        if (row['kind'] == 'reversal') != (row['reverses'] is not None):
            yield f'8: {row["kind"]} {row["transfer_id"]} reverses {row["reverses"]}'
        if row['kind'] != 'reversal':
            continue
        first = posted.get(row['reverses'])
        if not first or first['kind'] == 'reversal' or times[row['reverses']] != 1 \
                or row['amount'] != first['amount'] \
                or journal.side(row, 'from') != journal.side(first, 'to') \
                or journal.side(row, 'to') != journal.side(first, 'from'):
            yield f'8: reversal {row} is of {first}, reversed {times[row["reverses"]]} times'


def check_journal(journal):
    """Invariants 1, 2, 3, 4, 6, 7 and the uniqueness of 8."""
    found = []
    entries = journal.entries()
    sums = collections.Counter()
    for account in journal.accounts.values():
        sums[account['currency']] += account['balance']
        found += check_account(account, entries.pop(account['account_id'], []))
        if account['status'] == 'active' and account['customer_id'] in journal.closing:
            found.append(f'6: {account["account_id"]} is active, its customer closing')
    found += [f'1: all balances in {currency} add up to {total}'
              for currency, total in sums.items() if total]
    found += [f'2: entries of {account}, which does not exist' for account in entries]
    for transfer in journal.transfers:
        found += check_transfer(transfer, journal.accounts)
    found += [*check_holds(journal), *check_reversals(journal)]
    keys = collections.Counter(transfer['transfer_id'] for transfer in journal.transfers)
    found += [f'8: {key} has {count} effects' for key, count in keys.items() if count > 1]
    return found


# ---------------------------------------------------------------------------
# Events (invariant 9)
# ---------------------------------------------------------------------------

class Record:
    """One record of Kafka: what kcat printed of it."""

    def __init__(self, printed):
        self.topic, self.key = printed['topic'], printed['key']
        self.place = (printed['partition'], printed['offset'])
        pairs = printed['headers']
        self.headers = dict(zip(pairs[::2], pairs[1::2]))
        self.has_twins = len(self.headers) != len(pairs) / 2
        self.value = printed['payload']
        high, low = self.headers['bank_lsn'].split('/')
        self.lsn = int(high, 16) << 32 | int(low, 16)
        self.index = int(self.headers['bank_index'])
        self.id = (self.topic, self.headers['ce_id'])

    def content(self, placed=True):
        headers = self.headers if placed else {
            name: value for name, value in self.headers.items() if not name.startswith('bank_')}
        return self.key, self.value, tuple(sorted(headers.items()))


def read_topic(brokers, topic):
    done = subprocess.run(['kcat', '-C', '-e', '-q', '-J', '-o', 'beginning', '-b', brokers,
                           '-t', topic], stdout=subprocess.PIPE, check=True, timeout=120)
    return [Record(json.loads(line)) for line in done.stdout.splitlines()]


def read_topics(brokers):
    return [record for topic in TOPICS for record in read_topic(brokers, topic)]


class Expected:
    """One event as the journal says it must be."""

    def __init__(self, topic, key, type_, id_, **content):
        self.topic, self.key, self.type, self.id = topic, key, type_, (topic, id_)
        self.time, self.value = content['time'], content['value']

    def headers(self, site, record):
        return {'ce_specversion': '1.0', 'ce_id': self.id[1], 'ce_type': self.type,
                'ce_source': f'/bank/{site}', 'ce_time': self.time,
                'content-type': 'application/json',
                'bank_lsn': record.headers['bank_lsn'], 'bank_index': str(record.index)}


def account_record(topic, type_, row, suffix=''):
    """An event on one account; row has what both account topics say."""
    key = row['account_id']
    return Expected(topic, key, type_, f'{key}:{row["epoch"]}:{row["version"]}{suffix}',
                    time=row['occurred_at'], value=row)


def events_of_event(event, epoch):
    head = {name: event[name] for name in ('account_id', 'customer_id', 'currency', 'status',
                                           'version')}
    head.update(epoch=epoch, occurred_at=rfc3339(event['occurred_at']))
    yield account_record('bank.balances', 'bank.balance.updated', {
        **head, 'balance': event['balance'], 'held': event['held'],
        'transfer_id': event['transfer_id']})
    if event['kind'] in ('created', 'inactivated'):
        yield account_record('bank.accounts', f'bank.account.{event["kind"]}', head, ':status')


def events_of_transfer(transfer, epoch, accounts):
    names = ('transfer_id', 'kind', 'customer_id', 'from_account', 'to_account', 'amount',
             'currency', 'from_version', 'to_version', 'from_balance', 'to_balance', 'reverses',
             'reference')
    time = rfc3339(transfer['completed_at'])
    yield Expected('bank.transfers', transfer['customer_id'], 'bank.transfer.completed',
                   transfer['transfer_id'], time=time,
                   value={**{name: transfer[name] for name in names}, 'epoch': epoch,
                          'completed_at': time})
    for side in ('from', 'to'):
        account = accounts[transfer[f'{side}_account']]
        yield account_record('bank.balances', 'bank.balance.updated', {
            'account_id': account['account_id'], 'customer_id': account['customer_id'],
            'currency': transfer['currency'], 'balance': transfer[f'{side}_balance'],
            'held': transfer[f'{side}_held'], 'status': 'active', 'epoch': epoch,
            'version': transfer[f'{side}_version'], 'transfer_id': transfer['transfer_id'],
            'occurred_at': time})


def events_of_seal(seal, epoch, site):
    time = rfc3339(seal['sealed_at'])
    yield Expected('bank.seals', site, 'bank.ledger.sealed', f'seal:{epoch}:{seal["number"]}',
                   time=time,
                   value={'number': seal['number'], 'entries': seal['entries'],
                          'root': seal['root'].hex(), 'previous': seal['previous'].hex(),
                          'epoch': epoch, 'sealed_at': time})


def rows_of_events(journal):
    """[(transaction, its events in their order)] for every row of the journal."""
    for event in journal.events:
        yield event['xid'], list(events_of_event(event, journal.epoch))
    for transfer in journal.transfers:
        yield transfer['xid'], list(events_of_transfer(transfer, journal.epoch,
                                                       journal.accounts))
    for seal in journal.seals:
        yield seal['xid'], list(events_of_seal(seal, journal.epoch, journal.site))


def same_json(text, value):
    """Equal also in type: 1050 is not 1050.0."""
    return json.dumps(json.loads(text), sort_keys=True) == json.dumps(value, sort_keys=True)


def first_of_each(records, found):
    """{id: its first record}; further ones must be the same record again, one
    sent again from the tables at another place."""
    first = {}
    for record in records:
        kept = first.setdefault(record.id, record)
        placed = not is_rebuilt(record)
        if kept.content(placed) != record.content(placed):
            found.append(f'{record.id} came again as {record.content()}')
        if record.has_twins:
            found.append(f'{record.id} has a header twice')
    return first


def check_once(records):
    """What one publisher at a time sends, it sends once, whatever is killed."""
    places = collections.defaultdict(list)
    for record in records:
        places[record.id].append(record.place)
    return [f'{id_} is {len(seen)} times in Kafka: {seen}'
            for id_, seen in places.items() if len(seen) > 1]


def check_content(event, record, site):
    if record.key != event.key:
        yield f'{event.id} has key {record.key}'
    if record.headers != event.headers(site, record):
        yield f'{event.id} has headers {record.headers}'
    if not same_json(record.value, event.value):
        yield f'{event.id} says {record.value}, the journal {event.value}'


def is_rebuilt(record):
    """Sent again from the tables: no commit stands at an odd place."""
    return record.lsn % 8 != 0


def check_row(events, records):
    """The records of one row stand side by side in one transaction, unless
    some of them were sent again."""
    present = [records[event.id] for event in events if event.id in records]
    if len(present) != len(events):
        yield f'missing of {events[0].id}: {[e.id for e in events if e.id not in records]}'
        return
    if any(map(is_rebuilt, present)):
        return
    start = present[0]
    places = [(record.lsn, record.index) for record in present]
    if places != [(start.lsn, start.index + number) for number in range(len(present))]:
        yield f'{events[0].id} is at {places}'


def check_positions(records):
    """Indexes number each transaction's records from 0; a partition has them
    in the order of (lsn, index), an account in that of the versions."""
    by_lsn = collections.defaultdict(list)
    for record in records:
        by_lsn[record.lsn].append(record.index)
    cut_off = any(map(is_rebuilt, records))     # some of a transaction may be sent again
    for lsn, indexes in by_lsn.items():
        whole = sorted(set(indexes)) if cut_off else list(range(len(indexes)))
        if sorted(indexes) != whole:
            yield f'the transaction at {lsn:X} has indexes {sorted(indexes)}'
    last, versions = {}, {}
    for record in sorted(records, key=lambda record: (record.topic, record.place)):
        partition = (record.topic, record.place[0])
        if (record.lsn, record.index) <= last.get(partition, (0, -1)):
            yield f'{record.id} is out of order in {partition}'
        last[partition] = (record.lsn, record.index)
        if record.topic in ('bank.accounts', 'bank.balances'):
            version = json.loads(record.value)['version']
            if version <= versions.get((record.topic, record.key), 0):
                yield f'{record.id} comes after version {versions[record.topic, record.key]}'
            versions[record.topic, record.key] = version


def check_events(journal, records):
    """Invariant 9: each row of the journal has its events, and they no other."""
    found = []
    first = first_of_each(records, found)
    expected, transactions = {}, collections.defaultdict(set)
    for xid, events in rows_of_events(journal):
        found += check_row(events, first)
        for event in events:
            expected[event.id] = event
            if event.id in first:
                if not is_rebuilt(first[event.id]):
                    transactions[xid].add(first[event.id].lsn)
                found += check_content(event, first[event.id], journal.site)
    found += [f'{id_} is of no row of the journal' for id_ in first.keys() - expected.keys()]
    found += [f'transaction {xid} is at {lsns}'
              for xid, lsns in transactions.items() if len(lsns) > 1]
    return found + list(check_positions(first.values()))


# ---------------------------------------------------------------------------
# Notifications (invariant 11)
# ---------------------------------------------------------------------------

EXPONENTS = {'JPY': 0, 'BRL': 2, 'USD': 2, 'EUR': 2, 'BHD': 3}


def decimal_text(amount, currency):
    exponent = EXPONENTS[currency]
    digits = str(amount).rjust(exponent + 1, '0')
    return f'{digits[:-exponent]}.{digits[-exponent:]}' if exponent else digits


def told_of(transfers):
    """{id: transfer} of those BACEN must know: not what is between the bank and
    its customer, nor the reversals of that."""
    kinds = {transfer['transfer_id']: transfer['kind'] for transfer in transfers}
    return {transfer['transfer_id']: transfer for transfer in transfers
            if kinds.get(transfer['reverses'], transfer['kind']) in TOLD}


def check_post(entry, transfer):
    """One request BACEN got."""
    what = f'request of {transfer["transfer_id"]}'
    if (entry['method'], entry['path']) != ('POST', '/notificacoes'):
        yield f'{what}: {entry["method"]} {entry["path"]}'
    if entry['headers'].get('content-type', '').partition(';')[0] != 'application/json':
        yield f'{what}: {entry["headers"]}'
    body = json.loads(entry['body'], parse_float=str, parse_int=str)
    if body != {'id': transfer['transfer_id'],
                'valor': decimal_text(transfer['amount'], transfer['currency']),
                'conta': {'idOrigem': transfer['from_account'],
                          'idDestino': transfer['to_account']},
                'dataHora': rfc3339(transfer['completed_at'])}:
        yield f'{what}: {entry["body"]}'


def check_attempts(row, heard, heard_before):
    """The requests of one transfer, against its notification."""
    what = f'notification {row["transfer_id"]}'
    numbers = [int(entry['headers']['x-attempt']) for entry in heard]
    accepted = sum(entry['accepted'] for entry in heard + heard_before)
    if len(set(numbers)) != len(numbers) or any(n > row['attempts'] for n in numbers):
        yield f'{what}: attempts {numbers}, of {row["attempts"]} begun'
    if accepted > 1 or (row['state'] == 'delivered' and accepted != 1):
        yield f'{what} is {row["state"]} and was accepted {accepted} times'
    if row['state'] == 'delivered' and not row['delivered_at'] >= row['first_attempt_at']:
        yield f'{what} was delivered before the first attempt'


def requests_by_key(log):
    heard = collections.defaultdict(list)
    for entry in log:
        heard[entry['headers'].get('idempotency-key')].append(entry)
    return heard


def check_notifications(journal, rows, log, log_before=()):
    """rows are those of bank_report.notification, log is BACEN's.  Where commits
    were lost, log_before is what it had by then: of transfers that are no more,
    and under numbers of attempts that come again."""
    found = []
    told = told_of(journal.transfers)
    heard, heard_before = requests_by_key(log), requests_by_key(log_before)
    stored = {row['transfer_id']: row for row in rows}
    found += [f'{id_} has no notification' for id_ in told.keys() - stored.keys()]
    found += [f'notification of {id_}, which BACEN need not know'
              for id_ in stored.keys() - told.keys()]
    found += [f'BACEN was told of {id_}' for id_ in heard.keys() - told.keys()]
    for id_ in told.keys() & stored.keys():
        same = ('customer_id', 'from_account', 'to_account', 'amount', 'currency',
                'completed_at')
        if [told[id_][name] for name in same] != [stored[id_][name] for name in same]:
            found.append(f'notification {id_} is {stored[id_]}')
        found += check_attempts(stored[id_], heard[id_], heard_before[id_])
        for entry in heard[id_]:
            found += check_post(entry, told[id_])
    return found


def shortened(found):
    return '\n'.join(found[:20] + [f'... {len(found)} in all'] * (len(found) > 20))


def without_later_seals(stack, journal, records):
    """The records without those of seals made since the journal was read: time
    alone makes them."""
    known = {seal['number'] for seal in journal.seals}
    later = {row['number'] for row in stack.ledger.rows('SELECT number FROM bank_ledger.seal')}
    return [record for record in records if record.topic != 'bank.seals'
            or json.loads(record.value)['number'] not in later - known]


def require_sound(stack, two_publishers=False):
    """Everything at once, on a stack that is quiet.  Where two publishers were
    at work, or one was frozen while another worked, records may be twice in
    Kafka; never else, and no others later."""
    journal = Journal(stack.ledger)
    records = without_later_seals(stack, journal,
                                  read_topics(stack.env['BANK_KAFKA_BROKERS']))
    found = check_journal(journal) + check_events(journal, records)
    found += check_notifications(
        journal, stack.ledger.rows('SELECT * FROM bank_report.notification'), stack.bacen.log())
    repeated = check_once(records)
    if two_publishers:
        stack.repeated.update(repeated)
    found += [complaint for complaint in repeated if complaint not in stack.repeated]
    assert not found, shortened(found)
    stack.verify()
