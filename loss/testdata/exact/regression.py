#!/usr/bin/env python3
"""Prints values and derivatives of the regression losses at points that are hard for float64.

Run:  python3 regression.py | gzip -9n > regression.json.gz        (Python 3, mpmath 1.3)

Each loss is its formula as documented, evaluated with hundreds of digits and differentiated numerically at that precision;
nothing is rearranged for accuracy. Points are exact float64 numbers. One row is [point, value, gradient, Hessian], rounded to
float64 at the end; "inf" stands for what float64 cannot hold.
"""
import json
from mpmath import mp, mpf, diff, log, exp, sqrt, cosh, loggamma, pi, factorial

# Digits enough for steps that resolve residuals of 1e-160 and for noise below the smallest float64; fewer where Γ is evaluated.
GENTLE = {"NegativeBinomial", "StudentTNLL"}
mp.dps = 900


def residual(f):
    return lambda o: (lambda p, t: f(p - t, o))


def barron(e, o):
    a, z = o["alpha"], e / o.get("scale", mpf(1))
    if a == 2:
        return z**2 / 2
    if a == 0:
        return log(1 + z**2 / 2)
    b = abs(a - 2)
    return b / a * ((z**2 / b + 1) ** (a / 2) - 1)


def tukey(e, o):
    c = o["scale"]
    return c**2 / 6 * (1 - (1 - (e / c) ** 2) ** 3) if abs(e) <= c else c**2 / 6


def wing(e, o):
    w, eps = o["margin"], o["epsilon"]
    return w * log(1 + abs(e) / eps) if abs(e) < w else abs(e) - (w - w * log(1 + w / eps))


def tweedie(f, t, p):
    if p == 1:
        return exp(f) - t * f
    if p == 2:
        return t * exp(-f) + f
    return -t * exp((1 - p) * f) / (1 - p) + exp((2 - p) * f) / (2 - p)


def negative_binomial(f, t, o):
    a, mu = o["alpha"], exp(f)
    l = (t + 1 / a) * log(1 + a * mu) - t * f
    if o.get("full"):
        l += loggamma(t + 1) + loggamma(1 / a) - loggamma(t + 1 / a) - t * log(a)
    return l


def poisson(x, t, o):
    l = exp(x) - t * x
    if o.get("full") and t > 1:
        l += t * log(t) - t + log(2 * pi * t) / 2
    return l


def gaussian(m, t, v, o):
    return (log(v) + (m - t) ** 2 / v) / 2 + (log(2 * pi) / 2 if o.get("full") else 0)


def student(m, t, s, o):
    n = o["alpha"]
    return (loggamma(n / 2) - loggamma((n + 1) / 2) + log(n * pi) / 2 + log(s)
            + (n + 1) / 2 * log(1 + ((m - t) / s) ** 2 / n))


def cosine(*x):
    n = len(x) // 2
    a, b = x[:n], x[n:]
    return 1 - sum(p * q for p, q in zip(a, b)) / sqrt(sum(p * p for p in a) * sum(q * q for q in b))


E = [1e-160, -1e-30, 1e-10, 3e-5, -0.3, 0.75, -2.7, 19.0, 50.0, -711.0, 1e4, 3e38, -1e160, 1e300]
ERRORS = [[e, 0.0] for e in E] + [[0.1, 0.3], [-7.25, 1.5]]
MILD = [[e, 0.0] for e in E if 1e-4 < abs(e) < 1e3] + [[0.1, 0.3], [-7.25, 1.5]]

CASES = [  # name, formula, options, points
    ("MSE", residual(lambda e, o: e**2), {}, ERRORS),
    ("HalfSquared", residual(lambda e, o: e**2 / 2), {}, ERRORS),
    ("MAE", residual(lambda e, o: abs(e)), {}, ERRORS),
    ("LogCosh", residual(lambda e, o: log(cosh(e)) if abs(e) < 1e5 else abs(e) - log(mpf(2))), {}, ERRORS),
    ("Cauchy", residual(lambda e, o: log(1 + (e / o["scale"]) ** 2 / 2)), {"scale": 1.5}, ERRORS),
    ("GemanMcClure", residual(lambda e, o: 2 * (e / o["scale"]) ** 2 / ((e / o["scale"]) ** 2 + 4)), {"scale": 1.5}, ERRORS),
    ("Welsch", residual(lambda e, o: 1 - exp(-((e / o["scale"]) ** 2) / 2) if abs(e) < 1e5 else mpf(1)), {"scale": 1.5}, ERRORS),
    ("Tukey", residual(tukey), {"scale": 4.685}, ERRORS),
    ("Wing", residual(wing), {"margin": 1.0, "epsilon": 0.5}, ERRORS),
    ("EpsilonInsensitive", residual(lambda e, o: max(mpf(0), abs(e) - o["epsilon"])), {"epsilon": 0.1}, ERRORS),
    ("Quantile", residual(lambda e, o: max(-o["quantile"] * e, (1 - o["quantile"]) * e)), {"quantile": 0.9}, ERRORS),
    ("Expectile", residual(lambda e, o: (1 - o["tau"] if e > 0 else o["tau"]) * e**2), {"tau": 0.9}, ERRORS),
]
for d in (1e-8, 0.25, 1.0, 1e6):
    f = residual(lambda e, o: e**2 / 2 if abs(e) <= o["delta"] else o["delta"] * (abs(e) - o["delta"] / 2))
    CASES.append(("Huber", f, {"delta": d}, ERRORS))
    f = residual(lambda e, o: e**2 / 2 / o["beta"] if abs(e) <= o["beta"] else abs(e) - o["beta"] / 2)
    CASES.append(("SmoothL1", f, {"beta": d}, ERRORS))
    CASES.append(("PseudoHuber", residual(lambda e, o: o["delta"] ** 2 * (sqrt(1 + (e / o["delta"]) ** 2) - 1)), {"delta": d}, ERRORS))
    CASES.append(("Charbonnier", residual(lambda e, o: sqrt(e**2 + o["epsilon"] ** 2)), {"epsilon": d}, ERRORS))
