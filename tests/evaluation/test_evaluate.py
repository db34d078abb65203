"""Evaluations of worlds whose answers are known, and of what an evaluation must not do to what it measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from penchant import Engine, Event, InvalidInput, Item, Query
from penchant.evaluation import asking, folders
from penchant.evaluation.asking import Asker
from penchant.evaluation.evaluate import Report, Scope, evaluate
from penchant.evaluation.folders import World, prepare, read_log
from penchant.evaluation.protocols import cold_items
from penchant.evaluation.trials import Trial, left_out, read_names, read_sequences, successive
from penchant.storage.event_log import EventLog
from tests.evaluation.worlds import NO_TEXT, PEOPLE, ROUND, START, items, split_at, walk

WORLD = World(items(), NO_TEXT)
NOTHING_ELSE = Scope(slices=())


def trial(turn: int = 7) -> Trial:
    return successive(walk(), split_at(walk(), turn))


def value(report: Report, name: str, figure: str) -> float:
    return report.slices[name].figures[figure].value


def click(user: str, item: str, time: float) -> Event:
    return Event(user=user, action="click", item=item, time=time)


# -- time split --------------------------------------------------------------------------------------------------------


def test_what_always_follows_is_found_and_every_figure_says_so() -> None:
    report = evaluate(WORLD, trial(), NOTHING_ELSE)
    whole = report.slices["all"]
    assert (whole.lists, whole.people, report.learned, report.catalogue) == (30, 10, 70, ROUND)
    assert whole.figures["hr10"].value == whole.figures["recall10"].value == 1.0
    assert whole.figures["precision10"].value == pytest.approx(0.1)
    assert whole.figures["coverage10"].value == 1.0
    assert 1.0 <= whole.figures["mean_rank"].value < 3.0
    low, high = whole.figures["ndcg10"].low, whole.figures["ndcg10"].high
    assert low is not None
    assert high is not None
    assert low <= whole.figures["ndcg10"].value <= high


def test_what_is_asked_is_learned_only_afterwards() -> None:
    """One goes where nobody went; an engine that had learned it before would list it. The next one finds it."""
    sent = [*items(), *(Item(id=f"far{k}", time=START).event() for k in range(150))]
    steps = [
        click(f"q{k}", name, START + 1000 + 10 * k + n) for k in range(2) for n, name in enumerate(("i0", "far99"))
    ]
    report = evaluate(World(sent, NO_TEXT), successive([*walk(), *steps], START + 1000), Scope(slices=(), depth=20))
    assert report.slices["all"].lists == 4
    found = evaluate(World(sent, NO_TEXT), successive([*walk(), *steps[:2]], START + 1001), Scope(slices=(), depth=20))
    assert value(found, "all", "hr20") == 0.0
    assert value(report, "all", "hr20") >= 0.25


def test_a_folder_prepared_for_the_split_holds_nothing_of_the_test() -> None:
    """`train` is handed the folder before anything is asked; so are whoever trains and selects a version there."""
    seen: list[list[str | None]] = []

    def train(folder: Path) -> None:
        log = EventLog(folder)
        seen.append([one.event.id for batch in log.replay() for one in batch if one.event.kind == "interaction"])
        log.close()

    cold = cold_items(f"i{k}" for k in range(ROUND))
    evaluate(World(items(), NO_TEXT, train=train), trial(), Scope(slices=("cold",)))
    learned = trial().learned
    assert seen == [[one.id for one in learned], [one.id for one in learned if one.item not in cold]]


def test_figures_do_not_depend_on_which_slices_are_looked_at() -> None:
    few, alone = evaluate(WORLD, trial(), Scope(slices=("few", "long", "cold"))), evaluate(WORLD, trial(), NOTHING_ELSE)
    assert few.slices["all"] == alone.slices["all"]


def test_one_of_so_many_events_is_asked_and_all_are_learned() -> None:
    report = evaluate(WORLD, trial(), Scope(slices=(), every=4))
    assert report.slices["all"].lists == 8
    assert value(report, "all", "hr10") == 1.0
    assert any("One of 4 events" in text for text in report.words)


def test_what_a_person_met_before_is_learned_and_not_asked() -> None:
    again = [*walk(), click("p0", "i0", START + 1000), click("p1", "i0", START + 1001)]
    report = evaluate(WORLD, successive(again, START + 1000), NOTHING_ELSE)
    assert (report.repeated, report.slices["all"].lists) == (1, 1)
    allowed = evaluate(WORLD, successive(again, START + 1000), Scope(slices=(), seen="allow"))
    assert (allowed.repeated, allowed.slices["all"].lists) == (0, 2)


def test_words_alone_are_learned_and_not_asked_and_unsent_items_are_misses_that_are_counted() -> None:
    typed = Event(user="p0", action="search", words="tea", time=START + 1000)
    report = evaluate(WORLD, successive([*walk(), typed, click("p0", "never sent", START + 1001)], START + 999),
                      NOTHING_ELSE)  # fmt: skip
    assert (report.slices["all"].lists, report.unsent) == (1, 1)
    assert value(report, "all", "hr20") == 0.0
    assert value(report, "all", "mean_rank") == ROUND


def test_the_whole_future_is_one_list_a_person() -> None:
    report = evaluate(WORLD, trial(), Scope(slices=("future",)))
    future = report.slices["whole future"]
    assert future.lists == future.people == PEOPLE
    assert future.figures["precision10"].value == pytest.approx(0.3 * future.figures["recall10"].value)
    assert future.figures["recall10"].value == 1.0  # five items are left, three of them are the future


def test_frozen_counts_do_not_know_what_happened_after_the_split() -> None:
    """After the split all walk a new path, which only counts can tell: the items have no vectors."""
    sent = [Item(id=f"i{k}", time=START).event() for k in range(150)]
    new = [click(f"q{k}", f"i{140 + n}", START + 1000 + 20 * k + n) for k in range(10) for n in range(5)]
    report = evaluate(World(sent, NO_TEXT), successive([*walk(), *new], START + 1000), Scope(slices=("frozen",)))
    assert value(report, "all", "hr10") > 0.6
    assert value(report, "counts frozen", "hr10") == 0.0
    assert report.slices["counts frozen"].lists == 50


# -- slices ------------------------------------------------------------------------------------------------------------


def test_the_last_event_alone_is_enough_where_the_next_follows_from_it() -> None:
    report = evaluate(WORLD, trial(), Scope(slices=("few",)))
    for name in ("history whole", "last 1", "last 3", "last 5"):
        assert report.slices[name].lists == 30
    assert value(report, "last 1", "hr10") == 1.0
    assert report.slices["nothing known"].lists == 0
    assert report.slices["nothing known"].figures == {}


def test_first_ever_events_are_a_slice_of_their_own() -> None:
    steps = [click("new", f"i{k}", START + 1000 + k) for k in range(3)]
    report = evaluate(WORLD, successive([*walk(), *steps], START + 1000), Scope(slices=("few",)))
    assert report.slices["nothing known"].lists == 1
    assert report.slices["last 5"].lists == report.slices["history whole"].lists == 2
    assert report.slices["all"].lists == 3


def test_long_histories_begin_beyond_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penchant.evaluation.evaluate.LONG", (7, 8, 200))
    monkeypatch.setattr("penchant.evaluation.evaluate._ORDER", ("beyond 7", "beyond 8", "beyond 200"))
    report = evaluate(WORLD, trial(), Scope(slices=("long",)))
    assert [report.slices[f"beyond {length}"].lists for length in (7, 8, 200)] == [20, 10, 0]


def test_cold_items_are_asked_of_an_engine_that_never_met_them(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    plain = folders.learn

    def learn(engine: Engine, events: Any, source: Any = None) -> None:
        told.extend(events if "cold" in str(engine.parts.folder) else ())
        plain(engine, events, source)

    monkeypatch.setattr(folders, "learn", learn)
    monkeypatch.setattr("penchant.evaluation.evaluate.learn", learn)
    report = evaluate(WORLD, trial(), Scope(slices=("cold",)))
    cold = cold_items(f"i{k}" for k in range(ROUND))
    asked = sum(one.item in cold for one in trial().asked)
    assert report.slices["cold items"].lists == report.slices["cold when met"].lists == asked > 0
    assert {one.item for one in told if one.kind == "item"} >= cold
    assert {one.item for one in told if one.kind == "interaction"}.isdisjoint(cold)
    assert value(report, "cold items", "mean_rank") > value(report, "cold when met", "mean_rank")


def test_content_finds_what_was_never_met() -> None:
    """All like one kind of item; the vector of a cold one says that it is of that kind."""
    sent = [Item(id=f"i{k}", vectors={"v": [float(k % 2), float(1 - k % 2)]}, time=START).event() for k in range(60)]
    likes = np.random.default_rng(0)
    events = [click(f"p{p}", f"i{2 * k + 1}", START + 100 * p + n)
              for p in range(20) for n, k in enumerate(likes.permutation(30)[:12])]  # fmt: skip
    report = evaluate(World(sent, NO_TEXT), successive(events, START + 1500), Scope(slices=("cold",)))
    cold = report.slices["cold items"]
    assert cold.lists > 0
    assert cold.figures["mean_rank"].value <= 30


# -- guests ------------------------------------------------------------------------------------------------------------


def test_a_guest_with_all_that_a_person_did_gets_that_persons_list(tmp_path: Path) -> None:
    with Engine.open(tmp_path, **NO_TEXT) as engine:
        engine.ingest([*items(), *walk()])
        asker, event = Asker(engine), click("p3", "i1", START + 1000)
        (place, listed), (as_guest, listed_to_guest) = asker.person(event), asker.guest(event, last=ROUND)
        assert place == as_guest >= 0
        assert listed.tolist() == listed_to_guest.tolist()


def test_a_guest_has_seen_only_what_is_known_of_it(tmp_path: Path) -> None:
    with Engine.open(tmp_path, **NO_TEXT) as engine:
        engine.ingest([*items(), *walk()])
        asker, number = Asker(engine), engine.parts.log.items.get
        _, listed = asker.guest(click("p0", "i0", START + 1000), last=1)  # p0 went from i0 to i9
        assert number("i9") not in listed
        assert number("i5") in listed


def test_a_guest_leaves_no_trace(tmp_path: Path) -> None:
    with Engine.open(tmp_path, **NO_TEXT) as engine:
        engine.ingest([*items(), *walk()])
        engine.wait_for_items()
        asker = Asker(engine)
        counts = {name: array.copy() for name, array in engine.parts.counts.arrays().items()}
        before = engine.recommend(Query(user="p1", time=START + 1000))
        nobody = engine.recommend(Query(user=asking.GUEST, time=START + 1000)).items
        for last in (1, 3, 5):
            asker.guest(click("p0", "i11", START + 1000), last)
        for name, array in engine.parts.counts.arrays().items():
            assert np.array_equal(array, counts[name]), name
        assert engine.recommend(Query(user="p1", time=START + 1000)) == before
        assert engine.recommend(Query(user=asking.GUEST, time=START + 1000)).items == nobody


# -- leave one out -----------------------------------------------------------------------------------------------------


def test_leave_one_out_asks_once_a_person_and_counts_neither_of_the_last_two(tmp_path: Path) -> None:
    run = left_out(walk())
    assert (len(run.learned), len(run.known), len(run.asked)) == (8 * PEOPLE, PEOPLE, PEOPLE)
    report = evaluate(WORLD, run, Scope(slices=("few", "long", "cold", "frozen", "future")))
    assert report.slices["all"].lists == PEOPLE
    assert value(report, "all", "hr10") == 1.0
    assert report.protocol == "leave-one-out"
    assert "counts frozen" not in report.slices
    assert "whole future" not in report.slices


def test_the_last_but_one_is_known_to_the_state_and_not_listed_and_not_counted() -> None:
    """Everybody goes a, b, c, d; counted are only a to b. That c was met is known: d is all that is left."""
    sent = [Item(id=name, time=START).event() for name in "abcd"]
    events = [click(f"p{k}", name, START + k + n / 8) for k in range(5) for n, name in enumerate("abcd")]
    report = evaluate(World(sent, NO_TEXT), left_out(events), NOTHING_ELSE)
    assert value(report, "all", "mean_rank") == 1.0


def test_a_file_of_users_and_items_is_read_in_its_order(tmp_path: Path) -> None:
    path, names = tmp_path / "loo.txt", tmp_path / "names.csv"
    path.write_text("1 7\n1 3\n2 7 3 9\n\n1 9\n")
    names.write_text("number,id\n7,seven\n3,three\n9,nine\n")
    events = read_sequences(path, read_names(names))
    assert [(one.user, one.item) for one in events if one.user == "1"] == [
        ("1", "seven"),
        ("1", "three"),
        ("1", "nine"),
    ]
    assert [one.item for one in left_out(events).asked] == ["nine", "nine"]
    assert len({one.time for one in events}) == 1
    assert evaluate(World([Item(id=name).event() for name in ("seven", "three", "nine")], NO_TEXT), left_out(events),
                    NOTHING_ELSE).slices["all"].lists == 2  # fmt: skip


@pytest.mark.parametrize(("text", "said"), [("1\n", "line 1 names no item"), ("", "holds no line"), ("1 5\n", "names")])
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "loo.txt").write_text(text)
    with pytest.raises(InvalidInput, match=said):
        read_sequences(tmp_path / "loo.txt", {"7": "seven"})


# -- folders and refusals ----------------------------------------------------------------------------------------------


def files(folder: Path) -> list[str]:
    """What a folder holds, without what SQLite keeps beside a file that is being read."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    return sorted(str(path.relative_to(folder)) for path in found)


