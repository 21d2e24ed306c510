"""What answers of the API are sent with, whatever the web framework is."""

from http import HTTPStatus

from lineshaft.core.command import Verdict
from lineshaft.core.series import Format

VERDICT = {
    Verdict.CONFIRMED: HTTPStatus.OK,
    Verdict.REFUSED: HTTPStatus.CONFLICT,
    Verdict.UNKNOWN: HTTPStatus.GATEWAY_TIMEOUT,
}
MEDIA = {
    Format.CSV: "text/csv",
    Format.JSON: "application/json",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}
SECURITY_HEADERS = {
    # Nothing of the page is inline, and nothing comes from anywhere else.
    "Content-Security-Policy": "default-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
