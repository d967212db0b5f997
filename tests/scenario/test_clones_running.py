# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones that are to run, and clones whose time ends, on a scripted clock."""
import pytest

import msgs
from world import HOUR_MS


@pytest.fixture
def one(make_world):
    """A world with a backup 1 of pc-a."""
    world = make_world()
    world.add("pc-a")
    world.start()
    world.make()
    return world


def accept(world, name="c", **params):
    return world.api.ok("CloneBackup", BackupId="1", CloneName=name, **params)


def clone(world, name="c"):
    items = world.api.ok("DescribeClones", CloneName=name)["Items"]["Clone"]
    return items[0] if items else None


def jobs(world, kind):
    return [m for m in world.engine.seen if m.name == "JOB" and m.kind == kind]


def wait_gone(world, name="c"):
    world.engine.wait_for(lambda: jobs(world, msgs.DELETE_CLONE), what="its removal")
    world.wait_jobs()
    assert clone(world, name) is None


def test_it_is_run_when_it_is_made_and_not_before(one):
    one.engine.hold("JOB", "SERVE")
    accept(one, Start="true", TTL="7200")
    order = one.engine.wait("JOB")
    one.engine.running(order)
    one.engine.settle()
    assert one.engine.count("SERVE") == 0
    one.tick(1000)
    one.engine.done(order)
    serve = one.engine.wait("SERVE")
    assert (serve.cluster, serve.clone, serve.backup, serve.nonce) == ("pc-a", "c", 1, order.nonce)
    assert serve.ttl_ms == 7200_000 - 1000
    assert clone(one)["Running"] == "false" and clone(one)["State"] == "Available"
    one.engine.serving(serve)
    one.engine.settle()
    assert clone(one)["Running"] == "true"


def test_without_start_nothing_runs(one):
    accept(one, Start="false")
    one.wait_jobs()
    one.engine.settle()
    assert one.engine.count("SERVE") == 0 and "ExpireTime" not in clone(one)


def test_its_time_ends(one):
    accept(one, Start="true", TTL="3600")
    one.engine.wait_for(lambda: one.engine.count("SERVE"), what="SERVE")
    one.engine.hold("UNSERVE")
    one.advance(HOUR_MS - 1)
    one.engine.settle()
    assert clone(one)["State"] == "Available"
    one.advance(1)
    unserve = one.engine.wait("UNSERVE")
    one.engine.settle()
    # Its removal waits for its server's end, and says whose will it is.
    assert clone(one)["State"] == "Deleting" and not jobs(one, msgs.DELETE_CLONE)
    one.engine.on_unserve(unserve)
    wait_gone(one)
    assert jobs(one, msgs.DELETE_CLONE)[0].principal == "ttl"


def test_time_of_one_without_a_server(one):
    accept(one, TTL="60")
    one.wait_jobs()
    assert clone(one)["ExpireTime"] == "2023-11-14T12:01:00Z"
    one.advance(59_999)
    one.engine.settle()
    assert clone(one)
    one.advance(1)
    wait_gone(one)


def test_a_clock_set_forward_ends_it_and_one_set_back_keeps_it(one):
    accept(one, "early", TTL="3600")
    accept(one, "late", TTL="7200")
    one.wait_jobs()
    one.advance(1000, wall_ms=-24 * HOUR_MS)
    one.advance(2 * HOUR_MS)
    one.engine.settle()
    assert clone(one, "early") and clone(one, "late")
    one.advance(1000, wall_ms=23 * HOUR_MS + 1000)
    wait_gone(one, "early")
    assert clone(one, "late")


def test_its_time_is_over_while_it_is_made(one):
    """It is made, and then removed; nothing runs meanwhile."""
    one.engine.hold("JOB")
    accept(one, Start="true", TTL="10")
    order = one.engine.wait("JOB")
    one.engine.running(order)
    one.advance(11_000)
    one.engine.done(order)
    one.engine.release("JOB")
    wait_gone(one)
    assert one.engine.count("SERVE") == 0


