"""Files become events. Each test is a tiny file with a known answer; real data only where PENCHANT_DATA names it."""

from __future__ import annotations

import csv
import gzip
import os
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penchant import Corrupt, Event, InvalidInput, NotFound
from penchant.serving.importers import Part, Refused, Wish, fingerprint, plan, read, survey, write_refused

DATA = Path(os.environ.get("PENCHANT_DATA", ""))
real = pytest.mark.skipif("PENCHANT_DATA" not in os.environ, reason="PENCHANT_DATA does not name the real data")


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def events(part: Part) -> list[Event]:
    return [made for _, made in read(part) if isinstance(made, Event)]


def refused(part: Part) -> list[Refused]:
    return [made for _, made in read(part) if isinstance(made, Refused)]


def only(path: Path, **told: object) -> Part:
    parts = plan(path, **told)  # type: ignore[arg-type]
    assert len(parts) == 1
    return parts[0]


def movielens_1m(folder: Path) -> Path:
    write(
        folder / "movies.dat",
        "1::Toy Story (1995)::Animation|Children's|Comedy",
        "2::Matrix, The (1999)::Action|Sci-Fi",
        "73::Misérables, Les (1995)::Drama|Musical",
        encoding="latin-1",
    )
    write(folder / "users.dat", "1::F::1::10::02460", "2::M::56::16::70072")
    write(folder / "ratings.dat", "1::1::5::978300760", "1::2::3::978300000", "2::1::4::978300000")
    write(
        folder / "plots.csv",
        "movie_id,title,year,rated,genres,director,actors,plot",
        '2,The Matrix,1999,R,Action,"Lana Wachowski, Lilly Wachowski","Keanu Reeves, X Y","A ""hacker"" wakes."',
        "1,Toy Story,1995,G,Comedy,N/A,,Toys live.",
    )
    write(folder / "item_map.csv", "item_idx,movie_id", "1,1")
    return folder


# -- MovieLens -------------------------------------------------------------------------------------------------------


def test_items_come_first_then_users_then_events(tmp_path: Path) -> None:
    parts = plan(movielens_1m(tmp_path))
    assert [(part.name, part.what) for part in parts] == [
        ("movies.dat", "items"),
        ("users.dat", "users"),
        ("ratings.dat", "events"),
    ]
    assert parts[2].mapping == {
        "user": "UserID",
        "item": "MovieID",
        "value": "Rating",
        "time": "Timestamp (seconds)",
        "action": '"rate"',
    }


def test_a_movie_has_a_readable_title_a_year_genres_and_what_the_plots_beside_it_say(tmp_path: Path) -> None:
    toys, matrix, miserables = events(plan(movielens_1m(tmp_path))[0])
    assert matrix.kind == "item"
    assert matrix.item == "2"
    assert matrix.fields == {
        "title": "The Matrix",
        "year": 1999,
        "genres": ["Action", "Sci-Fi"],
        "director": "Lana Wachowski, Lilly Wachowski",
        "actors": ["Keanu Reeves", "X Y"],
        "plot": 'A "hacker" wakes.',
    }
    assert toys.fields == {
        "title": "Toy Story",
        "year": 1995,
        "genres": ["Animation", "Children's", "Comedy"],
        "plot": "Toys live.",
    }
    assert miserables.fields["title"] == "Les Misérables"


def test_a_profile_keeps_the_zero_of_its_zip_and_names_the_occupation(tmp_path: Path) -> None:
    first = events(plan(movielens_1m(tmp_path))[1])[0]
    assert first.kind == "user"
    assert first.user == "1"
    assert first.fields == {"gender": "F", "age": 1, "occupation": "K-12 student", "zip": "02460"}


def test_ratings_come_in_time_order_equal_times_in_file_order_with_their_row_numbers(tmp_path: Path) -> None:
    made = list(read(plan(movielens_1m(tmp_path))[2]))
    assert [row for row, _ in made] == [2, 3, 1]
    first = made[0][1]
    assert isinstance(first, Event)
    assert (first.user, first.item, first.action, first.value, first.time) == ("1", "2", "rate", 3.0, 978300000.0)


def test_of_a_movielens_folder_only_its_own_files_are_taken_and_the_others_named(tmp_path: Path) -> None:
    parts, left_out = survey(movielens_1m(tmp_path), Wish())
    assert len(parts) == 3
    assert set(left_out) == {"plots.csv", "item_map.csv"}


