"""The past as columns that become JSON: no object per value.

JSON knows neither NaN nor infinity (RFC 8259, 6): msgspec writes both as null.
"""

import numpy as np

from lineshaft.core.series import Aggregate, Buckets, Series
from lineshaft.web.shapes import BucketSeries, RawSeries, times


def raw_series(series: Series) -> RawSeries:
    """Return readings as the API shows them."""
    columns = series.columns
    qualities = [status.quality for status in series.statuses]
    reasons = [status.reason for status in series.statuses]
    status = columns.status.tolist()
    return RawSeries(
        series.name,
        series.unit,
        times(columns.time),
        columns.values(series.texts),
        [qualities[each] for each in status],
        [reasons[each] for each in status],
    )


def bucket_series(buckets: Buckets) -> BucketSeries:
    """Return aggregates as the API shows them."""
    columns: dict[str, list[float | None]] = {
        each.value: buckets.columns[each].tolist()
        for each in Aggregate
        if each is not Aggregate.COUNT
    }
    return BucketSeries(
        name=buckets.name,
        unit=buckets.unit,
        time=times(buckets.start),
        count=buckets.columns[Aggregate.COUNT].astype(np.int64).tolist(),
        **columns,
    )
