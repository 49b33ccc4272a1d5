"""Two censuses are compared so that what is left shows, and what merely comes and goes does not."""

from tests.soak.readings import Census, compared, grown, leaks, table, together


def census(sockets: int = 3, memory: int = 100, tasks: tuple[str, ...] = ("1", "2")) -> Census:
    found = Census()
    found.count("service", "sockets", sockets)
    found.bytes("service", "memory", memory)
    for identity in tasks:
        found.lasting["service", identity] = "tasks read"
    return found


def left(before: Census, after: Census) -> list[tuple[str, float, float]]:
    return [(row.what, row.before, row.after) for row in leaks(compared(before, after))]


def test_one_more_is_a_leak_and_one_less_is_none() -> None:
    assert left(census(), census(sockets=4)) == [("sockets", 3, 4)]
    assert left(census(), census(sockets=2)) == []


def test_memory_may_grow_by_a_twentieth_and_no_more() -> None:
    assert left(census(), census(memory=105)) == []
    assert left(census(), census(memory=106)) == [("memory", 100, 106)]


def test_of_our_types_the_latest_few_objects_may_be_there() -> None:
    before, after, many = census(), census(), census()
    after.count("service", "objects service.interceptor.call.Call", 5)
    many.count("service", "objects service.interceptor.call.Call", 6)
    assert left(before, after) == []
    assert left(before, many) == [("objects service.interceptor.call.Call", 0, 6)]


def test_what_was_not_there_before_is_a_leak() -> None:
    after = census()
    after.count("store", "keys nobody knows", 1)
    assert left(census(), after) == [("keys nobody knows", 0, 1)]


def test_what_must_not_be_there_is_a_leak_even_if_it_was_there_before() -> None:
    before, after = census(), census()
    for found in (before, after):
        found.empty("store", "names without an end", 2)
    assert left(before, after) == [("names without an end", 2, 2)]


def test_the_least_of_several_samples_counts() -> None:
    assert left(census(), together(census(sockets=9), census(sockets=3))) == []
    gone = census()
    del gone.values["service", "sockets"]
    assert together(census(sockets=9), gone).readings()["service", "sockets"][1] == 0


def blocked(*numbers: int) -> Census:
    whole: Census | None = None
    for number in numbers:
        sample = Census()
        if number:
            sample.usual("store", "blocked", number)
        whole = sample if whole is None else together(whole, sample)
    assert whole is not None
    return whole


def test_what_is_usual_may_be_less_or_more_for_a_moment() -> None:
    assert left(blocked(20, 19, 20, 20, 20), blocked(20, 20, 21, 20, 20)) == []
    assert left(blocked(20, 19, 20, 20, 20), blocked(21, 20, 21, 21, 21)) == [("blocked", 20, 21)]
    assert left(blocked(0, 0, 0), blocked(0, 1, 0, 0, 1)) == []


def test_tasks_count_that_are_there_in_every_sample() -> None:
    busy = together(census(tasks=("1", "2", "77")), census(tasks=("1", "2", "78")))
    assert left(census(), busy) == []
    leaking = together(census(tasks=("1", "2", "77")), census(tasks=("1", "2", "77")))
    assert left(census(), leaking) == [("tasks read", 2, 3)]


def test_a_table_marks_what_is_left_and_leaves_out_what_never_was() -> None:
    after = census(sockets=4)
    after.count("service", "nothing", 0)
    lines = table(compared(census(), after)).splitlines()
    assert [line.split()[:3] for line in lines if line.startswith("!!")] == [["!!", "service", "sockets"]]
    assert not any("nothing" in line for line in lines)


def test_types_with_most_more_objects_are_named() -> None:
    assert grown({"dict": 10, "list": 5}, {"dict": 11, "list": 9, "Box": 2, "set": 0}) == [
        "list 5 → 9",
        "Box 0 → 2",
        "dict 10 → 11",
    ]
