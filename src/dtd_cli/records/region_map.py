"""``regions.csv``: the linear regions of the network in a plane, with f and its gradient."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd

from dtd.regions.plane import Array, Plane, patches
from dtd_cli.config.errors import SettingError
from dtd_cli.config.settings import RegionMapSettings
from dtd_cli.inputs.source import Scaling
from dtd_cli.run.preparation import Prepared

log = logging.getLogger(__name__)

_MOST_REGIONS = 20_000
"""More can neither be seen in a picture nor computed in a moment."""
_MARGIN = 0.05


class MapRequest(NamedTuple):
    """Which plane is mapped: through which sample, along which two features."""

    sample: int
    axes: tuple[int, int]


def map_request(settings: RegionMapSettings, prepared: Prepared) -> MapRequest | None:
    """What the settings ask for; ``None`` for inputs with other than two features, unless asked.

    Raises:
        SettingError: no such feature, a sample that is not explained, or a network with max
            pooling.
    """
    size = prepared.x.shape[1]
    affine = all(layer.is_affine for layer in prepared.network.layers)
    if settings.coordinates is None and (size != 2 or not affine):
        return None
    if not affine:
        raise SettingError(
            "region_map.coordinates",
            settings.coordinates,
            "the linear regions of max pooling are not mapped; allowed is a network without, as "
            "with network.pooling=avg",
        )
    first, second = settings.coordinates or (0, 1)
    if min(first, second) < 0 or max(first, second) >= size:
        raise SettingError(
            "region_map.coordinates",
            settings.coordinates,
            f"allowed are two different features from 0 to {size - 1}",
        )
    explained = prepared.explained.nonzero().squeeze(1).tolist()
    sample = explained[0] if settings.sample is None else settings.sample
    if sample not in explained:
        raise SettingError(
            "region_map.sample",
            sample,
            f"allowed is a sample that is explained, such as {explained[0]}",
        )
    return MapRequest(sample, (first, second))


def regions_table(request: MapRequest, prepared: Prepared, points: pd.DataFrame) -> pd.DataFrame:
    """One vertex of a region a row; ``points`` are ``root_points.csv``, to be in the window.

    Both have the units of the data.
    """
    x = np.asarray(prepared.x.double().cpu())
    mean, deviation = _units(request, prepared.scaling)
    output = replace(prepared.outputs[request.sample], sign=1)
    network = output.decomposed(prepared.network)
    plane = Plane(x[request.sample], request.axes)
    window = _window(request, prepared, x, (_roots(request, points) - mean) / deviation)
    regions = list(islice(patches(network, output.unit, plane, window), _MOST_REGIONS + 1))
    if len(regions) > _MOST_REGIONS:
        log.warning("no map of the linear regions: the plane has more than %d", _MOST_REGIONS)
        regions = []
    first, second = request.axes
    sides = np.array([len(patch.f) for patch in regions], dtype=int)
    vertices = np.concatenate([np.empty((0, 2)), *(patch.vertices for patch in regions)])
    vertices = vertices * deviation + mean
    gradients = np.array([patch.gradient for patch in regions]).reshape(-1, 2).repeat(sides, 0)
    gradients = gradients / deviation
    return pd.DataFrame(
        {
            "sample": request.sample,
            "output": str(output),
            "i": first,
            "k": second,
            "region": np.arange(len(regions)).repeat(sides),
            "x_i": vertices[:, 0],
            "x_k": vertices[:, 1],
            "f": np.concatenate([np.empty(0), *(patch.f for patch in regions)]),
            "gradient_i": gradients[:, 0],
            "gradient_k": gradients[:, 1],
        }
    )


def _units(request: MapRequest, scaling: Scaling | None) -> tuple[Array, Array]:
    """Mean and deviation by which the two features were standardised; 0 and 1 if they were not."""
    if scaling is None:
        return np.zeros(2), np.ones(2)
    axes = list(request.axes)
    return scaling.mean.numpy()[axes], scaling.deviation.numpy()[axes]


def _roots(request: MapRequest, points: pd.DataFrame) -> Array:
    """The roots of the sample in the input, (n, 2), in the plane."""
    rows = points[(points["sample"] == request.sample) & (points["layer"] == 0)]
    roots: Array = np.stack(
        [rows.loc[rows["index"] == axis, "value"].to_numpy() for axis in request.axes], axis=1
    )
    return roots


def _window(request: MapRequest, prepared: Prepared, x: Array, roots: Array) -> Array:
    """What the map shows: the box of the inputs, or else the samples, and the sample's roots."""
    axes = list(request.axes)
    domain = prepared.scheme.domains[0]
    bounds = np.stack([np.asarray(side.double().cpu())[axes] for side in (domain.low, domain.high)])
    seen = x[:, axes]
    bounds = np.where(np.isfinite(bounds), bounds, np.stack([seen.min(0), seen.max(0)]))
    low = np.minimum(bounds[0], roots.min(0, initial=np.inf))
    high = np.maximum(bounds[1], roots.max(0, initial=-np.inf))
    margin = _MARGIN * np.maximum(high - low, np.abs(high) * 1e-3 + 1e-3)
    window: Array = np.stack([low - margin, high + margin])
    return window
