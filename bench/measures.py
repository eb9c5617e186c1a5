"""What is measured, what of it is set in proportion, and what is to be
reached."""
import collections

ACCOUNTS, HOT_ACCOUNTS = 100_000, 10
FIRST_ACCOUNT = 10 ** 11
# Beside them as many of several holders, one for each client.
FIRST_OWN_ACCOUNT, HOLDERS = 2 * 10 ** 11, 16
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
        weight = 2 if clients == 16 else 1
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
        yield measure(f'batch_{size}_1', f'transfer_batch of {size:,}', 'batch', 1, calls=size)
        weight = 2 if size == 1000 else 1
        yield measure(f'batch_{size}_16', f'transfer_batch of {size:,}', 'batch', 16, calls=size,
                      weight=weight)
        if size == 1000:
            yield measure('undigested_batch_1000_16', 'transfer_batch of 1,000 without digest',
                          'batch', 16, database=UNDIGESTED, calls=size, weight=weight)
            # Of one holder's 100,000 accounts any two batches share some forty, so
            # that one waits for the other; batches of different holders do not.
            yield measure('batch_own_16', 'transfer_batch of 1,000, holders apart', 'batch_own',
                          HOLDERS, calls=size, weight=weight)


MEASURES = [*singles(), *hot(), *batches()]

# A quotient of two measures must reach its target; a cost, one less the
# quotient, must stay below it.
Ratio = collections.namedtuple('Ratio', 'name title over under target is_cost')

RATIOS = [
    Ratio('transfer_to_update', 'bank.transfer ÷ bare UPDATE, 16 clients',
          'transfer_16', 'update_16', 0.65, False),
    Ratio('transfer_to_plpgsql', 'bank.transfer ÷ ledger in PL/pgSQL, 16 clients',
          'transfer_16', 'plpgsql_16', 1.3, False),
    Ratio('batch_own_to_transfer', 'transfer_batch of 1,000, holders apart ÷ bank.transfer',
          'batch_own_16', 'transfer_16', 6, False),
    Ratio('batch_to_transfer', 'transfer_batch of 1,000, of one holder ÷ bank.transfer',
          'batch_1000_16', 'transfer_16', 6, False),
    Ratio('digest_of_transfer', 'cost of the digest, bank.transfer, 16 clients',
          'transfer_16', 'undigested_transfer_16', 0.10, True),
    Ratio('digest_of_batch', 'cost of the digest, transfer_batch of 1,000, 16 clients',
          'batch_1000_16', 'undigested_batch_1000_16', 0.25, True),
]
