"""What an upstream is asked for: never anything but a canonical path, and what is kept is kept byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.path import NotCanonical, canonical
from policies.pattern import BadPattern, Pattern
from policies.rewrite import Rewrite


def strip(pattern: str, prefix: str) -> Rewrite:
    return Rewrite.strip(Pattern.parse(pattern), prefix)


def to(pattern: str, target: str, *, keeps: bool = False) -> Rewrite:
    return Rewrite.to(Pattern.parse(pattern), target, keeps=keeps)


@pytest.mark.parametrize(
    ("pattern", "prefix", "path", "becomes"),
    [
        ("/orders/**", "/orders", "/orders/7", "/7"),
        ("/orders/**", "/orders", "/orders", "/"),
        ("/orders/**", "/orders", "/orders/", "/"),
        ("/orders/**", "/orders", "/orders/7/", "/7/"),
        ("/api/v1/{id}", "/api/v1", "/api/v1/a%20b", "/a%20b"),
        ("/api/v1/{id}/x/**", "/api", "/api/v1/%C3%A9/x/%3A", "/v1/%C3%A9/x/%3A"),
        ("/caf\u00e9/**", "/caf\u00e9", "/caf%C3%A9/a", "/a"),
        ("/caf\u00e9/**", "/caf%C3%A9", "/caf%c3%a9/a", "/a"),
        ("/a/b", "/a/b", "/a/b", "/"),
        ("/a/b/", "/a", "/a/b/", "/b/"),
    ],
)
def test_a_prefix_is_taken_away(pattern: str, prefix: str, path: str, becomes: str) -> None:
    assert strip(pattern, prefix).apply(path.encode()) == becomes.encode()


@pytest.mark.parametrize(("prefix", "said"), [("/a", b"/a"), ("/a/b", b"/a/b"), ("/a/b/\u00e9", b"/a/b/%C3%A9")])
def test_the_prefix_is_told_in_its_canonical_spelling(prefix: str, said: bytes) -> None:
    assert strip("/a/b/\u00e9/**", prefix).prefix == said


@pytest.mark.parametrize(
    "prefix", ["", "/", "a", "/b", "/a/c", "/a/{x}", "/a/b/{x}", "/a/**", "/a/", "/a//b", "/a/..", "/a/b/c/d"]
)
def test_what_no_path_begins_with_cannot_be_stripped(prefix: str) -> None:
    with pytest.raises(BadPattern):
        strip("/a/b/{x}/c", prefix)


@pytest.mark.parametrize(
    ("pattern", "target", "path", "becomes"),
    [
        ("/old/{id}/**", "/new/{id}/**", "/old/7/x/y", "/new/7/x/y"),
        ("/old/{id}/**", "/new/{id}/**", "/old/7", "/new/7"),
        ("/old/{id}/**", "/new/{id}/**", "/old/7/", "/new/7/"),
        ("/old/**", "/**", "/old/a/b", "/a/b"),
        ("/old/**", "/**", "/old", "/"),
        ("/{tenant:slug}/orders/{id:int}", "/orders/{id}", "/acme/orders/7", "/orders/7"),
        ("/{a}/{b}", "/{b}/{a}", "/x%20y/%40", "/%40/x%20y"),
        ("/a", "/b/", "/a", "/b/"),
        ("/a", "/", "/a", "/"),
        ("/a", "/caf\u00e9/%7Bx%7D", "/a", "/caf%C3%A9/%7Bx%7D"),
        ("/{x}", "/50%25/{x}", "/a", "/50%25/a"),
    ],
)
def test_a_path_is_put_together_anew(pattern: str, target: str, path: str, becomes: str) -> None:
    assert to(pattern, target).apply(path.encode()) == becomes.encode()


@pytest.mark.parametrize(
    ("pattern", "target"),
    [
        ("/a/{x}", "/b/{y}"),
        ("/a/{x:int}", "/b/{x:int}"),
        ("/a/**", "/b"),
        ("/a", "/b/**"),
        ("/a/{x}", "b/{x}"),
        ("/a/{x}", "/b/{x}/{x}"),
        ("/a/{x}", "/b/../{x}"),
        ("/a/{x}", "/b//{x}"),
        ("/a/{x}", "/b;v=1/{x}"),
        ("/a/{x}", "/b?x={x}"),
        ("/a/{x}", ""),
    ],
)
def test_a_target_that_means_nothing_is_refused(pattern: str, target: str) -> None:
    with pytest.raises(BadPattern):
        to(pattern, target)


def test_a_parameter_that_may_end_with_an_encoded_slash_stays_last() -> None:
    with pytest.raises(BadPattern):
        to("/files/{key}", "/objects/{key}/content", keeps=True)
    with pytest.raises(BadPattern):
        to("/files/{key}/**", "/objects/{key}/content/**", keeps=True)
    assert to("/files/{key}", "/a/b/{key}", keeps=True).apply(b"/files/x%2f") == b"/a/b/x%2f"
    assert to("/files/{dir}/{key}", "/{dir}/of/{key}", keeps=True).apply(b"/files/x%2fy/z") == b"/x%2fy/of/z"


VALUES = st.sampled_from(["a", "b", "a%2fb", "%C3%A9", "%20", "7", "x%2f"])
PATTERNS = ("/a/**", "/a/{x}", "/a/{x}/**", "/{x}/{y}", "/a/{x}/b/{y}/**", "/a", "/a/{x}/")
TARGETS = (
    "/n/**",
    "/**",
    "/{x}",
    "/n/{x}/**",
    "/{y}/{x}",
    "/{x}/n/**",
    "/n/{x}/e",
    "/n/{x}/",
    "/\u00e9/{y}/n/{x}/**",
    "/n/",
)


def met_by(pattern: Pattern, values: list[str], rest: list[str]) -> list[str]:
    """The segments of a path that the pattern fits."""
    drawn = iter(values)
    parts = [part if isinstance(part, str) else next(drawn) for part in pattern.parts]
    return parts + rest if pattern.deep else parts


@given(
    st.sampled_from(PATTERNS),
    st.sampled_from(TARGETS),
    st.lists(VALUES, min_size=2, max_size=2),
    st.lists(VALUES, max_size=3),
    st.booleans(),
)
def test_what_comes_out_is_canonical_and_has_only_what_came_in(
    text: str, target: str, values: list[str], rest: list[str], keeps: bool
) -> None:
    pattern = Pattern.parse(text)
    raw = met_by(pattern, values, rest)
    path = ("/" + "/".join(raw)).encode()
    try:
        canonical(path, keep_encoded_slash=keeps)
        rewrite = Rewrite.to(pattern, target, keeps=keeps)
    except (NotCanonical, BadPattern):
        return
    becomes = rewrite.apply(path)
    canonical(becomes, keep_encoded_slash=keeps)
    assert set(becomes[1:].split(b"/")) <= {*path[1:].split(b"/"), b"n", b"e", b"%C3%A9", b""}


@given(st.sampled_from(PATTERNS), st.lists(VALUES, min_size=2, max_size=2), st.lists(VALUES, max_size=3))
def test_without_its_prefix_a_path_is_canonical_and_the_rest_of_itself(
    text: str, values: list[str], rest: list[str]
) -> None:
    pattern = Pattern.parse(text)
    if pattern.parts[0] != "a":
        return
    path = ("/" + "/".join(met_by(pattern, values, rest))).encode()
    try:
        canonical(path, keep_encoded_slash=True)
    except NotCanonical:
        return
    becomes = Rewrite.strip(pattern, "/a").apply(path)
    canonical(becomes, keep_encoded_slash=True)
    assert path in (b"/a" + becomes, b"/a")
