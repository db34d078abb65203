"""The model versions of a data folder, for people: which there are, what one is, how two differ.

Only the folder `versions` is read and written, and the log is read: a server may have the folder open, and goes over
to what is chosen here by itself. What this folder's encoder is says its newest version 0, which the engine made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from msgspec import Struct, structs
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.markup import escape

from penchant.errors import NotFound, PenchantError
from penchant.models import versions
from penchant.models.versions import Manifest
from penchant.serving import screens
from penchant.storage.event_log import EventLog

Pair = tuple[Any, Any]
_NUMBERS = ("events", "NDCG@10", "gate", "version 0")


class Listed(Struct, kw_only=True):
    """A directory of the folder. ``refused``: why it cannot be used; what could not be read is None then."""

    number: str
    in_use: bool
    name: str | None = None
    kind: str | None = None
    created: float | None = None
    events: int | None = None
    ndcg10: float | None = None
    gate_ndcg10: float | None = None
    gate_ndcg10_version_0: float | None = None
    refused: str | None = None


class Shown(Struct, kw_only=True):
    """A version with the sizes of its files, in bytes."""

    manifest: Manifest
    in_use: bool
    card: str
    sizes: dict[str, int]


class Difference(Struct, kw_only=True):
    """What differs, each as (first, second); None: one has no such thing. Metrics stand here whether they differ."""

    versions: Pair
    recipe: dict[str, Pair]
    data: dict[str, Pair]
    metrics: dict[str, Pair]


class Shelf:
    """The versions of a data folder. Raises NotFound where there are none."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "versions"
        if not self.folder.is_dir():
            raise NotFound(
                "there are no versions here.",
                field="data",
                value=str(data),
                way_out="Name a data folder with --data, or begin with `penchant init`.",
            )
        self._log = EventLog(data, read_only=True)
        self._encoder = self._newest_encoder()

    def listed(self) -> list[Listed]:
        """All directories, oldest first; one that cannot be used with the reason."""
        current = versions.current(self.folder)
        strays = sorted(path for path in self.folder.iterdir() if path.is_dir() and not path.name.isdigit())
        return [
            *(self._line(path, path == current) for path in versions.published(self.folder)),
            *(Listed(number=path.name, in_use=False, refused=_stray(path)) for path in strays),
        ]

    def shown(self, name: str) -> Shown:
        path = versions.find(self.folder, name)
        manifest, card = versions.read_manifest(path), path / "card.md"
        return Shown(
            manifest=manifest,
            in_use=path == versions.current(self.folder),
            card=card.read_text(encoding="utf-8") if card.exists() else _card_of_version_0(manifest),
            sizes={file.name: file.stat().st_size for file in sorted(path.iterdir())},
        )

    def use(self, name: str) -> Manifest:
        """From now on this one. Raises NotFound, or Corrupt when it is not whole or not of this folder."""
        path = versions.find(self.folder, name)
        manifest = self.checked(path)
        versions.use_version(self.folder, path.name)
        return manifest

    def roll_back(self) -> Manifest:
        """Back to the one that was in use before; raises as `use` does."""
        path = versions.previous(self.folder)
        if path is not None:
            self.checked(path)
        return versions.read_manifest(versions.roll_back(self.folder))

    def difference(self, one: str, other: str) -> Difference:
        a, b = (versions.read_manifest(versions.find(self.folder, name)) for name in (one, other))
        metrics = [manifest.training.metrics if manifest.training else {} for manifest in (a, b)]
        return Difference(
            versions=(a.name, b.name),
            recipe=_differing(*(dict(one.training.recipe) if one.training else {} for one in (a, b))),
            data=_differing(_data(a), _data(b)),
            metrics={name: (metrics[0].get(name), metrics[1].get(name)) for name in dict.fromkeys([*metrics[0],
                                                                                                 *metrics[1]])},
        )  # fmt: skip

    def checked(self, path: Path) -> Manifest:
        """The manifest of a version that is whole, of this log and of this folder's encoder; raises Corrupt."""
        manifest = versions.read_manifest(path)
        encoder = self._encoder or (manifest.encoder, manifest.encoder_fingerprint)
        versions.check_ours(path, manifest, encoder, self._log.items.first)
        return manifest

    def _line(self, path: Path, in_use: bool) -> Listed:
        try:
            manifest = self.checked(path)
        except PenchantError as error:
            return Listed(number=path.name, in_use=in_use, refused=error.what)
        made = Listed(number=path.name, in_use=in_use, name=manifest.name, kind=manifest.kind, created=manifest.created)
        if manifest.training is not None:
            made.events = manifest.training.events
            for name in ("ndcg10", "gate_ndcg10", "gate_ndcg10_version_0"):
                setattr(made, name, manifest.training.metrics.get(name))
        return made

    def _newest_encoder(self) -> tuple[str, str] | None:
        for path in reversed(versions.published(self.folder)):
            try:
                manifest = versions.read_manifest(path)
            except PenchantError:
                continue
            if manifest.training is None:
                return manifest.encoder, manifest.encoder_fingerprint
        return None

    def __enter__(self) -> Shelf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()