def test_a_folder_is_evaluated_with_its_own_settings_actions_and_versions(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "penchant.toml").write_text('encoder = "none"\n[actions.stare]\nweight = 1.0\n')
    with Engine.open(source) as engine:
        engine.ingest([*items(), *(msgspec.structs.replace(event, action="stare") for event in walk())])
    before = files(source)
    _renamed(source, "v7")
    world, events = read_log(source)
    report = evaluate(world, successive(events, split_at(walk(), 7)), NOTHING_ELSE)
    assert value(report, "all", "hr10") == 1.0
    assert report.version == "v7"
    assert any("trained on nothing asked for" in text for text in report.words)
    assert files(source) == before


def _renamed(folder: Path, name: str) -> None:
    """The version of a folder under another name, as if it had been trained."""
    (path,) = (folder / "versions").glob("*/manifest.json")
    path.write_text(path.read_text().replace("v0-0001", name))


def test_numbers_of_actions_are_those_of_the_source(tmp_path: Path) -> None:
    with Engine.open(tmp_path / "source", encoder="none") as engine:
        engine.parts.log.number_actions(["of yore"])
        names = [engine.parts.log.actions.name(k) for k in range(len(engine.parts.log.actions))]
    prepare(tmp_path / "copy", World(items(), NO_TEXT, source=tmp_path / "source"), walk())
    with Engine.open(tmp_path / "copy", **NO_TEXT) as engine:
        assert [engine.parts.log.actions.name(k) for k in range(len(engine.parts.log.actions))] == names


