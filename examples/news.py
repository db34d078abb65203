"""A news site in one process: visitors without a name, articles that are seconds old, sections that take turns.

penchant init --preset news --data news
python examples/news.py news
"""

import sys
import time

from penchant import Engine, Event, Item, Policy, Query, Slate

HOUR = 3600.0
ARTICLES = [
    ("cup", "The national team reaches the final after penalties", "sport", 30.0),
    ("marathon", "Kenyan runner breaks the marathon record", "sport", 6.0),
    ("transfer", "Striker moves to Madrid for a record fee", "sport", 3.0),
    ("rates", "Central bank raises interest rates again", "business", 5.0),
    ("chips", "Chip maker's shares fall after a weak forecast", "business", 2.0),
    ("housing", "House prices fall for the third month", "business", 20.0),
    ("comet", "A comet becomes visible to the naked eye", "science", 9.0),
    ("whales", "Whales return to the bay after forty years", "science", 4.0),
    ("opera", "A young soprano triumphs at the opera", "culture", 7.0),
    ("film", "Festival opens with a three-hour silent film", "culture", 1.0),
]


def article(name: str, title: str, section: str, hours: float) -> Event:
    """An article that was published so many hours ago."""
    return Item(id=name, fields={"title": title, "section": section}, time=time.time() - hours * HOUR).event()


def show(what: str, slate: Slate) -> None:
    print(f"{what}:", ", ".join(one.item for one in slate.items))


def main(folder: str) -> None:
    with Engine.open(folder) as engine:
        engine.ingest([article(*one) for one in ARTICLES])
        engine.wait_for_items()

        visitor = "s.5f2c"  # of a cookie: nobody has to log in
        show("a newcomer", engine.recommend(Query(user=visitor, limit=5)))
        engine.ingest([Event(user=visitor, action="read", item=name) for name in ("cup", "marathon")])
        show("after two pieces on sport", engine.recommend(Query(user=visitor, limit=5)))

        varied = Policy(diversity=0.3, caps={"section": 2})
        show("two of a section at most", engine.recommend(Query(user=visitor, limit=5, policy=varied)))

        engine.ingest([article("final", "Goalkeeper injured before the final of the national team", "sport", 0.0)])
        engine.wait_for_items()
        slate = engine.recommend(Query(user=visitor, limit=5, policy=varied))
        show("and seconds after a new one", slate)

        engine.ingest([Event(kind="alias", session=visitor, user="ann")])  # a login: one person from now on
        again = engine.recommend(Query(user="ann", limit=5, policy=varied))
        show("Ann, who has logged in", again)
        show(
            "and does not care for sport today",
            engine.recommend(Query(user="ann", limit=5, filter='section != "sport"')),
        )

        receipt = engine.ingest([Event(kind="erasure", user="ann")])
        print("erased:", [(proof.events, proof.counts) for proof in receipt.erased])
        show("Ann is a newcomer again", engine.recommend(Query(user="ann", limit=5)))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "news")