def test_a_server_that_ends_by_itself_is_not_started_again(one):
    accept(one, Start="true")
    serve = one.engine.wait_for(lambda: next((m for m in one.engine.seen if m.name == "SERVE"), None), what="SERVE")
    one.engine.settle()
    one.engine.served(serve, code=msgs.ERR_DATABASE, cause="its server ended by itself (signal 9)")
    one.engine.settle()
    item = clone(one)
    assert (item["State"], item["Running"], item["Cause"]) == ("Available", "false", "its server ended by itself (signal 9)")
    one.advance(HOUR_MS)
    one.restart()
    one.engine.settle()
    assert one.engine.count("SERVE") == 0 and clone(one)["Cause"] == item["Cause"]


def test_a_busy_engine_is_asked_again(one):
    one.engine.hold("SERVE")
    accept(one, Start="true")
    one.engine.served(one.engine.wait("SERVE"), code=msgs.ERR_BUSY, cause="not now")
    one.engine.settle()
    assert "Cause" not in clone(one) and one.engine.waiting("SERVE") == 0
    one.advance(1000)
    one.engine.serving(one.engine.wait("SERVE"))
    one.engine.settle()
    assert clone(one)["Running"] == "true"


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_new_front_asks_for_what_is_to_run(one, how):
    accept(one, "runs", Start="true", TTL="3600")
    accept(one, "over", Start="true", TTL="60")
    accept(one, "plain")
    one.wait_jobs()
    one.engine.wait_for(lambda: one.engine.count("SERVE") == 2, what="two servers")
    if how == "kill":
        one.kill()
    else:
        one.stop()
    one.tick(120_000)
    one.start()
    one.engine.wait_for(lambda: jobs(one, msgs.DELETE_CLONE), what="the removal of the one that is over")
    one.wait_jobs()
    one.engine.settle()
    assert [m.clone for m in one.engine.seen if m.name == "SERVE"] == ["runs"]
    assert clone(one, "runs")["Running"] == "true" and clone(one, "over") is None


def test_deleted_while_it_runs(one):
    accept(one, Start="true")
    one.engine.wait_for(lambda: one.engine.count("SERVE"), what="SERVE")
    one.engine.hold("UNSERVE")
    one.api.ok("DeleteClone", CloneName="c")
    unserve = one.engine.wait("UNSERVE")
    one.engine.settle()
    assert not jobs(one, msgs.DELETE_CLONE) and one.engine.count("UNSERVE") == 1
    one.engine.on_unserve(unserve)
    wait_gone(one)


def test_not_more_than_eight(one):
    for number in range(8):
        accept(one, f"c{number}", Start="true")
    status, answer = one.api.call("CloneBackup", BackupId="1", CloneName="more", Start="true")
    assert (status, answer["Code"]) == (403, "OperationDenied.BackupStatus")
    accept(one, "quiet")
    one.wait_jobs()
    one.api.ok("DeleteClone", CloneName="c0")
    one.wait_jobs()
    accept(one, "more", Start="true")


def test_start_and_ttl_are_part_of_what_a_token_names(one):
    first = accept(one, ClientToken="t", Start="true", TTL="60")
    assert accept(one, ClientToken="t", Start="true", TTL="60")["JobId"] == first["JobId"]
    for other in ({"Start": "true"}, {"TTL": "60"}, {"Start": "true", "TTL": "61"}):
        status, answer = one.api.call("CloneBackup", BackupId="1", CloneName="c", ClientToken="t", **other)
        assert (status, answer["Code"]) == (400, "IdempotentParameterMismatch")


@pytest.mark.parametrize("params", [{"Start": "yes"}, {"TTL": "0"}, {"TTL": "-1"}, {"TTL": "1h"}, {"TTL": "34560001"},
                                    {"TTL": "01"}])
def test_malformed(one, params):
    status, answer = one.api.call("CloneBackup", BackupId="1", CloneName="c", **params)
    assert (status, answer["Code"]) == (400, f"Invalid{next(iter(params))}.Malformed"), answer
