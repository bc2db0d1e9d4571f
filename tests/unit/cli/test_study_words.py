"""`tapewire study`: what cannot be studied is said before any server is asked."""

import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.errors import Refused

NOWHERE = {"TAPEWIRE_DATABASE": "postgresql://me@127.0.0.1:1/none"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("timing --horizons 30m", "expected two or more to compare, got 30m"),
        ("timing --horizons 30m,5d", "expected one of 30m"),
        ("timing --horizons 30m,2w-barrier", "expected one of 30m"),
        ("timing --horizons 30m,30m-barrier", "30m-barrier: expected one that can be traded"),
        ("timing --horizons 30m,1d --from .", "--horizons: expected none with --from"),
        ("timing --from .", r"\.: expected a folder of tapewire dataset build"),
        ("sentiment --horizon 5d", "expected one of 30m"),
        ("sentiment --learner oracle", "study sentiment: learner 'oracle': expected one of"),
    ],
)
def test_a_wrong_word_to_study_is_refused(words: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        CliRunner().invoke(app, ["study", *words.split()], env=NOWHERE, catch_exceptions=False)
    assert refused.value.exit_code == 2
