"""Names of the outside and numbers of the inside; a forgotten name leaves its number, which leads nowhere."""

from __future__ import annotations

import sqlite3


class Names:
    """Names of the outside <-> numbers of the inside, for people, items or actions; numbers start at 0."""

    def __init__(self, connection: sqlite3.Connection, table: str) -> None:
        self._connection, self._table = connection, table
        rows = connection.execute(f"SELECT number, name FROM {table} ORDER BY number").fetchall()
        self._number: dict[str, int] = {name: number for number, name in rows if name is not None}
        last = rows[-1][0] if rows else -1
        self._name: list[str | None] = [None] * (last + 1)
        for number, name in rows:
            self._name[number] = name
        self._fresh: list[tuple[int, str | None]] = []

    def __len__(self) -> int:
        return len(self._name)

    def get(self, name: str) -> int:
        """The number of a name, or -1."""
        return self._number.get(name, -1)

    def name(self, number: int) -> str:
        """The name of a number; a forgotten one is shown as such."""
        return self._name[number] or f"(forgotten {number})"

    def add(self, name: str) -> int:
        number = self._number.get(name)
        if number is None:
            number = self._number[name] = len(self._name)
            self._name.append(name)
            self._fresh.append((number, name))
        return number

    def first(self, count: int) -> list[str]:
        """The names of the first ``count`` numbers."""
        return [name or "" for name in self._name[:count]]

    def known(self, number: int) -> bool:
        """Whether the number has its name still."""
        return self._name[number] is not None

    def forgotten(self) -> list[int]:
        """The numbers whose names were erased."""
        return [number for number, name in enumerate(self._name) if name is None]

    def write(self) -> None:
        """Put new names into the open transaction."""
        if self._fresh:
            self._connection.executemany(f"INSERT INTO {self._table} VALUES (?, ?)", self._fresh)

    def read_on(self) -> None:
        """Take in names that another process has written since."""
        more = f"SELECT name FROM {self._table} WHERE number >= ? ORDER BY number"
        for (name,) in self._connection.execute(more, (len(self._name),)).fetchall():
            if name is not None:
                self._number[name] = len(self._name)
            self._name.append(name)

    def forget_with(self) -> None:
        """Forget whom another process has forgotten."""
        for (number,) in self._connection.execute(f"SELECT number FROM {self._table} WHERE name IS NULL").fetchall():
            if number < len(self._name) and (name := self._name[number]) is not None:
                del self._number[name]
                self._name[number] = None

    def written(self) -> None:
        self._fresh.clear()

    def forget(self, number: int) -> None:
        name = self._name[number]
        if name is not None:
            del self._number[name]
            self._name[number] = None
            self._fresh = [(n, None if n == number else name) for n, name in self._fresh]  # not even written yet
        self._connection.execute(f"UPDATE {self._table} SET name = NULL WHERE number = ?", (number,))
