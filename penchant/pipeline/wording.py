"""A reason as one sentence, in English or Chinese: made of facts alone, and of nothing but what the reason holds.

    Because you rated Alien (1979): both are Horror and Sci-Fi.
    因为您评价过《异形》：同属恐怖、科幻。

The event told is the one that spoke most for the item; how the two belong together is told by the feature that passed
it on, so that a sentence about fields is not said of what came by counts. Other people are `people who ...`, never by
name. What no fact explains has no sentence.

Does not know: the person, or any item but by what the reason says of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from penchant.types import TITLE, Candidate, Language, Moved, Reason

Said = Mapping[str, Mapping[Language, str]]  # of actions, by language: "watched", or "put {} into the cart"

_ACTIONS: dict[str, tuple[str, str]] = {
    "click": ("looked at {}", "点击过{}"),
    "view": ("viewed {}", "浏览过{}"),
    "watch": ("watched {}", "看过{}"),
    "play": ("played {}", "播放过{}"),
    "listen": ("listened to {}", "听过{}"),
    "read": ("read {}", "读过{}"),
    "buy": ("bought {}", "买过{}"),
    "purchase": ("bought {}", "买过{}"),
    "order": ("ordered {}", "订购过{}"),
    "cart": ("put {} into the cart", "把{}放进过购物车"),
    "like": ("liked {}", "赞过{}"),
    "save": ("saved {}", "收藏过{}"),
    "share": ("shared {}", "分享过{}"),
    "subscribe": ("subscribed to {}", "订阅过{}"),
    "complete": ("finished {}", "完成过{}"),
    "rate": ("rated {}", "评价过{}"),
    "comment": ("commented on {}", "评论过{}"),
    "dislike": ("disliked {}", "不喜欢{}"),
    "hide": ("hid {}", "隐藏过{}"),
    "skip": ("skipped {}", "跳过{}"),
}
_ANY_ACTION = ("chose {}", "选过{}")
_TYPED = {"search": ("searched for {}", "搜索过{}")}
_ANY_TYPED = ("wrote {}", "写过{}")
# Fields whose values say what an item is.
KINDS = frozenset(
    {"genre", "genres", "tag", "tags", "category", "categories", "subcategory", "topic", "topics", "type", "style"}
    | {"类型", "分类", "类别", "标签", "题材", "主题"}
)
# Names of fields.
_IN_CHINESE = {
    "title": "标题",
    "brand": "品牌",
    "author": "作者",
    "director": "导演",
    "artist": "艺术家",
    "actors": "演员",
    "publisher": "出版社",
    "series": "系列",
    "color": "颜色",
    "country": "国家",
    "language": "语言",
    "department": "部门",
    "description": "描述",
    "text": "正文",
}
_NEXT = ("people who did so often turn to this next", "这样做过的人接下来常选这个")
_TOO = ("people who did so often choose this too", "这样做过的人也常选这个")
_ALIKE = ("people whose choices are like yours chose this", "与您选择相近的人选了这个")
_BY_COUNTS = {
    "transitions": _NEXT,
    "recent_transitions": _NEXT,
    "neighbours": _TOO,
    "together": _TOO,
    "similar_people": _ALIKE,
}
_BY_CONTENT = ("text", "learned", "personal")
_PLACED = {
    "sponsored": ("Sponsored.", "赞助内容。"),
    "pinned": ("Placed here by this site.", "由本站置于此处。"),
    "promoted": ("Promoted by this site.", "由本站推广。"),
}
_BY_ITSELF = {
    "popularity": ("Popular lately.", "近期热门。"),
    "context_popularity": ("Popular lately in circumstances like these.", "在类似情境下近期热门。"),
    "freshness": ("New here.", "新上架。"),
    "promotion": ("Promoted by this site.", "由本站推广。"),
}
_CHOSEN = {
    "transitions": ("People who chose {} often turn to this next.", "选过{}的人接下来常选这个。"),
    "neighbours": ("People who chose {} often choose this too.", "选过{}的人也常选这个。"),
}
_BECAUSE = ("Because you {}.", "因为您{}。")
_BECAUSE_OF = ("Because you {}: {}.", "因为您{}：{}。")
_EARLIER = ("Because of what you did before.", "根据您以前的行为。")
_LIKE = ("Like {}: {}.", "与{}相似：{}。")
_NEAR = ("Near in meaning to {}.", "意思与{}相近。")
_ITSELF = ("{}.", "{}。")
_NOTHING = ("", "")


class Speaker(NamedTuple):
    """Words sentences in one language; ``said``: how the settings tell of actions, before what is known here."""

    language: Language
    said: Said

    def sentence(self, reason: Reason, candidate: Candidate) -> str:
        """Why an item is there; empty where nothing tells. ``candidate``: its terms, and how it was placed."""
        if candidate.placed is not None:
            return self._say(_PLACED[candidate.placed])
        asked = self._asked(reason, candidate) if reason.about is not None else ""
        told = next((one for one in reason.moved if one.effect > 0.0), None)  # it spoke most for the item
        if told is not None and not (asked and reason.shared):
            return self._because(told)
        if asked:
            return asked
        if reason.earlier > 0.0:
            return self._say(_EARLIER)
        return self._say(_BY_ITSELF.get(_strongest(candidate), _NOTHING))

    # -- of an event ---------------------------------------------------------------------------------------------------

    def _because(self, moved: Moved) -> str:
        did, link = self.did(moved), self.link(moved)
        return self._say(_BECAUSE_OF, did, link) if link else self._say(_BECAUSE, did)

    def did(self, moved: Moved) -> str:
        """What the person did: "watched Alien (1979)"."""
        typed = moved.item is None
        of = self._quoted([moved.words or ""]) if typed else self._named(moved.title or moved.item or "")
        known = _TYPED.get(moved.action, _ANY_TYPED) if typed else _ACTIONS.get(moved.action, _ANY_ACTION)
        said = self.said.get(moved.action, {}).get(self.language) or known[_place(self.language)]
        before, found, after = said.partition("{}")
        return f"{before}{of}{after}" if found else self._say(("{} {}", "{}{}"), said, of)

    def link(self, moved: Moved) -> str:
        """How the two belong together, as far as that is what moved the score."""
        if moved.item is not None and moved.through in _BY_COUNTS:
            return self._say(_BY_COUNTS[moved.through])
        return self.both(moved) if moved.item is None or moved.through in _BY_CONTENT else ""

    def both(self, moved: Moved) -> str:
        """What the two share, whether or not that moved the score."""
        return self._holds(moved.shared) if moved.item is None else self._both(moved.shared)

    def told(self, moved: Moved) -> dict[str, list[str]]:
        """Of all that is shared, what `both` tells."""
        name = "" if not moved.shared else next(iter(moved.shared)) if moved.item is None else _foremost(moved.shared)
        return {name: moved.shared[name]} if name else {}

    # -- of what the question names ------------------------------------------------------------------------------------

    def _asked(self, reason: Reason, candidate: Candidate) -> str:
        about, strongest = reason.about or "", _strongest(candidate)
        if "words" in candidate.terms:
            if reason.shared:
                return self._say(_ITSELF, _begun(self._holds(reason.shared)))
            return self._say(_NEAR, self._quoted([about])) if candidate.terms.get("text", 0.0) > 0.0 else ""
        if strongest in _CHOSEN:
            return self._say(_CHOSEN[strongest], self._named(about))
        return self._say(_LIKE, self._named(about), self._both(reason.shared)) if reason.shared else ""

    # -- of what is shared ---------------------------------------------------------------------------------------------

    def _both(self, shared: Mapping[str, Sequence[str]]) -> str:
        """What two items share: what they are, before what they have, before words of their titles."""
        if not shared:
            return ""
        name = _foremost(shared)
        if name == TITLE:
            return self._say(("both titles have {}", "标题都有{}"), self._quoted(shared[name]))
        if name.casefold() in KINDS:
            return self._say(("both are {}", "同属{}"), self.listed(shared[name]))
        return self._say(("the same {}, {}", "{}相同：{}"), self._field(name), self.listed(shared[name]))

    def _holds(self, shared: Mapping[str, Sequence[str]]) -> str:
        """Which words that were typed stand in the item."""
        for name, values in shared.items():
            return self._say(("its {} has {}", "{}有{}"), self._field(name), self._quoted(values))
        return ""

    # -- pieces --------------------------------------------------------------------------------------------------------

    def _named(self, title: str) -> str:
        return self._say(("{}", "《{}》"), title)

    def _field(self, name: str) -> str:
        return _IN_CHINESE.get(name.casefold(), name) if self.language == "zh" else name.replace("_", " ")

    def _quoted(self, texts: Sequence[str]) -> str:
        return self.listed([f"“{text}”" for text in texts])

    def listed(self, values: Sequence[str]) -> str:
        """Values one after the other: "Horror and Sci-Fi"."""
        if self.language == "zh":
            return "、".join(values)
        return " and ".join(filter(None, (", ".join(values[:-1]), values[-1])))

    def _say(self, both: tuple[str, str], *parts: str) -> str:
        """A phrase, English or Chinese, with what belongs into its places; braces inside of that are only text."""
        return both[_place(self.language)].format(*parts)


def _place(language: Language) -> int:
    return 1 if language == "zh" else 0


def _foremost(shared: Mapping[str, Sequence[str]]) -> str:
    return min(shared, key=lambda one: 0 if one.casefold() in KINDS else 2 if one == TITLE else 1)


def _strongest(candidate: Candidate) -> str:
    """The feature that speaks most for an item; empty where none does."""
    name = max(candidate.terms, key=lambda one: candidate.terms[one], default="")
    return name if candidate.terms.get(name, 0.0) > 0.0 else ""


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]
