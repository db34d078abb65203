"""From a trained model to a version directory: graphs, residuals, vectors, index, and everybody's state.

The states are folded by the engine's own code (`beside`), over the log that was learned from, with the version's own
graphs: what the engine adopts is what it would have folded itself.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from penchant.learning.fusing import alone
from penchant.learning.recipe import Recipe
from penchant.learning.source import Source
from penchant.models import cold_start, versions
from penchant.models.fields import Fields
from penchant.models.fusion import Fusion, in_words
from penchant.models.heads import Heads
from penchant.models.rating import RatingModel
from penchant.models.runtime import Version
from penchant.models.torch import export
from penchant.models.torch.scorer import Model
from penchant.models.versions import HEADS, INDEX, RATING, Manifest, Training
from penchant.storage.item_index import EXACT, Built
from penchant.storage.state_store import packed


def publish(
    folder: Path,
    source: Source,
    model: Model,
    recipe: Recipe,
    *,
    epochs: int,
    metrics: Mapping[str, float],
    fusion: Fusion | None = None,
    heads: Heads | None = None,
    rating: RatingModel | None = None,
) -> Path:
    """Write a version under ``folder``; it is not in use until somebody says so. Returns its directory.

    ``fusion``: how scores are made; None: the learned score alone.
    """
    model = model.cpu().eval()
    files = {
        "item.onnx": export.item_graph(model.item),
        "step.onnx": export.step_graph(model.user),
        "fold.onnx": export.fold_graph(model.user),
        "query.onnx": export.query_graph(model.user),
        "residual.npy": _npy(np.where(source.there[:, None], model.item.residual.weight.detach().numpy(), 0.0)),
    }
    if heads is not None:
        files[HEADS] = heads.packed()
    if rating is not None:
        files[RATING] = rating.packed()
    manifest = _manifest(source, model, recipe, epochs, metrics)
    manifest.fusion = fusion or alone()
    with tempfile.TemporaryDirectory(prefix="penchant-publish-") as scratch:
        draft = Version(versions.publish(Path(scratch), msgspec.structs.replace(manifest), files))
        beside = source.beside(draft)
        beside.place_all()
        beside.start_states(source.upto)
    vectors = beside.index.vector[: beside.index.items]
    files["vectors.npy"] = _npy(vectors)
    if len(vectors) > EXACT:
        files[INDEX] = Built(vectors).serialised()
    files["card.md"] = card(manifest).encode()
    states = packed(beside.settled_states(), source.upto)
    path = versions.publish(folder, manifest, files, states, use=False)
    if source.log.erased_after(source.upto):  # looked at last: an erasure from here on finds the file
        versions.forget_states(folder)
    return path


def _manifest(source: Source, model: Model, recipe: Recipe, epochs: int, metrics: Mapping[str, float]) -> Manifest:
    encoder, histories = source.encoder, source.histories
    return Manifest(
        name=recipe.size,
        kind="trained",
        created=time.time(),
        encoder=encoder.name if encoder else "none",
        encoder_fingerprint=encoder.fingerprint if encoder else "none",
        text_dim=max(source.text_dim, 1),
        dim=recipe.dim,
        state_size=model.user.size,
        actions=source.weights,
        fitted_on=len(source.rows),
        fusion=alone(),
        search=cold_start.default_search(),
        fields=source.fields if recipe.fields else Fields(),
        profile=source.profile,
        training=Training(
            size=recipe.size,
            seed=recipe.seed,
            epochs=epochs,
            recipe=msgspec.structs.asdict(recipe),
            events=len(histories.item),
            people=int((np.diff(histories.start) > 0).sum()),
            items=source.items,
            offset=source.upto,
            newest=float(histories.time.max(initial=0.0)),
            data=versions.fingerprint(source.log.items.first(source.items)),
            metrics=dict(metrics),
        ),
    )


def card(manifest: Manifest) -> str:
    """The version in words."""
    training = manifest.training
    if training is None:
        return f"# {manifest.name}\n\nVersion 0: nothing was trained.\n"
    newest = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(training.newest))
    measured = "\n".join(f"- {name}: {value:.4f}" for name, value in training.metrics.items()) or "- nothing"
    recipe = "\n".join(f"- {name}: {value}" for name, value in training.recipe.items())
    score = "\n".join(f"- {line}" for line in in_words(manifest.fusion))
    reads = ", ".join([*manifest.fields.tags, *manifest.fields.numbers, *manifest.fields.brought]) or "none"
    profile = ", ".join(manifest.profile.tags) or "nothing"
    return f"""# A {training.size} model of what comes next

Trained on {training.events:,} events of {training.people:,} people with {training.items:,} items, up to offset
{training.offset} of the log; the newest event is of {newest}. {training.epochs:g} epochs, seed {training.seed}.

- Item texts are read by {manifest.encoder}; fields that are read beside the text: {reads}.
- Of profiles it reads: {profile}.
- Actions that it knows: {", ".join(manifest.actions)}.
- A person's state is {manifest.state_size} numbers, an item {manifest.dim}.

## Measured, on events that were not learned from
{measured}

## A score is the sum of
{score}

## Recipe
{recipe}

## Not for
Another log: items are known by their numbers in this one. People of whom a decision with legal or similar effects is
made.
"""


def _npy(array: NDArray[np.float32]) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()
