"""What the benchmark makes of crossings."""

from bench.crossing.results import Crossed, Scenario, longest_wait_ms, page, table


def scenario():
    crossings = [
        Crossed("forward", 30.0, 45.0, {"pause": 5.0, "barrier": 12.0}),
        Crossed("back", 40.0, 90.0, {"pause": 6.0, "barrier": 14.0}),
    ]
    return Scenario("8 writers", 50, 8, crossings, acknowledged=900)


def test_the_longest_wait_is_of_a_write_under_way_during_the_crossing():
    waits = [[1.0, 0.5], [3.0, 0.2], [9.0, 4.0]]
    assert longest_wait_ms(waits, 1.4, 3.1) == 500
    assert longest_wait_ms(waits, 5.0, 6.0) == 0


def test_the_table_gives_both_ways_and_every_step():
    text = table(scenario())
    assert "| stall, 2 crossings | 35 (30 to 40) |" in text
    assert "| back | 40 (40 to 40) |" in text
    assert "| longest wait of any write | 68 (45 to 90) |" in text
    assert "| barrier | 13.0 (12.0 to 14.0) |" in text
    assert "900 writes acknowledged, 0 failed, 0 lost, 0 there twice." in text


def test_the_page_names_the_machine_and_the_command():
    text = page([scenario()], {"cores": "2"}, "python -m bench.crossing")
    assert "by `python -m bench.crossing`. cores 2." in text
