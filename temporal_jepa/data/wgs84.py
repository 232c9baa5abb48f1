"""Places on Earth: degrees to metres on the WGS84 ellipsoid, right across the antimeridian and at the poles.

Everything goes through Cartesian coordinates of the whole Earth (ECEF), where neither is special. Heights are left out:
a place lies on the ellipsoid.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EQUATOR = 6378137.0  # metres, semi-major axis of WGS84 (NIMA TR8350.2)
FLATTENING = 1 / 298.257223563
ECCENTRICITY2 = FLATTENING * (2 - FLATTENING)
RADIUS = 6371008.8  # metres, mean radius (2a + b) / 3


def to_ecef(lonlat: Floats) -> Floats:
    """Longitude and latitude ``(..., 2)`` in degrees to ECEF ``(..., 3)`` in metres."""
    lon = np.deg2rad(lonlat[..., 0])
    lat = np.deg2rad(lonlat[..., 1])
    normal = EQUATOR / np.sqrt(1 - ECCENTRICITY2 * np.sin(lat) ** 2)
    across = normal * np.cos(lat)
    up = normal * (1 - ECCENTRICITY2) * np.sin(lat)
    return np.stack([across * np.cos(lon), across * np.sin(lon), up], axis=-1)


def to_lonlat(ecef: Floats) -> Floats:
    """ECEF ``(..., 3)`` in metres to longitude and latitude ``(..., 2)`` in degrees (Bowring 1976, one step)."""
    x = ecef[..., 0]
    y = ecef[..., 1]
    z = ecef[..., 2]
    across = np.hypot(x, y)
    polar = EQUATOR * (1 - FLATTENING)
    reduced = np.arctan2(z * EQUATOR, across * polar)
    second = ECCENTRICITY2 / (1 - ECCENTRICITY2)
    lat = np.arctan2(
        z + second * polar * np.sin(reduced) ** 3,
        across - ECCENTRICITY2 * EQUATOR * np.cos(reduced) ** 3,
    )
    return np.stack([np.rad2deg(np.arctan2(y, x)), np.rad2deg(lat)], axis=-1)


def to_local(lonlat: Floats, origin: Floats) -> Floats:
    """Where places are seen from `origin`: metres ``(..., 3)`` to the east, to the north and up, on its tangent plane.

    lonlat, origin: ``(..., 2)`` in degrees; they broadcast. On the plane, distances from the origin are short by 4 m at
    100 km and by 4 km at 1000 km; `arc` of the length of all three metres is right.
    """
    x, y, z = np.moveaxis(to_ecef(lonlat) - to_ecef(origin), -1, 0)
    lon = np.deg2rad(origin[..., 0])
    lat = np.deg2rad(origin[..., 1])
    outward = x * np.cos(lon) + y * np.sin(lon)
    east = y * np.cos(lon) - x * np.sin(lon)
    north = z * np.cos(lat) - outward * np.sin(lat)
    return np.stack([east, north, outward * np.cos(lat) + z * np.sin(lat)], axis=-1)


def arc(chord: Floats) -> Floats:
    """Distance in metres along the ground for straight lines through the Earth, also in metres."""
    half: Floats = np.arcsin(np.minimum(chord / (2 * RADIUS), 1))
    return 2 * RADIUS * half


def bearing(local: Floats) -> Floats:
    """Direction of ``(..., 2 or 3)`` metres (east, north): radians clockwise from north, NaN for no movement."""
    still = (local[..., 0] == 0) & (local[..., 1] == 0)
    return np.where(still, np.nan, np.arctan2(local[..., 0], local[..., 1]))


def wrap(angle: Floats) -> Floats:
    """Angles in radians, wrapped into [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
