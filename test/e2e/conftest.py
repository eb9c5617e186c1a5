"""One stack for all end-to-end tests; every test leaves it running and well."""
import pytest

import stack as stacks


@pytest.fixture(scope='session')
def whole_stack():
    stacks.script('reset')      # what an interrupted run left
    stack = stacks.Stack()
    try:
        stack.up()
        stack.customers.order('PUT', '/_control/default', {'ativo': True})
        yield stack
    finally:
        stacks.script('reset')


@pytest.fixture
def stack(whole_stack):
    """The stack, with simulators that answer as usual before and after."""
    answer_as_usual(whole_stack)
    yield whole_stack
    answer_as_usual(whole_stack)


@pytest.fixture
def made_anew(stack):
    """Makes the stack anew after the test: what it lost, or heaped up, is
    neither missed nor checked again by those that follow."""
    yield
    stacks.script('reset')
    stack.up()
    stack.customers.order('PUT', '/_control/default', {'ativo': True})


def answer_as_usual(stack):
    for simulator in (stack.customers, stack.bacen):
        simulator.order('PUT', '/_control/answers', [])
