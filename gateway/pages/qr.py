"""QR codes (ISO/IEC 18004) as inline SVG: what a phone's camera reads from a page."""

import segno
from markupsafe import Markup

_TITLE = "QR code to scan with an authenticator app"
_QUIET_ZONE = 4  # modules; the standard's least, without which cameras do not find it


def svg(uri: str) -> Markup:
    """Dark on light in either colour scheme; sized by the style sheet, for a policy forbids styles of its own."""
    code = segno.make(uri, error="m", micro=False)
    drawn = code.svg_inline(
        border=_QUIET_ZONE, light="#fff", omitsize=True, svgclass="qr", lineclass=None, title=_TITLE
    )
    # Markup: drawn by segno of modules alone; of the URI nothing stands in it as text.
    return Markup(drawn.replace("<svg ", '<svg role="img" ', 1))  # noqa: S704
