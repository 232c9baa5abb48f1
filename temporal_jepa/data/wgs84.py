"""Places on Earth: degrees to meters on the WGS84 ellipsoid.

Everything goes through Earth-centered Cartesian coordinates (ECEF), so the antimeridian and the
poles need no special case. Heights are ignored: a place lies on the ellipsoid.
"""

from __future__ import annotations

import numpy as np

from .sequences import Array

EQUATOR = 6378137.0  # meters, semi-major axis of WGS84 (NIMA TR8350.2)
FLATTENING = 1 / 298.257223563
POLAR = EQUATOR * (1 - FLATTENING)  # meters, semi-minor axis
ECCENTRICITY2 = FLATTENING * (2 - FLATTENING)
SECOND_ECCENTRICITY2 = ECCENTRICITY2 / (1 - ECCENTRICITY2)
RADIUS = 6371008.8  # meters, mean radius (2a + b) / 3


def to_ecef(lonlat: Array) -> Array:
    """Longitude and latitude ``(..., 2)`` in degrees to ECEF ``(..., 3)`` in meters."""
    lon, lat = np.moveaxis(np.deg2rad(lonlat), -1, 0)
    normal = EQUATOR / np.sqrt(1 - ECCENTRICITY2 * np.sin(lat) ** 2)
    across = normal * np.cos(lat)
    up = normal * (1 - ECCENTRICITY2) * np.sin(lat)
    return np.stack([across * np.cos(lon), across * np.sin(lon), up], axis=-1)


def to_lonlat(ecef: Array) -> Array:
    """ECEF ``(..., 3)`` in meters to longitude and latitude ``(..., 2)`` in degrees.

    One step of Bowring's method (1976).
    """
    x, y, z = np.moveaxis(ecef, -1, 0)
    across = np.hypot(x, y)
    reduced = np.arctan2(z * EQUATOR, across * POLAR)
    lat = np.arctan2(
        z + SECOND_ECCENTRICITY2 * POLAR * np.sin(reduced) ** 3,
        across - ECCENTRICITY2 * EQUATOR * np.cos(reduced) ** 3,
    )
    return np.stack([np.rad2deg(np.arctan2(y, x)), np.rad2deg(lat)], axis=-1)


def to_local(lonlat: Array, origin: Array) -> Array:
    """Meters east, north and up ``(..., 3)`` of places, on the tangent plane at `origin`.

    Args:
        lonlat: ``(..., 2)`` in degrees.
        origin: ``(..., 2)`` in degrees; broadcasts with `lonlat`.

    On the plane, distances from the origin are short by 4 m at 100 km and by 4 km at 1000 km; `arc`
    of the length of all three components corrects this.
    """
    x, y, z = np.moveaxis(to_ecef(lonlat) - to_ecef(origin), -1, 0)
    lon, lat = np.moveaxis(np.deg2rad(origin), -1, 0)
    outward = x * np.cos(lon) + y * np.sin(lon)
    east = y * np.cos(lon) - x * np.sin(lon)
    north = z * np.cos(lat) - outward * np.sin(lat)
    up = outward * np.cos(lat) + z * np.sin(lat)
    return np.stack([east, north, up], axis=-1)


def arc(chord: Array) -> Array:
    """Distance along the ground for straight lines through the Earth, both in meters."""
    half: Array = np.arcsin(np.minimum(chord / (2 * RADIUS), 1))
    return 2 * RADIUS * half


def bearing(local: Array) -> Array:
    """Direction of ``(..., 2 or 3)`` meters (east, north, ...): radians clockwise from north.

    NaN where nothing moves.
    """
    east = local[..., 0]
    north = local[..., 1]
    still = (east == 0) & (north == 0)
    return np.where(still, np.nan, np.arctan2(east, north))


def wrap(angle: Array) -> Array:
    """Angles in radians, wrapped into [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
