#!/usr/bin/env python3
"""Power-law fits by WeightWatcher, for tests/unit/worker/explain/test_spectrum.c.

    python3 -m venv v && v/bin/pip install weightwatcher==0.7.7
    v/bin/python tests/golden/explain/power_law.py

It prints the rows of `fits`. The values are made as test_spectrum.c makes them.
"""
import math

import numpy as np
from weightwatcher.WW_powerlaw import WWFit


def tail(n, power):
    values = []
    for i in range(n):
        at = (i + 0.5) / n
        value = at**-power if at < 0.3 else 0.3**-power * (1 - at) / 0.7
        values.append(value + 1e-3 * math.sin(7.0 * (i * i % 101)))
    return np.array(sorted(values))


for n, power in ((40, 0.9), (100, 0.5), (256, 0.35), (400, 1.4)):
    fit = WWFit(tail(n, power), distribution="power_law")
    print(f"    {{{n}, {power}, {fit.alpha!r}, {fit.xmin!r}, {fit.D!r}}},".replace("np.float64(", "").replace(")", ""))