def test_an_event_that_cannot_be_learned_ends_the_evaluation() -> None:
    stare = Event(id="odd", user="p0", action="stare", item="i1", time=START)
    with pytest.raises(InvalidInput, match="odd cannot be learned"):
        evaluate(WORLD, successive([stare, *walk()], split_at(walk(), 7)), NOTHING_ELSE)


@pytest.mark.parametrize(
    ("world", "scope", "said"),
    [
        (WORLD, Scope(slices=("short",)), "slices='short'"),
        (WORLD, Scope(every=0), "every=0"),
        (WORLD, Scope(depth=5), "depth=5"),
        (World([], NO_TEXT), NOTHING_ELSE, "no item was sent"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_name(world: World, scope: Scope, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        evaluate(world, trial(), scope)


def test_a_test_that_only_repeats_is_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidInput, match="seen=allow"):
        evaluate(WORLD, successive([*walk(), click("p0", "i0", START + 1000)], START + 999), NOTHING_ELSE)


def test_a_report_is_json_with_plain_keys() -> None:
    report = evaluate(WORLD, trial(), Scope(slices=("few",)))
    again = msgspec.json.decode(msgspec.json.encode(report), type=Report)
    assert again.slices == report.slices
    assert {"hr10", "ndcg10", "mrr", "f1_10", "mean_rank", "coverage10"} <= set(report.slices["last 1"].figures)
