"""The sector's code: one a name, whatever was seen before, and known as of the vector."""

from __future__ import annotations

from stream.datasets import synthetic
from stream.events import Instrument
from stream.features.sector import N_CODES, NAMES, OTHERS, SECTOR, sector_code
from stream.features.vector import FEATURE_SETS
from stream.scoring.state import PartitionState
from tests.factories import policy
from tests.unit.scoring.test_scoring_state import MINUTE, T0, feed, scored

GICS, ICB, MORNINGSTAR = NAMES[:11], NAMES[11:14], NAMES[14:]
STOCKNET = (
    "Basic Matierials", "Conglomerates", "Consumer Goods", "Financial", "Healthcare",
    "Industrial Goods", "Services", "Technology", "Utilities",
)  # fmt: skip


def test_codes_are_the_ones_that_stored_vectors_hold() -> None:
    assert [sector_code(name) for name in NAMES] == [float(i) for i in range(18)]
    assert (GICS[0], GICS[-1], ICB[0], MORNINGSTAR[-1]) == (
        "Energy", "Real Estate", "Technology", "Healthcare"
    )  # fmt: skip
    assert (sector_code("Crypto"), sector_code("Services")) == (37.0, 41.0)
    assert sector_code("") is None


def test_case_makes_no_other_sector() -> None:
    assert sector_code("REAL estate") == sector_code("Real Estate") == 10.0
    assert sector_code("CRYPTO") == sector_code("crypto")


def test_names_outside_the_list_stay_apart_from_it_and_in_range() -> None:
    codes = [sector_code(f"sector {i}") for i in range(500)]
    assert {code for code in codes if code is not None} == {float(i) for i in range(32, 64)}
    assert len(NAMES) <= OTHERS
    assert max(code for code in codes if code is not None) < N_CODES


def test_the_datasets_that_are_shipped_or_measured_share_no_code() -> None:
    for names in (STOCKNET, synthetic._SECTORS):
        assert len({sector_code(name) for name in names}) == len(names)


def test_every_feature_set_ends_with_the_sector() -> None:
    assert {each.names[-1] for each in FEATURE_SETS.values()} == {SECTOR}


def test_a_vector_has_the_sector_that_its_instrument_had_by_then() -> None:
    state = PartitionState(0, policy())
    codes = []
    for n, sector in enumerate(("", "Energy", "Utilities")):
        if sector:
            state.apply(Instrument(symbol="AAPL", sector=sector), n, T0, [])
            state.apply(Instrument(symbol="MSFT", sector="Materials"), n, T0, [])
        (due,) = feed(state, scored(T0 + n * MINUTE, f"a{n}"))
        codes.append(due.vector[-1])
    assert codes == [None, 0.0, 9.0]
    assert state.copy_of("AAPL").symbols.sector("AAPL") == "Utilities"

    restored = PartitionState(0, policy())
    slots = {key: value for key, value in state.take_changes() if value is not None}
    restored.restore(slots, state.meta())
    (due,) = feed(restored, scored(T0 + 9 * MINUTE, "a9"))
    assert due.vector[-1] == 9.0