@pytest.mark.parametrize(
    ("given", "title", "year"),
    [
        ("Postino, Il (The Postman) (1994)", "Il Postino (The Postman)", 1994),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children (La Cité des enfants perdus)",
            1995,
        ),
        ("Star Maker, The (Uomo delle stelle, L') (1995)", "The Star Maker (L'Uomo delle stelle)", 1995),
        ("Associate, The (L'Associe)(1982)", "The Associate (L'Associe)", 1982),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly", 1966),
        ("Fawlty Towers (1975-1979)", "Fawlty Towers", 1975),
        ("2001: A Space Odyssey", "2001: A Space Odyssey", None),
    ],
)
def test_titles_are_written_as_people_search_them(tmp_path: Path, given: str, title: str, year: int | None) -> None:
    fields = events(only(write(tmp_path / "movies.dat", f"1::{given}::Drama")))[0].fields
    assert (fields["title"], fields.get("year")) == (title, year)


def test_the_100k_files_have_genres_in_columns_of_ones(tmp_path: Path) -> None:
    flags = ["0"] * 19
    flags[3] = flags[5] = "1"
    write(tmp_path / "u.item", "|".join(["1", "Toy Story (1995)", "01-Jan-1995", "", "http://x", *flags]))
    write(tmp_path / "u.user", "1|24|M|technician|85711")
    write(tmp_path / "u.data", "196\t242\t3\t881250949")
    items, users, ratings = plan(tmp_path)
    assert events(items)[0].fields == {"title": "Toy Story", "year": 1995, "genres": ["Animation", "Comedy"]}
    assert events(users)[0].fields == {"age": 24, "gender": "M", "occupation": "technician", "zip": "85711"}
    one = events(ratings)[0]
    assert (one.user, one.item, one.value, one.time) == ("196", "242", 3.0, 881250949.0)


def test_the_csv_of_the_large_sets_is_understood(tmp_path: Path) -> None:
    write(
        tmp_path / "movies.csv",
        "movieId,title,genres",
        '11,"American President, The (1995)",Comedy|Drama',
        "12,Untold (2001),(no genres listed)",
    )
    write(tmp_path / "ratings.csv", "userId,movieId,rating,timestamp", "1,11,3.5,1147868817")
    write(tmp_path / "tags.csv", "userId,movieId,tag,timestamp", "1,11,politics,1147868817")
    items, ratings = plan(tmp_path)
    assert [event.fields for event in events(items)] == [
        {"title": "The American President", "year": 1995, "genres": ["Comedy", "Drama"]},
        {"title": "Untold", "year": 2001},
    ]
    assert events(ratings)[0].value == 3.5


def test_the_tab_separated_files_with_typed_columns_are_understood(tmp_path: Path) -> None:
    write(
        tmp_path / "x.item",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
        '1\tToy "Story\t1995\tAnimation Comedy',
    )
    write(tmp_path / "x.user", "user_id:token\tage:token\tzip_code:token", "1\t24\t85711", "2\t53\t02460")
    write(tmp_path / "x.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float", "1\t1\t3\t881250949")
    items, users, ratings = plan(tmp_path)
    assert events(items)[0].fields == {"title": 'Toy "Story', "year": 1995, "genres": ["Animation", "Comedy"]}
    assert events(users)[1].fields == {"age": 53, "zip_code": "02460"}
    assert events(ratings)[0].action == "rate"


# -- guesses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "unit", "seconds"),
    [
        ("1577836800", "seconds", 1577836800.0),
        ("1577836800.25", "seconds", 1577836800.25),
        ("1577836800500", "milliseconds", 1577836800.5),
        ("1577836800500000", "microseconds", 1577836800.5),
        ("1577836800500000000", "nanoseconds", 1577836800.5),
        ("2020-01-01", "ISO 8601", 1577836800.0),
        ("20200101", "ISO 8601", 1577836800.0),
        ("2020-01-01 00:00:00 UTC", "ISO 8601", 1577836800.0),
        ("2020-01-01T01:00:00.500+01:00", "ISO 8601", 1577836800.5),
        ("2020-01-01T00:00:00Z", "ISO 8601", 1577836800.0),
        ("31.12.2019", "day/month/year", 1577750400.0),
        ("31/12/2019 13:05", "day/month/year", 1577797500.0),
        ("12/31/2019 1:05:10 PM", "month/day/year", 1577797510.0),
        ("12/31/2019 12:00:00 am", "month/day/year", 1577750400.0),
    ],
)
def test_the_unit_of_time_is_recognised_and_shown(tmp_path: Path, written: str, unit: str, seconds: float) -> None:
    part = only(write(tmp_path / "log.csv", "uid,sku,ts", f"u,i,{written}", f"u,j,{written}"))
    assert part.mapping == {"user": "uid", "item": "sku", "time": f"ts ({unit})", "action": '"click"'}
    assert events(part)[0].time == pytest.approx(seconds)


