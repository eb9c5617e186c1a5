"""What a backend knows of its tables holds until any session changes them."""
import uuid

import pytest

from test_locks import pair                             # noqa: F401  (a fixture)

TRANSFER = 'SELECT transfer_id FROM bank.transfer(%s, %s, 1)'
# What is done to the table, what a new row must then answer through the index,
# and the undoing.
CHANGES = {
    'an index': (
        'CREATE INDEX added_idx ON bank_ledger.transfer (completed_at) WHERE amount > 0',
        'SELECT count(*) = 1 FROM bank_ledger.transfer '
        "WHERE completed_at > '2000-01-01' AND amount > 0 AND transfer_id::text = %s",
        'DROP INDEX bank_ledger.added_idx'),
    'an index made while others write': (
        'CREATE INDEX CONCURRENTLY added_idx ON bank_ledger.transfer ((amount + 1))',
        'SELECT count(*) = 1 FROM bank_ledger.transfer '
        'WHERE amount + 1 = 2 AND transfer_id::text = %s',
        'DROP INDEX CONCURRENTLY bank_ledger.added_idx'),
}


@pytest.mark.parametrize('change', CHANGES)
def test_a_change_by_another_session_is_known(operator, session, pair, change):  # noqa: F811
    _, payer, payee = pair
    do, question, undo = CHANGES[change]
    session.rows(TRANSFER, payer, payee)
    session.rows('SET enable_seqscan = off')
    operator.rows(do)
    try:
        assert session.value(question, session.value(TRANSFER, payer, payee))
    finally:
        operator.rows(undo)
    session.rows(TRANSFER, payer, payee)
    assert session.rows('SELECT * FROM bank.verify()') == []


def test_a_table_that_was_renamed_is_not_written(operator, session, pair):  # noqa: F811
    _, payer, payee = pair
    session.rows(TRANSFER, payer, payee)
    operator.rows('ALTER TABLE bank_ledger.transfer RENAME TO transfers')
    try:
        assert session.failure(TRANSFER, payer, payee)[0] == '42P01'
    finally:
        operator.rows('ALTER TABLE bank_ledger.transfers RENAME TO transfer')
    assert uuid.UUID(session.value(TRANSFER, payer, payee))


def test_a_site_that_is_no_ledger_any_more_is_known(operator, session, pair):  # noqa: F811
    _, payer, payee = pair
    session.rows(TRANSFER, payer, payee)
    operator.rows("UPDATE bank_ledger.site SET role = 'search'")
    try:
        assert session.failure(TRANSFER, payer, payee)[0] == 'LG019'
        session.rows('BEGIN')
        session.rows("UPDATE bank_ledger.site SET role = 'ledger'")
        session.rows(TRANSFER, payer, payee)
        session.rows('ROLLBACK')
        assert session.failure(TRANSFER, payer, payee)[0] == 'LG019'
    finally:
        operator.rows("UPDATE bank_ledger.site SET role = 'ledger'")
    assert uuid.UUID(session.value(TRANSFER, payer, payee))
