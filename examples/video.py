"""A video service: what to watch next, what to go on with, what one would rate, and what words find.

penchant init --preset video --data video
python examples/video.py video
"""

import sys

from penchant import Engine, Event, Item, Policy, Query, Slate

FILMS = [
    ("alien", "Alien", "A crew meets a deadly creature aboard a spaceship", ["Horror", "Science Fiction"], 1979),
    ("moon", "Moon", "A lonely astronaut on a lunar mining base", ["Science Fiction", "Drama"], 2009),
    ("gravity", "Gravity", "Two astronauts are stranded in orbit", ["Science Fiction", "Thriller"], 2013),
    ("arrival", "Arrival", "A linguist learns the language of visitors from space", ["Science Fiction"], 2016),
    ("heat", "Heat", "A detective hunts a crew of bank robbers", ["Crime", "Thriller"], 1995),
    ("seven", "Seven", "Two detectives follow a serial killer", ["Crime", "Thriller"], 1995),
    ("amelie", "Amelie", "A shy waitress in Paris makes others happy", ["Romance", "Comedy"], 2001),
    ("before", "Before Sunrise", "Two strangers fall in love in one night in Vienna", ["Romance"], 1995),
    ("up", "Up", "An old man flies his house to the jungle with balloons", ["Animation", "Comedy"], 2009),
    ("coco", "Coco", "A boy finds his family in the land of the dead", ["Animation", "Music"], 2017),
]
PEOPLE = {  # who rated what, so that Ann has somebody to be compared with
    "space": {"alien": 4, "moon": 5, "gravity": 5, "arrival": 5, "amelie": 2, "before": 1},
    "stars": {"alien": 5, "moon": 4, "gravity": 5, "arrival": 4, "amelie": 1, "up": 3},
    "hearts": {"alien": 1, "moon": 2, "amelie": 5, "before": 5, "up": 4, "coco": 5},
}


def rated(person: str, film: str, stars: float) -> Event:
    return Event(user=person, action="rate", item=film, value=float(stars))


def show(what: str, slate: Slate) -> None:
    print(f"{what}:", ", ".join(one.item for one in slate.items))


def main(folder: str) -> None:
    with Engine.open(folder) as engine:
        engine.ingest(
            Item(id=name, fields={"title": title, "plot": plot, "genres": genres, "year": year}).event()
            for name, title, plot, genres, year in FILMS
        )
        engine.wait_for_items()
        engine.ingest(rated(person, film, stars) for person, its in PEOPLE.items() for film, stars in its.items())

        engine.ingest([Event(user="ann", action="play", item="moon")])
        show("Ann watched Moon", engine.recommend(Query(user="ann", limit=4)))
        show("something else, too", engine.recommend(Query(user="ann", limit=4, policy=Policy(diversity=0.6))))
        show("go on with", engine.recommend(Query(user="ann", limit=1, filter="seen(30d)", seen="allow")))
        show("like Heat", engine.similar("heat", Query(limit=2)))
        show("love in Paris", engine.search(Query(user="ann", words="love in Paris", limit=2)))
        show("from the nineties", engine.recommend(Query(user="ann", limit=5, filter="1990 <= year < 2000")))

        engine.ingest([rated("ann", "alien", 5), rated("ann", "amelie", 2)])
        foretold = engine.rank(["gravity", "before"], Query(user="ann"))
        for one in foretold.items:
            print(f"Ann would give {one.item} {one.rating:.1f} stars" if one.rating else f"{one.item}: nobody knows")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "video")