def test_where_day_and_month_could_be_either_it_must_be_told(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item,date", "u,i,11/12/2019", "u,j,03/04/2019", "u,k,31/31/2019")
    with pytest.raises(InvalidInput, match="day/month/year") as error:
        plan(path)
    assert error.value.value == "'11/12/2019'"
    told = only(path, mapping={"time": "date (day/month/year)"})
    assert [event.item for event in events(told)] == ["j", "i"]
    assert [bad.value for bad in refused(told)] == ["31/31/2019"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    lines = ["customer_id,product_id,event_type,event_time", "u,i,view,1577836800"]
    part = only(write(tmp_path / "log.txt", *(line.replace(",", delimiter) for line in lines)))
    one = events(part)[0]
    assert (one.user, one.item, one.action, one.time) == ("u", "i", "view", 1577836800.0)


def test_a_rating_makes_rate_a_quantity_buy_and_neither_click(tmp_path: Path) -> None:
    rate = only(write(tmp_path / "a.csv", "user,item,rating", "u,i,4.5"))
    buy = only(write(tmp_path / "b.csv", "user,item,quantity", "u,i,2"))
    click = only(write(tmp_path / "c.csv", "user,item", "u,i"))
    told = only(write(tmp_path / "d.csv", "user,item", "u,i"), action="view")
    assert [events(part)[0].action for part in (rate, buy, click, told)] == ["rate", "buy", "click", "view"]
    assert [events(part)[0].value for part in (rate, buy, click)] == [4.5, 2.0, None]


def test_items_need_no_user_and_their_other_columns_become_fields(tmp_path: Path) -> None:
    part = only(
        write(
            tmp_path / "goods.csv",
            ",asin,title,price,tags,sizes,code,empty",
            '0,B1,300,9.5,a|b,"[""S"", ""M""]",007,',
            "1,B2,Blue | Green,12,c,[],12,nan",
        )
    )
    assert part.what == "items"
    assert part.mapping == {"item": "asin", "fields": "title, price, tags, sizes, code, empty"}
    one, two = events(part)
    assert one.fields == {"title": "300", "price": 9.5, "tags": ["a", "b"], "sizes": ["S", "M"], "code": "007"}
    assert two.fields == {"title": "Blue | Green", "price": 12, "tags": ["c"], "code": "12"}
    assert isinstance(two.fields["price"], int)


def test_users_need_no_item(tmp_path: Path) -> None:
    by_column = only(write(tmp_path / "x.csv", "household_id,income", "7,35-49K"))
    by_name = only(write(tmp_path / "customers.csv", "id,city", "7,Oslo"))
    assert [part.what for part in (by_column, by_name)] == ["users", "users"]
    assert events(by_name)[0].fields == {"city": "Oslo"}


def test_a_search_without_an_item_is_an_event_with_words(tmp_path: Path) -> None:
    part = only(write(tmp_path / "s.csv", "user,query,item", "u,red shoes,", "u,,i", "u,,"), action="search")
    assert [(event.words, event.item) for event in events(part)] == [("red shoes", None), (None, "i")]
    assert [bad.field for bad in refused(part)] == ["item"]


def test_a_user_column_that_is_mostly_empty_gives_way_to_the_next(tmp_path: Path) -> None:
    part = only(write(tmp_path / "w.csv", "user_id,visitor_id,item", ",v1,i", ",v2,i", "u,v3,i"))
    assert part.mapping["user"] == "visitor_id"


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    part = only(
        write(
            tmp_path / "i.jsonl",
            '{"sku": 7, "name": "300", "price": 3, "tags": ["a"], "maker": {"x": 1}}',
            '{"sku": 8, "name": null, "tags": []}',
        )
    )
    assert [event.item for event in events(part)] == ["7", "8"]
    assert events(part)[0].fields == {"name": "300", "price": 3, "tags": ["a"], "maker": '{"x":1}'}
    assert events(part)[1].fields == {}


def test_json_that_is_too_deep_or_too_big_harms_only_its_row(tmp_path: Path) -> None:
    big, deep = '{"sku": 1, "x": ' + "9" * 30 + "}", '{"sku": 2, "x": ' + "[" * 99_999
    path = write(tmp_path / "i.jsonl", big, deep, '{"sku": 3}')
    part = only(path)
    assert [event.fields for event in events(part)] == [{"x": "9" * 30}, {}]
    assert [bad.row for bad in refused(part)] == [2]


def test_json_lines_of_interactions_are_guessed_like_a_table(tmp_path: Path) -> None:
    part = only(
        write(
            tmp_path / "e.jsonl",
            '{"userId": 5, "itemId": "i", "ts": 1577836800500, "event": "view"}',
            "",
            '{"userId": 5, "itemId": "j", "ts": 1577836800000, "event": "buy"}',
            "{broken",
        )
    )
    assert part.mapping["time"] == "ts (milliseconds)"
    assert [(row, made.item) for row, made in read(part) if isinstance(made, Event)] == [(2, "j"), (1, "i")]
    assert [(bad.row, bad.line, bad.field) for bad in refused(part)] == [(3, "{broken", "line")]


def test_json_lines_that_are_events_pass_as_they_are(tmp_path: Path) -> None:
    sent = [
        Event(user="u", action="view", item="i", time=20.0, id="mine"),
        Event(kind="item", item="i"),
        Event(kind="erasure", user="v", time=10.0),
        Event(user="u", action="buy", item="i"),
    ]
    part = only(write(tmp_path / "e.ndjson", *(msgspec.json.encode(event).decode() for event in sent), '{"x": 1}'))
    made = list(read(part))
    assert part.what == "events"
    assert [row for row, _ in made] == [2, 3, 1, 4, 5]
    assert [one.id for _, one in made if isinstance(one, Event)][2] == "mine"
    assert made[1][1] == msgspec.structs.replace(sent[2], id=events(part)[1].id)
    assert isinstance(made[4][1], Refused)


def test_events_whose_time_is_in_milliseconds_are_not_taken_as_they_are(tmp_path: Path) -> None:
    part = only(write(tmp_path / "e.jsonl", '{"user": "u", "action": "view", "item": "i", "time": 1577836800000}'))
    assert events(part)[0].time == 1577836800.0


def test_gzipped_files_are_read_in_time_order_too(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("user,item,time\nu,a,30\nu,b,10\nu,c,20\n")
    assert [event.item for event in events(only(path))] == ["b", "c", "a"]
    assert [part.name for part in plan(tmp_path)] == ["log.csv.gz"]


def test_a_byte_order_mark_blank_lines_and_windows_ends_of_line_are_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\nuser,item\r\n\r\nu,i\r\n")
    part = only(path)
    assert part.mapping["user"] == "user"
    assert [(row, made.user, made.item) for row, made in read(part) if isinstance(made, Event)] == [(1, "u", "i")]


def test_a_line_that_is_not_utf_8_is_read_as_windows_text(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_bytes("sku,title\n1,naïve\n".encode() + "2,women’s café\n".encode("cp1252"))
    assert [event.fields["title"] for event in events(only(path))] == ["naïve", "women’s café"]


# -- what the person says --------------------------------------------------------------------------------------------


def test_a_wrong_guess_can_be_overridden(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "user,item,wer,was,wann,store", "0,0,u,i,1000,9")
    part = only(
        path,
        mapping={
            "user": "wer",
            "item": "was",
            "time": "wann (milliseconds)",
            "action": '"like"',
            "context.shop": "store",
        },
    )
    one = events(part)[0]
    assert (one.user, one.item, one.time, one.action, one.context) == ("u", "i", 1.0, "like", {"shop": 9})


def test_a_shown_mapping_can_be_handed_back(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "uid,sku,ts,event", "u,i,1577836800,view")
    part = only(path)
    assert only(path, mapping=part.mapping) == part


def test_the_person_says_what_a_file_is_and_which_fields_to_keep(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "user,item,title,note", "seller,i,T,n")
    part = only(path, what="items", mapping={"fields": "title, user"})
    assert events(part)[0].fields == {"user": "seller", "title": "T"}


def test_an_empty_column_switches_a_guess_off(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "user,item,time,rating", "u,i,noon,high")
    with pytest.raises(InvalidInput, match="time=") as error:
        plan(path)
    assert (error.value.field, error.value.value) == ("time", "'noon'")
    assert events(only(path, mapping={"time": ""}))[0].time is None


def test_without_sorting_the_order_of_the_file_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "user,item,time", "u,a,30", "u,b,10")
    assert [event.item for event in events(only(path, sort=False))] == ["a", "b"]


@pytest.mark.parametrize(
    ("mapping", "field", "way_out"),
    [
        ({"who": "a"}, "mapping", "Use one of user"),
        ({"user": "nobody"}, "user", "There are u, i"),
        ({"time": "nobody (seconds)"}, "time", "There are u, i"),
        ({"user": "", "fields": "nobody"}, "fields", "There are u, i"),
        ({"fields": "u"}, "fields", "context"),
        ({"user": "", "value": "u"}, "value", "Use item"),
        ({"user": "", "item": ""}, "user", "user=COLUMN"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(tmp_path: Path, mapping: dict[str, str], field: str, way_out: str) -> None:
    path = write(tmp_path / "x.csv", "u,i,user,item", "1,2,3,4")
    with pytest.raises(InvalidInput, match=way_out) as error:
        plan(path, mapping=mapping)
    assert error.value.field == field


# -- what cannot be read ---------------------------------------------------------------------------------------------


def test_a_gzipped_file_that_is_cut_off_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"user,item\n" + b"".join(b"u,%d\n" % n for n in range(99)))[:-40])
    with pytest.raises(Corrupt, match="Fetch it again"):
        plan(path)


@pytest.mark.parametrize(
    ("content", "way_out"),
    [
        (b"", "CSV or TSV with a header"),
        (b"hello\nworld\n", "JSON lines"),
        (b"PK\x03\x04rest", "Unzip it"),
        (b"\x89PNG\x00\x00", "UTF-8"),
        (b'[{"user": 1}]', "one object a line"),
        (b'{\n "user": 1\n}', "one object a line"),
        (b"a,b\n1,2\n", "user=COLUMN"),
        (b"user,item\n", "header line"),
        (b"N1,news,x\nN2,news,y\nN3,news,z\n", "line of names"),
        (b"item,shown\na,1\nb,1\na,2\nb,2\n", "user=COLUMN"),
    ],
)
def test_an_unknown_format_is_refused_with_the_way_out(tmp_path: Path, content: bytes, way_out: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=way_out) as error:
        plan(path)
    assert error.value.field
    assert error.value.way_out


def test_a_folder_says_which_files_it_leaves_out_and_one_without_tables_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "weather.csv", "day,rain", "1,2")
    with pytest.raises(InvalidInput, match=r"weather\.csv: no column"):
        plan(tmp_path)
    write(tmp_path / "goods.csv", "sku,title", "1,x")
    parts, left_out = survey(tmp_path, Wish())
    assert [part.name for part in parts] == ["goods.csv"]
    assert "user=COLUMN" in left_out["weather.csv"]
    with pytest.raises(InvalidInput, match="one by one"):
        plan(tmp_path, what="items")
    with pytest.raises(NotFound):
        plan(tmp_path / "nowhere")


def test_of_two_files_of_events_the_older_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "april.csv", "user,item,time", "u,a,2020-04-01")
    write(tmp_path / "march.csv", "user,item,time", "u,a,2020-03-01")
    assert [part.name for part in plan(tmp_path)] == ["march.csv", "april.csv"]


def test_bad_rows_are_kept_with_their_reason_and_the_reading_goes_on(tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.csv",
        "user,item,rating,time",
        "u,i,4,10",
        ",i,4,10",
        "None,i,4,10",
        "u,,4,10",
        "u,i,nan,10",
        "u,i,much,10",
        "u,i,4,later",
        "u,i,4",
        "u,i,4,10,x",
        'u,"i"x,4,10',
        *["u,j,5,20"] * 20,
    )
    part = only(path)
    assert [(bad.row, bad.field, bad.value) for bad in refused(part)] == [
        (2, "user", ""),
        (3, "user", "None"),
        (4, "item", ""),
        (5, "value", "nan"),
        (6, "value", "much"),
        (7, "time", "later"),
        (8, "columns", "3"),
        (9, "columns", "5"),
        (10, "line", 'u,"i"x,4,10'),
    ]
    assert len(events(part)) == 21
    assert refused(part)[5].line == "u,i,4,later"
    assert "seconds" in refused(part)[5].detail


def test_bad_rows_of_a_file_that_must_be_sorted_are_kept_too(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item,time", "u,a,30", "u,b,never", 'u,"c', "u,d,10", *["u,e,40"] * 20)
    made = list(read(only(path)))
    assert [row for row, _ in made] == [4, 1, *range(5, 25), 2, 3]
    assert [one.line for _, one in made if isinstance(one, Refused)] == ["u,b,never", 'u,"c']


def test_an_open_quote_does_not_swallow_the_rows_behind_it(tmp_path: Path) -> None:
    path = write(tmp_path / "goods.csv", "sku,title", '1,"open', "2,x", '3,"two', 'lines"', '4,6" pipe')
    part = only(path)
    assert [(event.item, event.fields["title"]) for event in events(part)] == [
        ("2", "x"),
        ("3", "two\nlines"),
        ("4", '6" pipe'),
    ]
    assert [(bad.row, bad.line) for bad in refused(part)] == [(1, '1,"open')]


def test_rows_of_several_lines_are_sorted_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,query,time", 'u,"second', 'of ""two""",20', "u,first,10", "", "")
    assert [event.words for event in events(only(path))] == ["first", 'second\nof "two"']


def test_a_time_in_another_unit_than_the_files_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item,time", *["u,i,1577836800"] * 20, "u,i,1577836800000", "u,i,-5")
    found = refused(only(path))
    assert [bad.value for bad in found] == ["1577836800000", "-5"]
    assert found[0].detail == "a time is expected (seconds), and this looks like milliseconds"
    assert found[1].detail == "a time is expected (seconds)"


def test_refused_rows_are_written_down(tmp_path: Path) -> None:
    part = only(write(tmp_path / "log.csv", "user,item", "u,i", ",i"))
    out = tmp_path / "refused.csv"
    assert write_refused(out, refused(part)) == 1
    with out.open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"row": "2", "field": "user", "value": "", "detail": "nobody is named", "line": ",i"}
        ]
    assert write_refused(tmp_path / "none.csv", ()) == 0
    assert not (tmp_path / "none.csv").exists()


# -- again -----------------------------------------------------------------------------------------------------------


def test_reading_twice_and_reading_a_renamed_copy_give_the_same_ids(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    for path in (first, second):
        write(path, "user,item,time", "u,i,30", "u,j,10")
    ids = [event.id for event in events(only(first))]
    assert ids == [event.id for event in events(only(first))] == [event.id for event in events(only(second))]
    assert [str(id).split(":")[1] for id in ids] == ["2", "1"]
    write(second, "user,item,time", "u,i,31", "u,j,10")
    assert set(ids).isdisjoint(event.id for event in events(only(second)))


def test_events_are_one_import_however_mapped_but_items_mapped_anew_are_another(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "user,item,a", "u,i,1")
    assert fingerprint(only(log)) == fingerprint(only(log, mapping={"context.a": "a"}))
    goods = write(tmp_path / "goods.csv", "sku,a,b", "1,2,3")
    assert fingerprint(only(goods)) != fingerprint(only(goods, mapping={"fields": "a"}))
    movies = movielens_1m(tmp_path) / "movies.dat"
    before = fingerprint(only(movies))
    write(tmp_path / "plots.csv", "movie_id,plot", "1,Another.")
    assert fingerprint(only(movies)) != before


def test_going_on_after_a_crash_gives_the_rest(tmp_path: Path) -> None:
    part = only(write(tmp_path / "x.csv", "user,item,time", *(f"u,{n},{n * 7 % 10}" for n in range(10))))
    done = list(islice(read(part), 4))
    assert done + list(islice(read(part), 4, None)) == list(read(part))


ids = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1).filter(
    lambda name: name not in ("nan", "NaN", "null", "NULL", "None", "none", "undefined", "\\N")
)
noted = st.tuples(ids, ids, st.floats(-1e9, 1e9), st.integers(0, 2 * 10**9))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(noted, min_size=1, max_size=20), delimiter=st.sampled_from(",;\t|"))
def test_what_a_csv_writer_writes_comes_back_in_time_order(
    tmp_path: Path, rows: Sequence[tuple[str, str, float, int]], delimiter: str
) -> None:
    path = tmp_path / "log.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, delimiter=delimiter)
        out.writerow(("user", "item", "value", "time"))
        out.writerows(rows)
    part = only(path, mapping={"user": "user", "item": "item", "value": "value", "time": "time (seconds)"})
    back = [(event.user, event.item, event.value, event.time) for event in events(part)]
    assert back == sorted(rows, key=lambda row: row[3])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300))
def test_whatever_the_bytes_every_row_is_an_event_or_refused(tmp_path: Path, noise: bytes) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,item,time\nu,i,20\nv,j,10\n" + noise)
    try:
        part = only(path)
    except InvalidInput:
        return
    rows = [row for row, _ in read(part)]
    assert sorted(rows) == list(range(1, len(rows) + 1))


# -- real data -------------------------------------------------------------------------------------------------------


@real
def test_movielens_1m_is_whole_and_in_time_order() -> None:
    items, users, ratings = plan(DATA / "ml-1m")
    assert (len(events(items)), len(events(users))) == (3883, 6040)
    assert events(items)[0].fields["director"] == "John Lasseter"
    count, last, stars = 0, 0.0, 0.0
    for _, made in read(ratings):
        assert isinstance(made, Event)
        assert made.time is not None
        assert made.time >= last
        count, last, stars = count + 1, made.time, stars + (made.value or 0.0)
    assert count == 1_000_209
    assert stars / count == pytest.approx(3.5816, abs=1e-4)
    assert abs(ratings.rows - count) < 0.2 * count


@real
def test_movielens_100k_is_whole() -> None:
    items, users, ratings = plan(DATA / "ml-100k")
    assert [len(events(part)) for part in (items, users, ratings)] == [1682, 943, 100_000]
    first = {"title": "Toy Story", "year": 1995, "genres": ["Animation", "Children's", "Comedy"]}
    assert events(items)[0].fields == first


@real
def test_a_retailers_year_is_understood() -> None:
    parts, left_out = survey(DATA / "complete-journey", Wish())
    assert [(part.name, part.what) for part in parts] == [
        ("products.csv", "items"),
        ("demographics.csv", "users"),
        ("transactions_sample.csv", "events"),
    ]
    assert parts[2].mapping == {
        "user": "household_id",
        "item": "product_id",
        "value": "quantity",
        "action": '"buy"',
        "time": "transaction_timestamp (ISO 8601)",
    }
    assert set(left_out) == {"campaign_descriptions.csv", "campaigns.csv", "coupon_redemptions.csv"}
    bought = events(parts[2])
    assert len(bought) == 75_000
    assert bought[0].time == min(event.time or 0.0 for event in bought)
    assert events(parts[0])[0].fields["department"] == "GROCERY"


@real
def test_a_list_of_cosmetics_is_understood() -> None:
    part = only(DATA / "amazon-beauty" / "items.csv")
    assert (part.what, part.mapping["item"]) == ("items", "asin")
    assert len(events(part)) == 12_101
    assert all(isinstance(event.fields.get("title", ""), str) for event in events(part))


# -- MIND --------------------------------------------------------------------------------------------------------------


def mind(folder: Path) -> Path:
    """Two articles; three rows of two people, the later one first; one without a history, one without its columns."""
    entities = '[{"Label": "Mars", "Type": "L"}]'
    write(
        folder / "news.tsv",
        f"N1\tnews\tspace\tA rover lands\tIt landed.\thttps://x/1\t{entities}\t{entities}",
        "N2\tsports\tsoccer\tA draw\t\thttps://x/2\t[]\t",
    )
    write(
        folder / "behaviors.tsv",
        "1\tann\t11/12/2019 2:14:46 PM\tN1 N2 N1\tN2-0 N3-1 N4-1",
        "2\tann\t11/9/2019 12:00:10 AM\tN1 N2 N1\tN1-1 N2-0",
        "3\tbob\t11/10/2019 6:42:51 PM\t\tN2-0",
        "4\tbob\tsoon\t\tN2-0",
    )
    write(folder / "entity_embedding.vec", "Q1\t0.1\t0.2")
    return folder


def test_mind_is_recognised_and_its_other_files_are_left_out(tmp_path: Path) -> None:
    parts, left_out = survey(mind(tmp_path), Wish())
    assert [(part.name, part.what) for part in parts] == [("news.tsv", "items"), ("behaviors.tsv", "events")]
    assert set(left_out) == {"entity_embedding.vec"}


def test_an_article_has_its_title_first_and_the_names_of_its_entities(tmp_path: Path) -> None:
    rover, draw = events(plan(mind(tmp_path))[0])
    assert (rover.item, rover.kind) == ("N1", "item")
    assert list(rover.fields.items()) == [
        ("title", "A rover lands"),
        ("abstract", "It landed."),
        ("category", "news"),
        ("subcategory", "space"),
        ("about", ["Mars"]),
    ]
    assert draw.fields == {"title": "A draw", "category": "sports", "subcategory": "soccer"}


def test_a_row_of_behaviors_is_what_was_shown_and_what_was_clicked(tmp_path: Path) -> None:
    made = [event for event in events(plan(mind(tmp_path))[1]) if event.time == 1573568086.0]
    assert [(event.kind, event.item, event.slate) for event in made] == [
        ("impression", None, ["N2", "N3", "N4"]),
        ("interaction", "N3", []),
        ("interaction", "N4", []),
    ]
    assert {event.user for event in made} == {"ann"}
    assert made[1].action == "click"


def test_a_history_comes_once_in_its_order_and_before_the_first_row_of_all(tmp_path: Path) -> None:
    part = plan(mind(tmp_path))[1]
    first = 1573257610.0  # the earliest row
    past = [event for event in events(part) if (event.time or 0.0) < first]
    assert [(event.user, event.item) for event in past] == [("ann", "N1"), ("ann", "N2"), ("ann", "N1")]
    assert [event.time for event in past] == sorted(event.time or 0.0 for event in past)
    rows = [(row, one) for row, one in read(part)]
    assert [row for row, _ in rows] == [2, 2, 2, 2, 2, 3, 1, 1, 1, 4]  # by time; what has none comes last
    assert len({one.id for _, one in rows if isinstance(one, Event)}) == 9
    assert refused(part) == [Refused(4, "4\tbob\tsoon\t\tN2-0", "time", "soon", "a time is expected (month/day/year)")]


def test_the_columns_of_mind_are_known(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="MIND file of events"):
        plan(mind(tmp_path) / "behaviors.tsv", mapping={"user": "user"})
    with pytest.raises(InvalidInput, match="MIND file of items"):
        plan(tmp_path / "news.tsv", what="events")


def test_files_that_only_have_the_names_of_mind_are_tables(tmp_path: Path) -> None:
    write(tmp_path / "news.tsv", "id\ttitle", "a\tA rover", "b\tA draw")
    assert only(tmp_path / "news.tsv").mapping == {"item": "id", "fields": "title"}


def test_american_times_are_read_where_they_are_said_to_be(tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.csv",
        "user,item,ts",
        "a,x,11/12/2019 2:14:46 PM",
        "a,y,1/2/2020 12:30 AM",
        "a,z,12/31/2019",
        "a,w,13/1/2019",
    )
    with pytest.raises(InvalidInput, match="month/day/year"):
        plan(path)
    part = only(path, mapping={"time": "ts (month/day/year)"})
    assert [event.time for event in events(part)] == [1573568086.0, 1577750400.0, 1577925000.0]
    assert [one.value for one in refused(part)] == ["13/1/2019"]


@real
def test_real_mind_and_the_complete_journey_are_read_without_a_word(tmp_path: Path) -> None:
    news, behaviors = plan(DATA / "mind-subset")
    assert len(events(news)) == 2000
    kinds = Counter(event.kind for event in events(behaviors))
    assert kinds == {"impression": 5000, "interaction": 138_932 + 7542}
    what = {part.name: part.what for part in plan(DATA / "complete-journey")}
    assert what == {"products.csv": "items", "demographics.csv": "users", "transactions_sample.csv": "events"}
    bought = plan(DATA / "complete-journey")[2]
    assert bought.mapping["action"] == '"buy"'
    assert sum(1 for _ in islice(read(bought), 1000)) == 1000
