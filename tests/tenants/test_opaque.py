"""What strangers would have to guess (RFC 6749 section 10.10)."""

import base64

from tenants import opaque


def test_an_opaque_secret_has_256_random_bits_behind_its_prefix() -> None:
    made = {opaque.new("yrt_") for _ in range(200)}
    assert len(made) == 200
    bits = [base64.urlsafe_b64decode(secret.removeprefix("yrt_") + "=") for secret in made]
    assert {len(each) for each in bits} == {32}
    for place in range(32):  # a byte that were always the same would come 200 times with a chance of 256 to the -199th
        assert len({each[place] for each in bits}) > 1