for a in (-1e8, -20.0, -2.0, -1e-3, -1e-12, -1e-17, 0.0, 1e-20, 1e-14, 1e-5, 0.5, 1.0, 1.5, 2 - 1e-6, 2 - 2**-52, 2.0, 2 + 2**-51, 2.5):
    CASES.append(("Barron", residual(barron), {"alpha": a, "scale": 0.7}, MILD + [[1e-10, 0.0], [3e38, 0.0]]))

RATIOS = [[1.0, 3.0], [3.0, 1.0], [-2.0, -2.5], [1e-6, 4.0], [4.0, 1e-6], [1.0, 1.0 + 2**-40], [3e38, 2.0], [2.0, 3e38], [-5.0, 0.25]]
CASES += [
    ("MAPE", lambda o: lambda p, t: abs(p - t) / max(abs(t), o["epsilon"]), {"epsilon": 1e-7}, RATIOS + [[3.0, 1e-9], [3.0, -1e-9]]),
    ("SMAPE", lambda o: lambda p, t: 2 * abs(p - t) / (abs(p) + abs(t)), {}, RATIOS),
    ("MSLE", lambda o: lambda p, t: (log(1 + max(p, mpf(1e-7))) - log(1 + max(t, mpf(1e-7)))) ** 2, {}, RATIOS + [[1e-5, 2e-5], [-3.0, 2.0], [2.0, 0.0]]),
]
RATES = [[0.0, 0.5], [0.3, 1.0], [-1.25, 3.0], [2.5, 25.0], [0.7, 0.0], [-30.0, 2.0], [20.0, 1e6], [200.0, 3.0], [-600.0, 0.0]]
for full in (False, True):
    o = {"full": True} if full else {}
    CASES.append(("PoissonNLL", (lambda o: lambda x, t: poisson(x, t, o)), o, [r for r in RATES if r[1] != 1 or not full]))
    for a in (1e-12, 1e-4, 0.02, 0.11, 0.4, 1.0, 7.5, 1e5):
        CASES.append(("NegativeBinomial", (lambda o: lambda f, t: negative_binomial(f, t, o)), dict(o, alpha=a), RATES))
CASES.append(("Gamma", lambda o: lambda f, t: t * exp(-f) + f, {}, [[f, t] for f, t in RATES if t > 0]))
for p in (1.0, 1 + 2**-40, 1.01, 1.5, 1.99, 2 - 2**-40, 2.0):
    CASES.append(("Tweedie", (lambda o: lambda f, t: tweedie(f, t, o["power"])), {"power": p}, [[f, t] for f, t in RATES if t > 0 or p < 2]))

WIDTHS = [[0.3, 0.75, 0.5], [-1.0, 1.0, 3.0], [4.0, 4.0 + 1e-9, 1e-3], [3e38, 0.0, 1.0], [1.0, -3.0, 1e10], [2.0, 0.5, 1e-5], [1e-10, 0.0, 3.0]]
CASES += [
    ("GaussianNLL", lambda o: lambda m, t, v: gaussian(m, t, v, o), {}, WIDTHS),
    ("GaussianNLL", lambda o: lambda m, t, v: gaussian(m, t, v, o), {"full": True}, WIDTHS),
    ("LaplaceNLL", lambda o: lambda m, t, b: log(2 * b) + abs(m - t) / b, {}, WIDTHS),
]
for n in (1e-3, 0.5, 1.0, 4.0, 19.5, 30.0, 1e4, 1e12):
    CASES.append(("StudentTNLL", lambda o: lambda m, t, s: student(m, t, s, o), {"alpha": n}, WIDTHS))

VECTORS = [[1.0, 2.0, -0.5, 0.75, 0.25, -0.5], [1e30, 2e30, 3e30, 3.0, -1.0, 2.0], [1.0, 2.0, 3.0, 1.0, 2.0, 3.25],
           [1e-3, 2e-3, 1e-3, 1e200, -1e200, 5e200], [1.0, 2.0, 3.0, -1.0, -2.0, -2.75]]
CASES.append(("CosineDistance", lambda o: cosine, {}, VECTORS))


def number(x):
    x = float(x)
    return x if abs(x) <= 1.7976931348623157e308 else ("inf" if x > 0 else "-inf")


def tidy(o):
    return {k: (v if isinstance(v, bool) else mpf(v)) for k, v in o.items()}


out = []
for name, formula, options, points in CASES:
    f = formula(tidy(options))
    mp.dps = 350 if name in GENTLE else 900
    rows = []
    for x in points:
        v = [mpf(c) for c in x]
        n = len(v)
        unit = lambda *ks: tuple(ks.count(k) for k in range(n))
        g = [number(diff(f, tuple(v), unit(k))) for k in range(n)]
        h = [[number(diff(f, tuple(v), unit(k, j))) for j in range(n)] for k in range(n)]
        rows.append([x, number(f(*v)), g, h])
    out.append({"loss": name, "options": options, "rows": rows})

print('{"source": "mpmath, see regression.py", "cases": [')
print(",\n".join(json.dumps(c, separators=(",", ":")) for c in out))
print("]}")
