import pytest


@pytest.fixture(scope="session")
def fuzz(request):
    """How many times as many cases as the short form has."""
    return request.config.getoption("--fuzz")
