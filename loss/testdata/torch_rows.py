"""PyTorch's side of BenchmarkRows in loss/eager: value and the gradient by the first operand.

    OMP_NUM_THREADS=1 python3 loss/testdata/torch_rows.py [LOSS...]

Prints the processor time in milliseconds, the least of twelve runs, of PyTorch's own function where
there is one, else of the composite that a user would write.
"""
import math
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
g = torch.Generator()


def make(kind, dt, n, c):
    """An operand: logits, probabilities, their logarithms, labels, lists of labels, fractions, widths or signs."""
    x = torch.randn(n, c, generator=g, dtype=torch.float64) * 3
    if kind == "z":
        return x.to(dt)
    if kind == "p":
        return torch.softmax(x, -1).to(dt)
    if kind == "q":
        return torch.log_softmax(x, -1).to(dt)
    if kind == "y":
        return torch.randint(0, c, (n,), generator=g)
    if kind == "l":
        y = torch.randint(0, c, (n, c), generator=g)
        y[:, 3:] = -1
        return y
    u = torch.rand(n, c, generator=g, dtype=torch.float64)
    if kind == "u":
        return u.to(dt)
    if kind == "w":
        return (u + 0.1).to(dt)
    if kind == "s":
        return torch.sign(x).to(dt)
    raise ValueError(kind)


def mean(v):
    return v.sum(-1).mean()


def ls(z):
    return F.log_softmax(z, -1)


def distill(z, t, y):
    return 0.5 * 16 * F.kl_div(ls(z / 4), F.softmax(t / 4, -1), reduction="batchmean") + 0.5 * F.cross_entropy(z, y)


def js(p, t):
    m = 0.5 * (p + t)
    return 0.5 * (F.kl_div(m.log(), p, reduction="batchmean") + F.kl_div(m.log(), t, reduction="batchmean"))


def soft_focal(z, t):
    l = ls(z)
    return mean(-t * (1 - l.exp()) ** 2 * l)


def soft_poly(z, t):
    l = ls(z)
    return mean(t * (-l + 2 * (1 - l.exp())))


def soft_gce(z, t):
    l = ls(z)
    return mean(t * (1 - l.exp() ** 0.7) / 0.7)


def soft_sph(z, t):
    p = F.softmax(z, -1)
    return (-(t * p).sum(-1) / p.norm(dim=-1)).mean()


def brier_y(z, y):
    p = F.softmax(z, -1)
    return mean((p - F.one_hot(y, z.shape[1])) ** 2)


def rps(z, y):
    p = F.softmax(z, -1)
    return mean((p.cumsum(-1) - F.one_hot(y, z.shape[1]).cumsum(-1)) ** 2)


def ldam(z, y, m):
    return F.cross_entropy(30 * (z - F.one_hot(y, z.shape[1]) * m), y)


def cos_face(z, y):
    return F.cross_entropy(64 * (z - 0.35 * F.one_hot(y, z.shape[1])), y)


def arc_face(z, y):
    i = y[:, None]
    a = torch.cos(torch.acos(z.gather(1, i)) + 0.5)
    return F.cross_entropy(64 * z.scatter(1, i, a), y)


def cat_hinge(z, t):
    return F.relu(1 + ((1 - t) * z).max(-1).values - (t * z).sum(-1)).mean()


def crammer(z, y, m):
    i = y[:, None]
    o = z.scatter(1, i, float("-inf")).max(-1).values
    return F.relu(m + o - z.gather(1, i)[:, 0]).mean()


def sparse(z, y):
    s, _ = torch.sort(z, -1, descending=True)
    cs = s.cumsum(-1) - 1
    k = torch.arange(1, z.shape[1] + 1)
    n = (k * s > cs).sum(-1, keepdim=True)
    tau = cs.gather(-1, n - 1) / n
    p = F.relu(z - tau)
    return ((p * (z - p / 2)).sum(-1) + 0.5 - z.gather(1, y[:, None])[:, 0]).mean()


def entmax(z, y):
    z = z / 2
    s, _ = torch.sort(z, -1, descending=True)
    k = torch.arange(1, z.shape[1] + 1)
    m = s.cumsum(-1) / k
    m2 = (s ** 2).cumsum(-1) / k
    tau = m - torch.sqrt(F.relu((1 - k * (m2 - m * m)) / k))
    n = (tau <= s).sum(-1, keepdim=True)
    p = F.relu(z - tau.gather(-1, n - 1)) ** 2
    h = (1 - (p * p.sqrt()).sum(-1)) / 0.75
    return ((p * z).sum(-1) * 2 + h - 2 * z.gather(1, y[:, None])[:, 0]).mean()


def evid(e, y):
    a = e + 1
    s = a.sum(-1, keepdim=True); p = a / s
    return mean((F.one_hot(y, e.shape[1]) - p) ** 2 + p * (1 - p) / (s + 1))

def crps(m, t, s):
    z = (t - m) / s
    density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return (s * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))).mean()


def gaussian_kl(m1, s1, m2, s2):
    r, e = s1 / s2, (m1 - m2) / s2
    return (0.5 * (r * r - 1 + e * e) - torch.log(r)).mean()


def student(m, t, s):
    z = (m - t) / s
    return (torch.log(s) + 2.5 * torch.log1p(z * z / 4)).mean()


def dpo(c, r, c0, r0):
    return -F.logsigmoid(0.1 * (c - c0) - 0.1 * (r - r0)).mean()


