"""A field as arrays: what is there no more is forgotten. What columns answer is compared in `test_filters`."""

from __future__ import annotations

from penchant.storage.columns import Column


def test_texts_that_no_item_has_any_more_are_forgotten() -> None:
    column = Column()
    for turn in range(500):
        for item in range(20):
            column.put(item, f"at {turn * 20 + item}" if item % 2 else 3)
    assert len(column._texts) < 1200
    assert [column.value(item) for item in (1, 3, 19)] == ["at 9981", "at 9983", "at 9999"]
    assert column.compared("==", "at 9983", 20).tolist().count(2) == 1
    assert column.compared("==", "at 3", 20).tolist().count(2) == 0


def test_a_value_that_no_list_holds_any_more_is_forgotten() -> None:
    column = Column()
    for turn in range(100):
        column.put(0, [f"tag {turn}", f"tag {turn}", None])
    assert len(column._holders) == 1
    assert column.holds("tag 99", 1).tolist() == [2]
    column.put(0, None)
    assert not column._holders
    assert column.empty
    assert column.holds("tag 99", 1).tolist() == [0]
