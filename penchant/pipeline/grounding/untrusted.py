"""Text of a catalogue that speaks to whoever writes or reads, instead of telling of the item.

Notable: it is recognised by what it holds (links, addresses, telephone numbers, markup, words for language models)
and, sentence by sentence, by how it begins. That is a list, and a list has gaps. What gets past is still only evidence
for single words, never something that is obeyed: a text is made of facts and reviewed words, whatever a field asks.

Does not know: fields, facts.
"""

from __future__ import annotations

import re

_HOSTILE = re.compile(
    r"https?:|www\.|\w@\w|\b\w+\.(?:com|net|org|io|cn|biz|info)\b|[<>{}`|\\]|\[/?\w+\]|"
    r"\+\d[\d\s().-]{7,}\d|\b\d{3}[-. ]\d{3,4}[-. ]\d{4}\b|(?<!\d)1[3-9]\d{9}(?!\d)|"
    r"(?:ignore|disregard|forget|override)\b.{0,40}\b(?:previous|prior|above|instruction|prompt|rule|everything|all)|"
    r"\b(?:system|developer|hidden)\s*(?:prompt|message|instruction)|\byou (?:must|are now|should now)\b|\bas an ai\b|"
    r"\b(?:assistant|chatgpt|llm|language model)\b|"
    r"忽略.{0,12}(?:指令|提示|要求|内容|规则)|系统提示|你必须|你现在是|无视|请(?:输出|写|说|告诉|回答|推荐)",
    re.IGNORECASE,
)
_SPEAKS = re.compile(
    r"^\W*(?:(?:please|always|now|do not|don't|never)\s+)*"
    r"(?:say|tell|write|mention|recommend|describe|claim|state|respond|reply|answer|output|print|repeat|translate|"
    r"pretend|act|call|click|visit|contact|follow|subscribe|email|insert|append|include|replace|change|note to)\b|"
    r"^(?:务必|必须|一定要|请)",
    re.IGNORECASE,
)


def hostile(text: str) -> bool:
    """That a text holds a link, an address, markup, or words for whoever writes from it."""
    return bool(_HOSTILE.search(text))


def commands(sentence: str) -> bool:
    """That a sentence of a long text is hostile, or begins as an order to somebody."""
    return hostile(sentence) or bool(_SPEAKS.search(sentence))
