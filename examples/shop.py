"""A shop in one process: what a visitor should see next, under the rules and wishes of the merchandisers.

penchant init --preset shop --data shop
python examples/shop.py shop
"""

import sys

from penchant import Auction, Engine, Event, Item, Pin, Policy, Promotion, Query, Slate

PRODUCTS = [
    ("tent", "Two-person trekking tent", "Nordvik", 189.0, ["camping"]),
    ("bag", "Down sleeping bag for cold nights", "Nordvik", 149.0, ["camping"]),
    ("mat", "Inflatable sleeping mat", "Basics", 39.0, ["camping"]),
    ("stove", "Gas camping stove", "Ember", 45.0, ["camping", "cooking"]),
    ("lamp", "Rechargeable camping lantern", "Ember", 29.0, ["camping", "light"]),
    ("boots", "Waterproof hiking boots", "Nordvik", 129.0, ["shoes"]),
    ("pan", "Cast iron frying pan", "Ember", 49.0, ["cooking", "kitchen"]),
    ("kettle", "Electric kettle, 1.7 litres", "Basics", 25.0, ["kitchen"]),
    ("knife", "Chef's knife, 20 cm", "Sharp", 79.0, ["cooking", "kitchen"]),
    ("mixer", "Stand mixer with dough hook", "Sharp", 299.0, ["kitchen"]),
    ("whisky", "Single malt whisky, 12 years", "Glen", 55.0, ["drinks", "alcohol"]),
    ("card", "Gift card", "Basics", 20.0, ["gifts"]),
]

RULE = 'stock > 0 and not ("alcohol" in tags and person.age < 18)'  # unknown age: not shown


def catalogue() -> list[Event]:
    return [
        Item(id=name, fields={"title": title, "brand": brand, "price": price, "tags": tags, "stock": 5}).event()
        for name, title, brand, price, tags in PRODUCTS
    ]


def show(what: str, slate: Slate) -> None:
    print(f"{what}:", ", ".join(f"{one.item}{f' ({one.placed})' if one.placed else ''}" for one in slate.items))


def main(folder: str) -> None:
    with Engine.open(folder) as engine:
        engine.ingest(catalogue())
        engine.wait_for_items()  # their texts are read; a server would go on meanwhile
        engine.ingest([Event(kind="user", user="ann", fields={"age": 16})])

        ann = Query(user="ann", limit=5, filter=RULE, track=True)
        engine.ingest([Event(user="ann", action="view", item="tent")])
        show("Ann looked at a tent", engine.recommend(ann))

        engine.ingest([Event(user="ann", action="search", words="cooking at home")])
        show("and searched for cooking at home", engine.recommend(ann))

        ann.policy = Policy(
            caps={"brand": 2},
            pins=(Pin("card", 1),),
            promotions=(Promotion(filter='brand == "Basics" and price < 50', boost=0.2, at_least=2),),
            sponsored=Auction(slots=(3,), bids={"knife": 0.40, "pan": 0.35, "whisky": 9.0}),
        )
        slate = engine.recommend(ann)
        show("as the merchandisers want it", slate)
        for one in slate.items:
            if one.sponsorship:
                print(f"the sponsor of {one.item} bids {one.sponsorship.bid:.2f}, pays {one.sponsorship.price:.2f}")

        engine.ingest([Event(user="ann", action="buy", item=slate.items[2].item)])
        done = engine.slate(slate.id or "").done
        print("what Ann did about it:", [(one.item, one.place, one.reward) for one in done])
        engine.ingest([Event(kind="item", item="pan", fields={"title": "Cast iron frying pan", "stock": 0})])
        show("and with no pan left", engine.recommend(ann))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "shop")
