"""Keys as they are kept and as the command line makes them: one file, no secret in it, nothing half written."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import Corrupt, InvalidInput, NotFound, shown
from penchant.serving import keys, screens
from penchant.serving.cli import run
from tests.conftest import temporary_folder

Penchant = Callable[..., tuple[int, str, str]]


@pytest.fixture
def penchant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Penchant:
    """Run a command line beside a folder `data` that is empty: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(screens.out, "width", 140)
    monkeypatch.setattr(screens.errors, "width", 140)
    (tmp_path / "data").mkdir()

    def penchant(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return penchant


# -- the text of a key -------------------------------------------------------------------------------------------------


def test_a_key_names_its_id_and_its_hash_is_kept_alone(tmp_path: Path) -> None:
    key, text = keys.create(tmp_path, ["read"])
    assert text.startswith(f"pk_{key.id}_")
    assert keys.id_of(text.encode()) == key.id
    assert keys.digest(text.encode()) == key.digest
    secret = text.split("_")[2]
    assert secret not in (tmp_path / keys.FILE).read_text()
    assert len(bytes.fromhex(secret)) == 32 + 4


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return keys.create(tmp_path_factory.mktemp("keys"), ["read"])[1].encode()


@given(place=st.integers(0, 83), letter=st.sampled_from(b"0123456789abcdefgp_ \n\xff"))
def test_a_mistyped_key_is_told_without_looking_it_up(text: bytes, place: int, letter: int) -> None:
    mistyped = text[:place] + bytes((letter,)) + text[place + 1 :]
    assert (keys.id_of(mistyped) is not None) == (mistyped == text)


@given(length=st.integers(0, 83))
def test_a_truncated_key_is_told_too(text: bytes, length: int) -> None:
    assert keys.id_of(text[:length]) is None
    assert keys.id_of(text + text[:1]) is None


def test_a_secret_in_an_error_is_cut_to_its_id(text: bytes) -> None:
    told = shown({"key": text.decode()})
    assert text.decode()[:12] in told
    assert text.decode()[12:20] not in told


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    keys.create(tmp_path, ["read"])
    assert stat.S_IMODE((tmp_path / keys.FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [keys.FILE]


def test_a_folder_without_a_file_has_no_keys_and_one_with_none_left_has_an_empty_list(tmp_path: Path) -> None:
    assert keys.read(tmp_path) is None
    key, _ = keys.create(tmp_path, ["read"])
    keys.revoke(tmp_path, key.id)
    found = keys.read(tmp_path)
    assert found is not None
    assert [one.revoked is not None for one in found] == [True]


def test_many_who_make_keys_at_once_lose_none(tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda: [keys.create(tmp_path, ["read"]) for _ in range(5)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.id for key in keys.read(tmp_path) or ()}) == 40


def test_a_key_is_revoked_by_its_id_or_its_text_and_once(tmp_path: Path) -> None:
    (one, _), (other, text) = keys.create(tmp_path, ["read"]), keys.create(tmp_path, ["read"])
    first = keys.revoke(tmp_path, one.id)
    assert keys.revoke(tmp_path, one.id) == first
    assert keys.revoke(tmp_path, text).id == other.id
    with pytest.raises(InvalidInput, match="mistyped"):
        keys.revoke(tmp_path, text[:-1])
    with pytest.raises(NotFound, match="penchant key list"):
        keys.revoke(tmp_path, "00000000")


def test_all_keys_of_a_tenant_are_revoked_and_no_other(tmp_path: Path) -> None:
    for tenant in ("shop", "shop", "news"):
        keys.create(tmp_path, ["read"], tenant=tenant)
    assert keys.revoke_all(tmp_path, "shop") == 2
    assert keys.revoke_all(tmp_path, "shop") == 0
    assert [key.tenant for key in keys.read(tmp_path) or () if key.revoked is None] == ["news"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"scopes": []}, "scope"),
        ({"scopes": ["write"]}, "scope"),
        ({"scopes": ["public"]}, "origin"),
        ({"scopes": ["public", "read"], "origins": ("https://a.example",)}, "scope"),
        ({"scopes": ["read"], "origins": ("https://a.example",)}, "origin"),
        ({"scopes": ["public"], "origins": ("https://a.example/",)}, "origin"),
        ({"scopes": ["public"], "origins": ("https://a.example/shop",)}, "origin"),
        ({"scopes": ["public"], "origins": ("*",)}, "origin"),
        ({"scopes": ["public"], "origins": ("null",)}, "origin"),
        ({"scopes": ["read"], "rate": 0.0}, "rate"),
        ({"scopes": ["read"], "rate": float("nan")}, "rate"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_and_not_kept(tmp_path: Path, more: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        keys.create(tmp_path, **more)
    assert refused.value.field == field
    assert refused.value.way_out
    assert keys.read(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"keys": [{"id": 1}]}', b'{"kees": []}', b"\xff"])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / keys.FILE).write_bytes(content)
    with pytest.raises(Corrupt, match=keys.FILE):
        keys.read(tmp_path)
    with pytest.raises(Corrupt):
        keys.create(tmp_path, ["read"])
    assert (tmp_path / keys.FILE).read_bytes() == content


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["ingest", "read", "admin"]), min_size=1, unique=True),
            st.none() | st.floats(0.01, 1e6),
            st.text(max_size=9),
        ),
        max_size=4,
    )
)
def test_what_is_kept_of_a_key_is_read_back(made: list[tuple[list[keys.Scope], float | None, str]]) -> None:
    with temporary_folder() as folder:
        kept = [keys.create(folder, scopes, rate=rate, note=note)[0] for scopes, rate, note in made]
        assert (keys.read(folder) or []) == kept


