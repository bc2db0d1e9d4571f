import pytest


@pytest.fixture(params=["plain", "timescale"])
def database(request: pytest.FixtureRequest) -> str:
    """The DSN of either kind of server."""
    if request.param == "plain":
        return str(request.getfixturevalue("plain_postgres"))
    return str(request.getfixturevalue("timescale"))
