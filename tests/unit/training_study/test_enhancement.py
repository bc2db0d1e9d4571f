"""Enhancement: a source whose scores mean the opposite is turned round, without a peek."""

from dataclasses import replace

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm, spearmanr

from tests.unit.training_study.planted import make_articles
from training.errors import TrainingRefused
from training.learners.named import learner
from training.skill import sessions
from training.splits import refuse_leaky, walk_forward
from training.study.enhanced_labels import Facts, write_labels
from training.study.enhancement import BOTH, SPLIT, enhance, target_of
from training.study.enhancement_judged import judge_enhancement, rank_ics
from training.study.enhancement_report import html_report

NEWS = {"news"}
LINEAR = learner("linear")


@pytest.fixture(scope="module")
def planted():
    return enhance(make_articles(), LINEAR, NEWS, seed=0)


@pytest.fixture(scope="module")
def found(planted):
    return judge_enhancement(planted, seed=0)


def test_the_target_is_the_share_of_chance_moves_that_are_smaller_with_the_sign():
    reaction = np.linspace(-4.0, 4.0, 33)
    expected = np.sign(reaction) * (norm.cdf(np.abs(reaction)) - norm.cdf(-np.abs(reaction)))
    assert target_of(reaction) == pytest.approx(expected)


def test_an_inverted_source_is_turned_round_and_named(planted, found):
    blog = planted.articles.source[planted.judged] == "blog"
    raw = planted.articles.score[planted.judged]
    enhanced = planted.scores[BOTH][planted.judged]
    assert np.corrcoef(raw[blog], enhanced[blog])[0, 1] < -0.8
    assert np.corrcoef(raw[~blog], enhanced[~blog])[0, 1] > 0.8
    assert found.lines[-1].adds.low > 0.02
    assert found.adds_to_state.low > 0.1
    says = {each.kind: each.says for each in found.stories}
    assert says["blog"] == "scored the wrong way round"
    assert says["wire"] == says["paper"] == "scored too low"
    assert says["good news"] == says["bad news"] == "as others"


def test_boosted_trees_find_it_too():
    found = judge_enhancement(enhance(make_articles(), learner("lightgbm"), NEWS, seed=0), seed=0)
    assert found.lines[-1].adds.low > 0.0


def test_scores_that_nothing_follows_are_not_enhanced():
    found = judge_enhancement(
        enhance(make_articles(effect=0.0, seed=3), LINEAR, NEWS, seed=0), seed=0
    )
    assert found.lines[-1].adds.low < 0.0 < found.lines[-1].adds.high
    assert found.lines[-1].rank_ic.low < 0.0
    assert {each.says for each in found.stories[1:]} == {"as others"}
    assert found.verdict.says != "PASS"


def test_too_good_a_score_is_a_leak_until_told_otherwise(found):
    (check,) = [each for each in found.verdict.checks if each.name.startswith("too good")]
    assert (check.says, found.verdict.says) == ("FAIL", "FAIL")


def test_no_score_is_made_by_what_came_later(planted):
    given = planted.articles
    last = planted.fold == planted.fold.max()
    later = given.rows.as_of_us >= given.rows.as_of_us[last].min()
    moves = given.rows.forward_return
    changed = replace(given.rows, forward_return=np.where(later, -3.0 * moves, moves))
    again = enhance(replace(given, rows=changed), LINEAR, NEWS, seed=0)
    for name, scores in planted.scores.items():
        assert np.array_equal(again.scores[name], scores, equal_nan=True), name
    assert np.isnan(planted.scores[BOTH][planted.fold < 0]).all()
    assert (planted.fold[:-1] <= planted.fold[1:]).all()


def test_a_label_that_reaches_into_the_judged_rows_is_found():
    rows = make_articles().rows
    fold = walk_forward(rows.as_of_us, rows.as_of_us, SPLIT, embargo_us=0)[0][0]
    with pytest.raises(TrainingRefused, match=r"\[as_of, exit\] meets no test row's"):
        refuse_leaky(fold.tune, fold.judge, rows.as_of_us, rows.exit_us)


def test_rank_ics_are_spearmans_of_the_same_sessions_and_0_for_a_constant():
    given = make_articles(n=300)
    entry, outcome = given.rows.entry_us, given.rows.relative_target
    ics = rank_ics({"score": given.score, "flat": np.ones(300)}, outcome, entry)
    days = [rows for rows in sessions(entry) if len(rows) >= 5]
    expected = [spearmanr(given.score[rows], outcome[rows]).statistic for rows in days]
    assert ics["score"] == pytest.approx(expected)
    assert ics["flat"].tolist() == [0.0] * len(days)


def test_sessions_of_few_articles_are_said_and_not_judged():
    given = make_articles(n=2_400)
    at = np.arange(600).repeat(4) * 86_400_000_000 + np.tile(np.arange(4), 600)
    rows = replace(given.rows, as_of_us=at, entry_us=at + 1, exit_us=at + 2)
    found = judge_enhancement(enhance(replace(given, rows=rows), LINEAR, NEWS, seed=0), seed=0)
    assert found.n_sessions[1] == 0 < found.n_sessions[0]
    assert "nothing can be said" in found.sentence


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (make_articles(n=200), r"articles, fold 1 of 5, block 'fit': expected at least 100 rows"),
        (make_articles(score=np.zeros(2_500)), "expected text scores that differ, got 0 for all"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(given, says):
    with pytest.raises(TrainingRefused, match=says):
        enhance(given, LINEAR, NEWS, seed=0)


def test_labels_are_stored_with_when_they_are_known_and_what_made_them(planted, tmp_path):
    path = tmp_path / "labels.parquet"
    write_labels(path, planted, "linear", seed=0)
    table = pq.read_table(path)
    facts = msgspec.json.decode(table.schema.metadata[b"tapewire"], type=Facts)
    assert (facts.horizon, facts.sentiment_model, facts.learner) == ("30m", "lexicon-1", "linear")
    read = table.to_pandas()
    judged = planted.fold >= 0
    assert np.array_equal(read.enhanced.notna(), judged)
    assert np.array_equal(read.enhanced[judged], planted.scores[BOTH][judged])
    assert np.array_equal(read.target, planted.target)
    assert (read.exit > read.known_at).all()
    assert read.target.between(-1.0, 1.0).all()


def test_the_page_says_what_was_found_and_how_to_get_it_again(planted, found):
    page = html_report(found, planted, "tapewire study sentiment --seed 0")
    body = page[page.index("<h1>") :]
    parts = (found.sentence, "sessions judged", BOTH, "scored the wrong way round", "--seed 0")
    told = [body.index(part) for part in parts]
    assert told == sorted(told)