def _stray(path: Path) -> str:
    if path.name == versions.DRAFT:
        return "it is being written, or was never finished."
    return "it is not a version: its name is no number."


def _card_of_version_0(manifest: Manifest) -> str:
    fitted = f"fitted to {manifest.fitted_on:,} items" if manifest.fitted_on else "not fitted to anything"
    return f"# {manifest.name}\n\nVersion 0: nothing was trained. Texts are read by {manifest.encoder}, {fitted}.\n"


def _data(manifest: Manifest) -> dict[str, Any]:
    """What a version was made of and for, but for how."""
    of = manifest.training
    learned: dict[str, Any] = {}
    if of is not None:
        names = ("epochs", "events", "people", "items", "offset", "newest", "data")
        learned = {name: getattr(of, name) for name in names}
    described = {name: getattr(manifest, name) for name in ("encoder", "dim", "state_size", "actions")}
    fields = {f"fields of {what}": structs.asdict(getattr(manifest, attribute)) for what, attribute in (
        ("items", "fields"), ("profiles", "profile"))}  # fmt: skip
    return learned | described | fields


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Pair]:
    return {name: (a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)}


# -- for people --------------------------------------------------------------------------------------------------------


def table_of(listed: list[Listed]) -> RenderableType:
    """NDCG@10 on validation, and on the gate's questions beside version 0's."""
    made = screens.table("", "", "name", "made", "events", "NDCG@10", "gate", "version 0", right=_NUMBERS)
    for one in listed:
        mark, number = "[green]in use[/green]" if one.in_use else "", escape(one.number)
        if one.refused is not None:
            made.add_row(mark, number, f"[red]{escape(one.refused)}[/red]")
            continue
        figures = (one.ndcg10, one.gate_ndcg10, one.gate_ndcg10_version_0)
        made.add_row(mark, number, escape(one.name or ""), _day(one.created or 0.0),
                     f"{one.events:,}" if one.events is not None else "-",
                     *("-" if figure is None else f"{figure:.4f}" for figure in figures))  # fmt: skip
    return made


def blocks_of(shown: Shown) -> Iterator[RenderableType]:
    yield Markdown(shown.card)
    made = screens.table("file", "bytes", right=("bytes",))
    for name, size in shown.sizes.items():
        made.add_row(escape(name), f"{size:,}")
    yield made
    yield f"{escape(shown.manifest.name)}, made {_day(shown.manifest.created)}" + (", in use" if shown.in_use else "")


def blocks_of_difference(found: Difference) -> Iterator[RenderableType]:
    for title, pairs in (("Recipe", found.recipe), ("Data", found.data), ("Metrics", found.metrics)):
        if not pairs:
            yield f"[bold]{title}[/bold]: no difference"
            continue
        made = screens.table("", *map(escape, found.versions), title=title)
        for name, pair in pairs.items():
            made.add_row(escape(name), *(_figure(one) if title == "Metrics" else _value(name, one) for one in pair))
        yield made


def _value(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "newest":
        return _day(value)
    return f"{value:,.10g}" if isinstance(value, float) else escape(str(value))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
