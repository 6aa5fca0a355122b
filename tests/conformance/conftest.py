"""The fixtures of the stores' suite: each test that asks for `queue` runs on every store."""

import pytest
import stores


@pytest.fixture(params=list(stores.KINDS))
async def store(request, tmp_path):
    """An empty one, opened."""
    made = stores.KINDS[request.param](tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def queue(store):
    """The same, to be asked in short words."""
    return stores.Asked(store)
