import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Invalid
from kept.deployment.routing import Arm, Route, RoutingTable, choose, place

DIGEST = "sha256:" + "0" * 64
keys = st.text(max_size=40)
weights = st.floats(0, 1)


def route_with(canary_weight: float, *, version: str = "b", endpoint: str = "delays") -> Route:
    champion = Arm(version_id="a", number=1, model="m", bundle=DIGEST, weight=1 - canary_weight)
    canary = Arm(version_id=version, number=2, model="m", bundle=DIGEST, role="canary", weight=canary_weight)
    return Route(endpoint=endpoint, arms=(champion, canary), revision=1)


@given(keys, weights)
def test_the_same_key_always_gets_the_same_arm(key: str, weight: float) -> None:
    assert choose(route_with(weight), key) == choose(route_with(weight), key)


@given(keys, weights, weights)
def test_raising_the_weight_never_takes_a_key_from_the_canary(key: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    if choose(route_with(less), key).role == "canary":
        assert choose(route_with(more), key).role == "canary"


@given(keys)
def test_a_weight_of_0_gets_nothing_and_a_weight_of_1_everything(key: str) -> None:
    assert choose(route_with(0.0), key).role == "champion"
    assert choose(route_with(1.0), key).role == "canary"


@given(keys, st.text(min_size=1, max_size=10))
def test_a_place_is_in_the_unit_interval(key: str, endpoint: str) -> None:
    assert 0 <= place(endpoint, key) < 1


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.25, 0.5])
def test_the_share_is_near_the_weight(weight: float) -> None:
    n = 20_000
    route = route_with(weight)
    share = sum(choose(route, f"customer-{i}").role == "canary" for i in range(n)) / n
    # Five standard deviations of a binomial share.
    assert abs(share - weight) < 5 * (weight * (1 - weight) / n) ** 0.5


def test_endpoints_split_their_keys_independently() -> None:
    ways = [[choose(route_with(0.5, endpoint=name), str(i)).role for i in range(4000)] for name in ("a", "b")]
    same = sum(one == other for one, other in zip(*ways, strict=True))
    assert 1800 < same < 2200


def test_a_table_survives_json() -> None:
    table = RoutingTable(revision=3, routes=(route_with(0.25),))
    assert msgspec.json.decode(msgspec.json.encode(table), type=RoutingTable) == table


def test_shares_must_add_up() -> None:
    arm = Arm(version_id="a", number=1, model="m", bundle=DIGEST, weight=0.5)
    with pytest.raises(Invalid, match="add up to 0.5"):
        Route(endpoint="e", arms=(arm,))


def test_a_route_needs_one_champion() -> None:
    with pytest.raises(Invalid, match="one champion"):
        Route(endpoint="e", arms=())


def test_a_shadow_has_no_share() -> None:
    with pytest.raises(Invalid, match="shadow answers no request"):
        Arm(version_id="a", number=1, model="m", bundle=DIGEST, role="shadow", weight=0.5)


def test_an_endpoint_has_one_route() -> None:
    with pytest.raises(Invalid, match="two routes"):
        RoutingTable(revision=1, routes=(route_with(0.1), route_with(0.2)))


@given(keys, weights)
def test_a_challenger_is_chosen_as_a_canary_is(key: str, weight: float) -> None:
    arms = route_with(weight).arms
    test = Route(endpoint="delays", arms=(arms[0], msgspec.structs.replace(arms[1], role="challenger")))
    assert choose(test, key).number == choose(route_with(weight), key).number


def test_what_stands_by_answers_nothing_and_is_found() -> None:
    champion = Arm(version_id="a", number=1, model="m", bundle=DIGEST)
    ready = Arm(version_id="b", number=2, model="m", bundle=DIGEST, role="standby", weight=0.0)
    route = Route(endpoint="delays", arms=(champion, ready))
    assert (route.standby, route.canary, route.shadows) == (ready, None, ())
    assert {choose(route, str(key)) for key in range(100)} == {champion}
    with pytest.raises(Invalid, match="a standby answers no request"):
        msgspec.structs.replace(ready, weight=0.5)


def test_a_canary_and_a_challenger_do_not_go_together() -> None:
    both = [*route_with(0.5).arms, msgspec.structs.replace(route_with(0.0).arms[1], role="challenger")]
    with pytest.raises(Invalid, match="at most one canary or challenger"):
        Route(endpoint="delays", arms=tuple(both))


def test_a_table_that_was_kept_before_there_were_fallbacks_is_read() -> None:
    plain = '{"version_id":"a","number":1,"model":"m","bundle":"sha256:0","role":"champion","weight":1.0}'
    assert msgspec.json.decode(plain, type=Arm).fallback is None
