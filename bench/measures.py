"""What is measured, what of it is set in proportion, and what is to be
reached."""
import collections

ACCOUNTS, HOT_ACCOUNTS = 100_000, 10
FIRST_ACCOUNT = 10 ** 11
BATCH_SIZES = (100, 1000, 8190)

# The ledger, and a copy of it whose library makes and stores no digests.
LEDGER, UNDIGESTED = 'bank', 'undigested'

# script: a file of scripts/.  calls: transfers in one call of it.  weight: its
# share of the time of a round.
Measure = collections.namedtuple(
    'Measure', 'name title script clients database accounts calls weight')


def measure(name, title, script, clients, database=LEDGER, accounts=ACCOUNTS,
            calls=1, weight=1):
    return Measure(name, title, script, clients, database, accounts, calls, weight)


def singles():
    for clients in (1, 16, 64):
        # What ratios are made of gets more time, and stands side by side.
        weight = 3 if clients == 16 else 1
        yield measure(f'update_{clients}', 'bare UPDATE of one row', 'update', clients,
                      weight=weight)
        yield measure(f'transfer_{clients}', 'bank.transfer', 'transfer', clients, weight=weight)
        if clients == 16:
            yield measure('transfer_from_16', 'bank.transfer, called in FROM', 'transfer_from',
                          clients)
            yield measure('undigested_transfer_16', 'bank.transfer without digest', 'transfer',
                          clients, database=UNDIGESTED, weight=weight)
        yield measure(f'plpgsql_{clients}', 'ledger in PL/pgSQL', 'plpgsql', clients,
                      weight=weight)


def hot():
    for clients in (1, 16, 64):
        for name, title, script in (('transfer', 'bank.transfer', 'transfer'),
                                    ('plpgsql', 'ledger in PL/pgSQL', 'plpgsql')):
            yield measure(f'hot_{name}_{clients}', f'{title}, {HOT_ACCOUNTS} accounts', script,
                          clients, accounts=HOT_ACCOUNTS)


def batches():
    for size in BATCH_SIZES:
        # Of 100,000 accounts any two batches of 1,000 share some forty, so that
        # one waits for the other; four clients keep the processors busy.
        for clients in (1, 4, 16) if size == 1000 else (1, 16):
            paired = (size, clients) == (1000, 16)
            weight = 3 if size == 1000 and clients > 1 else 1
            yield measure(f'batch_{size}_{clients}', f'transfer_batch of {size:,}', 'batch',
                          clients, calls=size, weight=weight)
            if paired:
                yield measure(f'undigested_batch_{size}_{clients}',
                              f'transfer_batch of {size:,} without digest', 'batch', clients,
                              database=UNDIGESTED, calls=size, weight=weight)


MEASURES = [*singles(), *hot(), *batches()]

# A quotient of two measures must reach its target; a cost, one less the
# quotient, must stay below it.
Ratio = collections.namedtuple('Ratio', 'name title over under target is_cost')

RATIOS = [
    Ratio('transfer_to_update', 'bank.transfer ÷ bare UPDATE, 16 clients',
          'transfer_16', 'update_16', 0.65, False),
    Ratio('transfer_to_plpgsql', 'bank.transfer ÷ ledger in PL/pgSQL, 16 clients',
          'transfer_16', 'plpgsql_16', 1.3, False),
    Ratio('batch_to_transfer', 'transfer_batch of 1,000 ÷ bank.transfer, 16 clients',
          'batch_1000_16', 'transfer_16', 6, False),
    Ratio('batch_of_4_to_transfer',
          'transfer_batch, 4 clients ÷ bank.transfer, 16 clients',
          'batch_1000_4', 'transfer_16', 6, False),
    Ratio('digest_of_transfer', 'cost of the digest, bank.transfer, 16 clients',
          'transfer_16', 'undigested_transfer_16', 0.10, True),
    Ratio('digest_of_batch', 'cost of the digest, transfer_batch of 1,000, 16 clients',
          'batch_1000_16', 'undigested_batch_1000_16', 0.25, True),
]
