"""An authenticator app, in real time: it reads a QR code and shows codes."""

import io
import time

import pyotp
import zxingcpp
from PIL import Image

_STEP = 30


class Authenticator:
    """One entry of the app. ``last`` is the step of its last code, in its user's other apps too."""

    def __init__(self, uri: str, last: int) -> None:
        totp = pyotp.parse_uri(uri)
        assert isinstance(totp, pyotp.TOTP)
        self.uri, self.totp, self.last = uri, totp, last

    @classmethod
    def scan(cls, picture: bytes, beside: "Authenticator | None" = None) -> "Authenticator":
        """What the one QR code on this screenshot says. ``beside``: another app of the same user."""
        (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
        return cls(code.text, 0 if beside is None else beside.last)

    def code(self) -> str:
        """One that was not given before. Two in a row need no waiting, since the gateway admits the step after the
        current one (as for a clock that is fast).
        """
        now = int(time.time()) // _STEP
        step = max(now, self.last + 1)
        assert step <= now + 1, "the third code within a step: use a recovery code"
        self.last = step
        return self.totp.at(step * _STEP)

    def wrong_code(self) -> str:
        """None of those that are good about now."""
        now = int(time.time()) // _STEP
        good = {self.totp.at(step * _STEP) for step in range(now - 2, now + 4)}
        return next(code for code in ("000000", *map("{:06}".format, range(1, 20))) if code not in good)