# -- the command line --------------------------------------------------------------------------------------------------


def test_a_key_is_made_listed_and_revoked(penchant: Penchant) -> None:
    code, text, told = penchant("key", "create", "--scope", "ingest", "--scope", "read", "--rate", "9", "--note", "us")
    assert code == 0
    key_id = keys.id_of(text.strip().encode())
    assert key_id is not None
    assert text.strip() not in told
    _, listed, _ = penchant("key", "list")
    assert [word in listed for word in (key_id, "ingest, read", "9", "us")] == [True] * 4
    assert penchant("key", "revoke", key_id)[0] == 0
    (kept,) = json.loads(penchant("key", "list", "--json")[1])
    assert kept["revoked"]
    assert "digest" not in kept


def test_a_public_key_is_made_with_its_origins(penchant: Penchant) -> None:
    assert penchant("key", "create", "--scope", "public")[0] == 2
    code, told, _ = penchant("key", "create", "--scope", "public", "--origin", "https://a.example", "--json")
    assert code == 0
    assert keys.id_of(json.loads(told)["key"].encode()) == json.loads(told)["id"]
    assert "https://a.example" in penchant("key", "list")[1]


def test_a_key_of_a_folder_or_a_tenant_that_is_not_there_is_refused(penchant: Penchant) -> None:
    code, _, told = penchant("key", "create", "--scope", "read", "--data", "nowhere")
    assert (code, "no data folder" in told) == (2, True)
    code, _, told = penchant("key", "create", "--scope", "read", "--tenant", "shop")
    assert (code, "no such tenant" in told) == (2, True)
    assert penchant("tenant", "create", "shop")[0] == 0
    code, _, told = penchant("key", "create", "--scope", "read")
    assert (code, "--tenant: shop" in told) == (2, True)
    assert penchant("key", "create", "--scope", "read", "--tenant", "shop")[0] == 0


def test_without_keys_the_list_says_what_that_means(penchant: Penchant) -> None:
    assert "answers everybody on this machine" in penchant("key", "list")[1]
