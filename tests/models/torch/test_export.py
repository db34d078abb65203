"""The ONNX graphs that are served compute what torch computes, to 1e-4, whatever a model reads."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.models.torch.export import fold_graph, item_graph, query_graph, step_graph
from penchant.models.torch.item_encoder import Content, ContentShape, ItemEncoder
from penchant.models.torch.scorer import Model
from penchant.models.torch.user_state import Events, Shape
from tests.models.torch.towers import at, beginning, history, runs, shake, shapes, tower

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
LONGEST = 64  # events that a fold takes


def arrays(events: Events) -> dict[str, np.ndarray]:
    return {name: part.numpy() for name, part in events._asdict().items()}


# -- fold equals step --------------------------------------------------------------------------------------------------


@given(
    shape=shapes,
    seed=st.integers(0, 2**31),
    events=st.integers(1, 150),
    cuts=st.lists(st.integers(0, 150), max_size=4),
    people=st.integers(1, 3),
)
@settings(max_examples=25)
@torch.no_grad()
def test_fold_equals_step_equals_torch_however_the_events_are_cut(
    shape: Shape, seed: int, events: int, cuts: list[int], people: int
) -> None:
    user, draw = tower(shape, seed), np.random.default_rng(seed)
    step, fold = runs(step_graph(user)), runs(fold_graph(user))
    lived = history(draw, events, people, shape)
    mask = (draw.random((events, people)) < 0.8).astype(np.float32)
    start = draw.standard_normal((people, user.size)).astype(np.float32)
    known, stepped = torch.from_numpy(start), start
    for time in range(events):
        there = mask[time][:, None] == 1
        known = torch.where(torch.from_numpy(there), user.step(known, at(lived, time)), known)
        stepped = np.where(there, step(state=stepped, **arrays(at(lived, time))), stepped)
    folded = start
    edges = sorted({*range(0, events, LONGEST), *(cut for cut in cuts if cut < events), events})
    for first, last in itertools.pairwise(edges):
        part = {name: np.moveaxis(array[first:last], 0, 1) for name, array in arrays(lived).items()}
        folded = fold(state=folded, mask=mask[first:last].T, **part)
    np.testing.assert_allclose(stepped, known.numpy(), **CLOSE)
    np.testing.assert_allclose(folded, known.numpy(), **CLOSE)


@given(shape=shapes, seed=st.integers(0, 2**31), events=st.integers(0, 30))
@settings(max_examples=25)
@torch.no_grad()
def test_a_question_to_the_graph_is_a_question_to_the_scan(shape: Shape, seed: int, events: int) -> None:
    user, draw, people = tower(shape, seed), np.random.default_rng(seed), 3
    lived = Events(*map(torch.cat, zip(beginning(people, shape), history(draw, events, people, shape), strict=True)))
    since = torch.from_numpy(draw.uniform(0.0, 17.0, people).astype(np.float32))
    profile = torch.from_numpy(draw.integers(0, 8, (people, 2)))
    expected = user.query(user.scan(lived)[-1], since, profile)
    state = np.zeros((people, user.size), np.float32)
    step, query = runs(step_graph(user)), runs(query_graph(user))
    for time in range(1, events + 1):
        state = step(state=state, **arrays(at(lived, time)))
    asked = query(state=state, since=since.numpy(), profile=profile.numpy(), **arrays(at(lived, events)))
    np.testing.assert_allclose(asked, expected.numpy(), **CLOSE)


@torch.no_grad()
def test_a_fold_of_nothing_but_padding_changes_nothing() -> None:
    shape = Shape(6, 10, 3, 5, 4, (1.0, 5.0), 0, False, 0.0)
    user = tower(shape, 7)
    part = {n: np.moveaxis(a, 0, 1) for n, a in arrays(history(np.random.default_rng(7), 9, 2, shape)).items()}
    state = np.random.default_rng(7).standard_normal((2, user.size)).astype(np.float32)
    after = runs(fold_graph(user))(state=state, mask=np.zeros((2, 9), np.float32), **part)
    np.testing.assert_allclose(after, state, rtol=1e-6, atol=1e-6)


# -- items -------------------------------------------------------------------------------------------------------------

contents = st.builds(
    ContentShape,
    text=st.sampled_from((0, 9)),
    whitened=st.just(4),
    tags=st.sampled_from((0, 6)),
    numbers=st.sampled_from(((), ((0.0, 1.0, 2.0),), ((0.0, 5.0), (-1.0, 0.0, 10.0)))),
    brought=st.sampled_from(((), (3,), (2, 4))),
)


def described(draw: np.random.Generator, shape: ContentShape, items: int) -> Content:
    """What items say of themselves; some say nothing."""
    text = draw.standard_normal((items, shape.text)) * (draw.random((items, 1)) < 0.7)
    numbers = draw.normal(1.0, 4.0, (items, len(shape.numbers)))
    numbers[draw.random(numbers.shape) < 0.3] = np.nan
    brought = draw.standard_normal((items, sum(shape.brought))) * (draw.random((items, 1)) < 0.7)
    tags = draw.integers(0, shape.tags + 1, (items, 3))
    floats = (torch.from_numpy(part.astype(np.float32)) for part in (text, numbers, brought))
    text, numbers, brought = floats
    return Content(text, torch.from_numpy(tags), numbers, brought)


def encoder(shape: ContentShape, seed: int, items: int = 5) -> ItemEncoder:
    torch.manual_seed(seed)
    made = ItemEncoder(6, items, shape, 0.5)
    shake(made)
    made.text_mean.normal_()
    made.text_whitening.normal_()
    return made.eval()


@given(shape=contents, seed=st.integers(0, 2**31), items=st.integers(1, 5))
@settings(max_examples=40)
@torch.no_grad()
def test_the_item_graph_is_what_items_say_of_themselves(shape: ContentShape, seed: int, items: int) -> None:
    made = encoder(shape, seed)
    given_ = described(np.random.default_rng(seed), shape, items)
    text = given_.text.numpy() if shape.text else np.zeros((items, 1), np.float32)  # as the engine has it
    out = runs(item_graph(made))(
        text=text, tags=given_.tags.numpy(), numbers=given_.numbers.numpy(), brought=given_.brought.numpy()
    )
    assert out.shape == (items, 6)
    np.testing.assert_allclose(out, made.content(given_).numpy(), **CLOSE)


@torch.no_grad()
def test_an_item_without_text_is_not_the_item_of_the_mean_text() -> None:
    made = encoder(ContentShape(text=9, whitened=4), 3)
    zero, mean = made.content(Content(torch.stack((torch.zeros(9), made.text_mean)), *[torch.zeros(2, 0)] * 3))
    torch.testing.assert_close(zero, made.content(Content(torch.zeros(1, 9), *[torch.zeros(1, 0)] * 3))[0])
    torch.testing.assert_close(mean, zero, **CLOSE)  # neither says anything


@torch.no_grad()
def test_a_graph_of_a_model_that_reads_no_text_takes_texts_of_any_length() -> None:
    made = encoder(ContentShape(tags=6), 1)
    tags = np.array([[1, 2, 0], [0, 0, 0]])
    graph = runs(item_graph(made))
    np.testing.assert_array_equal(
        graph(text=np.zeros((2, 1), np.float32), tags=tags), graph(text=np.ones((2, 384), np.float32), tags=tags)
    )


def test_the_residual_is_left_out_at_random_while_training_and_only_where_there_is_content() -> None:
    for shape, share in ((ContentShape(tags=6), 0.5), (ContentShape(), 0.0)):
        torch.manual_seed(0)
        made = ItemEncoder(6, 1000, shape, 0.5)
        content = described(np.random.default_rng(0), shape, 1000)
        alone = made.content(content)
        dropped = (made.train()(torch.arange(1000), content) - alone).abs().sum(1) < 1e-6
        assert dropped.float().mean().item() == pytest.approx(share, abs=0.05)
        assert not ((made.eval()(torch.arange(1000), content) - alone).abs().sum(1) < 1e-6).any()


# -- words -------------------------------------------------------------------------------------------------------------


@given(shape=contents.filter(lambda shape: shape.text > 0), seed=st.integers(0, 2**31))
@settings(max_examples=20)
@torch.no_grad()
def test_typed_words_are_an_item_that_says_nothing_else(shape: ContentShape, seed: int) -> None:
    torch.manual_seed(seed)
    model = Model(Shape(6, 10, 1, 5, 4, (), 0, False, 0.0), 5, shape, 0.1)
    model.item = encoder(shape, seed)
    words = np.random.default_rng(seed).standard_normal((3, 9)).astype(np.float32)
    words[1] = 0.0
    out = runs(item_graph(model.item))(
        text=words,
        tags=np.zeros((3, 1), np.int64),
        numbers=np.full((3, len(shape.numbers)), np.nan, np.float32),
        brought=np.zeros((3, sum(shape.brought)), np.float32),
    )
    out[1] = 0.0  # as the runtime does it
    np.testing.assert_allclose(out, model.typed(torch.from_numpy(words)).numpy(), **CLOSE)
