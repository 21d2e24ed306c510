"""What answers of the API mean, for its description."""

from litestar.openapi import ResponseSpec

from lineshaft.web.api.problems import MEDIA_TYPE
from lineshaft.web.shapes import Problem


def told(text: str, shape: object = Problem, media: str = MEDIA_TYPE) -> ResponseSpec:
    """Describe one answer of a route."""
    return ResponseSpec(
        shape,  # type: ignore[arg-type]  # it takes unions as well
        generate_examples=False,
        description=text,
        media_type=media,
    )


PROBLEMS = {
    400: told("A parameter cannot be understood."),
    401: told("Nobody is logged in, or something does not prove who it is."),
    403: told("The caller may not, or comes from another site."),
    404: told("A name leads nowhere; the nearest spelling is told."),
    409: told("It cannot be done as things are."),
    429: told("Too many attempts failed; wait."),
    503: told("A part of the plant does not answer; try again."),
}
UNPROVEN = {status: PROBLEMS[status] for status in (400, 401, 403, 404, 409, 429, 503)}
LOOKING = {status: PROBLEMS[status] for status in (400, 401, 403, 404, 503)}
