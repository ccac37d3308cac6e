#!/usr/bin/env python3
"""The PyTorch side of BenchmarkElementwise: value and gradient of each elementwise loss, 512x32000 float32.

    OMP_NUM_THREADS=1 python3 loss/testdata/torch_elementwise.py

PyTorch's own function where it has one, else the composite that a user would write. Prints "name milliseconds", the
median of 7 runs after 2. For PyTorch at its best let the allocator keep memory:
MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1099511627776 MALLOC_TOP_PAD_=67108864
"""
import math
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
g = torch.Generator().manual_seed(1)
shape = (512, 32000)
x = torch.randn(shape, generator=g)
y = torch.randn(shape, generator=g)
u = 0.01 + 0.98 * torch.rand(shape, generator=g)
v = 0.01 + 0.98 * torch.rand(shape, generator=g)
s = torch.sign(torch.randn(shape, generator=g))


def barron(e, alpha=1.0):
    b = abs(alpha - 2)
    return b / alpha * ((e * e / b + 1) ** (alpha / 2) - 1)


def tukey(e, c=4.685):
    inside = c * c / 6 * (1 - (1 - (e / c) ** 2) ** 3)
    return torch.where(e.abs() <= c, inside, torch.full_like(e, c * c / 6))


def tweedie(f, t, p=1.5):
    return -t * torch.exp((1 - p) * f) / (1 - p) + torch.exp((2 - p) * f) / (2 - p)


def focal(z, t, gamma=2.0):
    p = torch.sigmoid(z)
    wrong = p * (1 - t) + (1 - p) * t
    return wrong ** gamma * F.binary_cross_entropy_with_logits(z, t, reduction="none")


def asymmetric(z, t, c=0.05):
    p = torch.sigmoid(z)
    m = (p - c).clamp(min=0)
    return -t * (1 - p) * F.logsigmoid(z) - (1 - t) * m ** 4 * torch.log1p(-m)


def modified_huber(z, t):
    m = z * t
    return torch.where(m >= -1, torch.clamp(1 - m, min=0) ** 2, -4 * m)


def quantile(p, t, tau=0.5):
    d = t - p
    return torch.maximum(tau * d, (tau - 1) * d)


def expectile(p, t, tau=0.5):
    d = t - p
    return torch.abs(tau - (d < 0).float()) * d * d


def negative_binomial(f, t, a=1.0):
    return (t + 1 / a) * torch.log1p(a * torch.exp(f)) - t * f


def wing(e, w=1.0, eps=0.5):
    c = w - w * math.log1p(w / eps)
    a = e.abs()
    return torch.where(a < w, w * torch.log1p(a / eps), a - c)


cases = {
    "BinaryCrossEntropy": (x, lambda z: F.binary_cross_entropy_with_logits(z, v)),
    "BinaryCrossEntropyFromProb": (u, lambda z: F.binary_cross_entropy(z, v)),
    "SigmoidFocal": (x, lambda z: focal(z, v).mean()),
    "AsymmetricLoss": (x, lambda z: asymmetric(z, v).mean()),
    "Hinge": (x, lambda z: torch.clamp(1 - s * z, min=0).mean()),
    "SquaredHinge": (x, lambda z: (torch.clamp(1 - s * z, min=0) ** 2).mean()),
    "Perceptron": (x, lambda z: torch.clamp(-s * z, min=0).mean()),
    "SoftMargin": (x, lambda z: F.soft_margin_loss(z, s)),
    "ModifiedHuber": (x, lambda z: modified_huber(z, s).mean()),
    "HingeEmbedding": (x, lambda z: F.hinge_embedding_loss(z, s)),
    "MSE": (x, lambda z: F.mse_loss(z, y)),
    "HalfSquared": (x, lambda z: 0.5 * F.mse_loss(z, y)),
    "MAE": (x, lambda z: F.l1_loss(z, y)),
    "Huber": (x, lambda z: F.huber_loss(z, y)),
    "SmoothL1": (x, lambda z: F.smooth_l1_loss(z, y)),
    "LogCosh": (x, lambda z: ((z - y) + F.softplus(-2 * (z - y)) - math.log(2)).mean()),
    "PseudoHuber": (x, lambda z: (torch.sqrt(1 + (z - y) ** 2) - 1).mean()),
    "Charbonnier": (x, lambda z: torch.sqrt((z - y) ** 2 + 1e-6).mean()),
    "Quantile": (x, lambda z: quantile(z, y).mean()),
    "Expectile": (x, lambda z: expectile(z, y).mean()),
    "EpsilonInsensitive": (x, lambda z: torch.clamp((z - y).abs() - 0.1, min=0).mean()),
    "MAPE": (x, lambda z: ((z - y).abs() / y.abs().clamp(min=1e-7)).mean()),
    "SMAPE": (x, lambda z: (2 * (z - y).abs() / (z.abs() + y.abs())).mean()),
    "MSLE": (x, lambda z: ((torch.log1p(z.clamp(min=1e-7)) - torch.log1p(y.clamp(min=1e-7))) ** 2).mean()),
    "Wing": (x, lambda z: wing(z - y).mean()),
    "Cauchy": (x, lambda z: torch.log1p(0.5 * (z - y) ** 2).mean()),
    "GemanMcClure": (x, lambda z: (2 * (z - y) ** 2 / ((z - y) ** 2 + 4)).mean()),
    "Welsch": (x, lambda z: (1 - torch.exp(-0.5 * (z - y) ** 2)).mean()),
    "Tukey": (x, lambda z: tukey(z - y).mean()),
    "Barron": (x, lambda z: barron(z - y).mean()),
    "PoissonNLL": (x, lambda z: F.poisson_nll_loss(z, v)),
    "Gamma": (x, lambda z: (v * torch.exp(-z) + z).mean()),
    "Tweedie": (x, lambda z: tweedie(z, v).mean()),
    "NegativeBinomial": (x, lambda z: negative_binomial(z, v).mean()),
    "StandardGaussianKL": (x, lambda z: (-0.5 * (1 + y - z * z - y.exp())).mean()),
    "BernoulliKL": (x, lambda z: (torch.sigmoid(z) * (z - y) + F.softplus(y) - F.softplus(z)).mean()),
}

only = sys.argv[1:]
print("#", torch.__version__, torch.get_num_threads(), "threads", flush=True)
for name, (pred, f) in cases.items():
    if only and name not in only:
        continue
    z = pred.clone().requires_grad_(True)
    times = []
    for i in range(9):
        start = time.perf_counter()
        f(z).backward()
        z.grad = None
        times.append(time.perf_counter() - start)
    print(f"{name} {1e3 * statistics.median(times[2:]):.1f}", flush=True)
