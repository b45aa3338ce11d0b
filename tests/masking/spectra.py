"""Light of pixels at the top of the atmosphere, made of what lies on the ground, how it is lit, and the air above.

Bands are blue, green, red, near infrared, short-wave infrared (1.6 um) and cirrus (1.38 um). Reflectances are typical
of spectral libraries; the light that a shadow gets is that of the sky, which is blue.
"""

import numpy as np

GROUND = np.array([
    [0.035, 0.070, 0.040, 0.420, 0.190],  # crops
    [0.030, 0.055, 0.045, 0.300, 0.170],  # grass
    [0.020, 0.040, 0.025, 0.220, 0.095],  # conifers
    [0.025, 0.050, 0.030, 0.330, 0.150],  # broad-leaved trees
    [0.070, 0.100, 0.130, 0.210, 0.300],  # dark soil
    [0.110, 0.170, 0.240, 0.330, 0.420],  # bright soil
    [0.130, 0.160, 0.190, 0.230, 0.280],  # rock
    [0.100, 0.110, 0.120, 0.150, 0.180],  # asphalt
])  # fmt: skip
SNOW = np.array([
    [0.95, 0.94, 0.92, 0.82, 0.09], [0.80, 0.80, 0.78, 0.65, 0.05], [0.62, 0.62, 0.60, 0.45, 0.03],
])  # fmt: skip
WATER = np.array([
    [0.030, 0.022, 0.010, 0.005, 0.002], [0.030, 0.045, 0.020, 0.008, 0.003], [0.050, 0.090, 0.080, 0.030, 0.008],
])  # fmt: skip
# Light of the air itself, and the share of the light of sun and sky that the sky has.
AIR = np.array([0.065, 0.038, 0.020, 0.008, 0.001])
SKY = np.array([0.24, 0.18, 0.13, 0.08, 0.02])
# Share of the sun that clouds let through and ground around scatters into their shadows, from and to.
THROUGH = (0.05, 0.25)
CLOUD = np.array([1.00, 1.00, 1.00, 1.02, 0.68])


def of(kind, count, seed=0):
    """Spectra (band, pixel) of "clear", "cloud", "shadow", "snow" or "water"; of "null" none has all bands."""
    generator = np.random.default_rng(seed)
    ground = mixed(generator, {"snow": SNOW, "water": WATER}.get(kind, GROUND), count)
    air = AIR * generator.uniform(0.7, 1.5, (count, 1))
    light = generator.uniform(0.75, 1.1, (count, 1))  # slopes, and how high the sun stands
    if kind == "shadow":
        light = SKY * generator.uniform(0.9, 1.3, (count, 1)) + generator.uniform(*THROUGH, (count, 1))
    seen = air + ground * light * (1 - air)
    cirrus = generator.uniform(0.0, 0.004, count)
    if kind == "cloud":
        thickness = generator.uniform(0.45, 1.0, (count, 1))
        bright = generator.uniform(0.45, 0.9, (count, 1)) * CLOUD * generator.uniform(0.97, 1.03, (count, 5))
        is_high = generator.random(count) < 0.2
        thickness[is_high] = generator.uniform(0.08, 0.3, (is_high.sum(), 1))
        seen = thickness * bright + (1 - thickness) * seen
        cirrus = np.where(is_high, generator.uniform(0.015, 0.06, count), cirrus)
    out = np.column_stack([seen, cirrus]).T
    out = out * generator.normal(1.0, 0.02, out.shape) + generator.normal(0.0, 0.001, out.shape)
    if kind == "null":
        out[generator.integers(0, 6, count), np.arange(count)] = np.nan
    return out


def mixed(generator, kinds, count):
    """Each pixel mostly of one kind of ground, with some of another."""
    first, second = generator.integers(0, len(kinds), (2, count))
    share = generator.uniform(0.7, 1.0, (count, 1))
    return share * kinds[first] + (1 - share) * kinds[second]
