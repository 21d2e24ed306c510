"""The past as columns that become JSON: no object per value."""

import math

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import KIND_FLOAT
from lineshaft.core.reading import Value
from lineshaft.core.series import Aggregate, Buckets, Series
from lineshaft.web.shapes import BucketSeries, RawSeries


def raw_series(series: Series) -> RawSeries:
    """Return readings as the API shows them."""
    columns = series.columns
    values = columns.values(series.texts)
    if (columns.kind == KIND_FLOAT).any():
        values = [_json(value) for value in values]
    qualities = [status.quality for status in series.statuses]
    reasons = [status.reason for status in series.statuses]
    status = columns.status.tolist()
    return RawSeries(
        series.name,
        series.unit,
        times(columns.time),
        values,
        [qualities[each] for each in status],
        [reasons[each] for each in status],
    )


def bucket_series(buckets: Buckets) -> BucketSeries:
    """Return aggregates as the API shows them."""
    columns = {each.value: _numbers(buckets.columns[each]) for each in Aggregate}
    count = buckets.columns[Aggregate.COUNT].astype(np.int64).tolist()
    return BucketSeries(
        name=buckets.name,
        unit=buckets.unit,
        time=times(buckets.start),
        min=columns["min"],
        max=columns["max"],
        mean=columns["mean"],
        time_mean=columns["time_mean"],
        first=columns["first"],
        last=columns["last"],
        count=count,
        good=columns["good"],
    )


def times(column: NDArray[np.int64]) -> list[str]:
    """Return microseconds since 1970 as RFC 3339 text."""
    moments = column.astype("datetime64[us]")
    text: list[str] = np.datetime_as_string(moments, unit="us", timezone="UTC").tolist()
    return text


def _numbers(column: NDArray[np.float64]) -> list[float | None]:
    numbers: list[float | None] = column.tolist()
    if np.isfinite(column).all():
        return numbers
    return [None if each != each else each for each in numbers]  # noqa: PLR0124  NaN


def _json(value: Value | None) -> Value | None:
    """JSON knows neither NaN nor infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