T = {
    "Distillation": ("zzy", distill),
    "KL+logtarget": ("zq", lambda z, q: F.kl_div(ls(z), q, reduction="batchmean", log_target=True)),
    "KL+targetlogits": ("zz", lambda z, t: F.kl_div(ls(z), ls(t), reduction="batchmean", log_target=True)),
    "KLFromLogProb": ("qp", lambda q, t: F.kl_div(q, t, reduction="batchmean")),
    "KLFromLogProb+logtarget": ("qq", lambda q, t: F.kl_div(q, t, reduction="batchmean", log_target=True)),
    "ReverseKL": ("zp", lambda z, t: F.kl_div(t.log(), ls(z), reduction="batchmean", log_target=True)),
    "ReverseKL+logtarget": ("zq", lambda z, t: F.kl_div(t, ls(z), reduction="batchmean", log_target=True)),
    "ReverseKL+targetlogits": ("zz", lambda z, t: F.kl_div(ls(t), ls(z), reduction="batchmean", log_target=True)),
    "JensenShannon": ("pp", js),
    "JensenShannon+beta1": ("pp", lambda p, t: F.kl_div(t.log(), p, reduction="batchmean")),
    "TotalVariation": ("pp", lambda p, t: mean((p - t).abs()) / 2),
    "GeneralizedKL": ("pp", lambda p, t: mean(F.kl_div(p.log(), t, reduction="none") + p - t)),
    "AlphaDivergence": ("pp", lambda p, t: 4 * (1 - (p * t).sqrt().sum(-1)).mean()),
    "AlphaDivergence+alpha2": ("pp", lambda p, t: ((t * t / p).sum(-1) - 1).mean() / 2),
    "Renyi": ("pp", lambda p, t: (t * t / p).sum(-1).log().mean()),
    "Renyi+alpha1": ("pp", lambda p, t: F.kl_div(p.log(), t, reduction="batchmean")),
    "Hellinger": ("pp", lambda p, t: (1 - (p * t).sqrt().sum(-1)).sqrt().mean()),
    "Bhattacharyya": ("pp", lambda p, t: -(p * t).sqrt().sum(-1).log().mean()),
    "CrossEntropyFromProb+labels": ("py", lambda p, y: F.nll_loss(p.log(), y)),
    "CrossEntropyFromProb+soft": ("pp", lambda p, t: -mean(t * p.log())),
    "CrossEntropy+prior+softcap": ("zy", lambda z, y: F.cross_entropy(30 * torch.tanh(z / 30) + prior, y)),
    "SoftmaxFocal+soft": ("zp", soft_focal),
    "PolyCrossEntropy+soft": ("zp", soft_poly),
    "GeneralizedCrossEntropy+soft": ("zp", soft_gce),
    "SphericalScore+soft": ("zp", soft_sph),
    "Brier+labels": ("zy", brier_y),
    "Brier+soft": ("zp", lambda z, t: mean((F.softmax(z, -1) - t) ** 2)),
    "RankedProbability": ("zy", rps),
    "EMD+labels": ("zy", rps),
    "LDAM": ("zy", lambda z, y: ldam(z, y, margins)),
    "ArcFace": ("uy", arc_face),
    "CosFace": ("uy", cos_face),
    "MultiMargin": ("zy", lambda z, y: F.multi_margin_loss(z, y)),
    "MulticlassHinge": ("zy", lambda z, y: crammer(z, y, 1)),
    "MulticlassPerceptron": ("zy", lambda z, y: F.relu(z.max(-1).values - z.gather(1, y[:, None])[:, 0]).mean()),
    "CategoricalHinge+soft": ("zp", cat_hinge),
    "MultiLabelSoftMargin": ("zp", lambda z, t: F.multilabel_soft_margin_loss(z, t)),
    "MultiLabelMargin": ("zl", lambda z, t: F.multilabel_margin_loss(z, t)),
    "Sparsemax": ("zy", sparse),
    "Entmax15": ("zy", entmax),
    "EvidentialMSE": ("uy", evid),
    "CosineDistance": ("zz", lambda a, b: (1 - F.cosine_similarity(a, b)).mean()),
    "GaussianNLL": ("zzw", lambda m, t, v: F.gaussian_nll_loss(m, t, v)),
    "LaplaceNLL": ("zzw", lambda m, t, s: (torch.log(2 * s) + (m - t).abs() / s).mean()),
    "StudentTNLL": ("zzw", student),
    "GaussianKL": ("zwzw", gaussian_kl),
    "GaussianCRPS": ("zzw", crps),
    "MarginRanking": ("zzs", lambda a, b, y: F.margin_ranking_loss(a, b, y)),
    "DPO": ("zzzz", dpo),
    "SimPO": ("zz", lambda c, r: -F.logsigmoid(2 * (c - r) - 0.5).mean()),
}


for name in sys.argv[1:] or T:
    kinds, f = T[name]
    for n, c in ((1024, 1000), (65536, 21)):
        for dt in (torch.float32, torch.float64):
            g.manual_seed(1)
            prior = torch.zeros(c, dtype=dt)
            margins = torch.rand(c, generator=g, dtype=torch.float64).to(dt)
            a = [make(k, dt, n, c) for k in kinds]
            x = a[0].requires_grad_(True)
            best = math.inf
            for _ in range(12):
                x.grad = None
                start = time.process_time_ns()
                f(*a).backward()
                best = min(best, time.process_time_ns() - start)
            print(name, "f32" if dt == torch.float32 else "f64", f"{n}x{c}", f"{best / 1e6:.2f}", flush=True)
