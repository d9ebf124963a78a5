"""The markup of a QR code; that a camera reads it is seen in test_accessibility."""

import re

from gateway.pages import qr
from tests.gateway.pages.markup import Markup

URI = "otpauth://totp/<script>alert(1)</script>:alice?secret=JBSWY3DPEHPK3PXP&issuer=\"'"


def test_it_is_an_image_with_a_name_and_nothing_that_a_policy_forbids() -> None:
    drawn = str(qr.svg(URI))

    markup = Markup(drawn)
    image, title, ground, modules = markup.elements
    assert (image.tag, image.attributes["role"], image.attributes["class"]) == ("svg", "img", "qr")
    assert (title.tag, title.text) == ("title", "QR code to scan with an authenticator app")
    assert (ground.attributes["fill"], modules.attributes["stroke"]) == ("#fff", "#000")
    assert not [name for element in markup.elements for name in element.attributes if name in ("style", "onload")]


def test_nothing_of_what_it_holds_is_markup() -> None:
    drawn = str(qr.svg(URI))

    assert "script" not in drawn
    assert "JBSWY3DP" not in drawn


def test_it_has_a_quiet_zone_of_four_modules() -> None:
    drawn = str(qr.svg("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP"))

    (side,) = re.findall(r'viewBox="0 0 (\d+) \1"', drawn)
    assert (int(side) - 8 - 17) % 4 == 0
    assert ' d="M4 4.5h7' in drawn
