"""Cases for record.json: scikit-learn's metrics on random predictions, with and without sample weights.
The calibration errors have no function there; they are the definition, written out with numpy."""
import json, warnings
import numpy as np, sklearn
from scipy.special import softmax, expit
from sklearn import metrics as M
warnings.filterwarnings("ignore")
rng = np.random.default_rng(20)
cases = []
def ece(conf, hit, w, bins):
    k = np.clip(np.ceil(conf * bins).astype(int) - 1, 0, bins - 1); total = 0.0
    for b in range(bins):
        m = k == b
        if m.any(): total += abs((w[m] * hit[m]).sum() - (w[m] * conf[m]).sum())
    return total / w.sum()
for n, c, weighted in [(40, 3, False), (57, 5, True), (200, 10, False), (9, 4, True)]:
    z = rng.normal(size=(n, c)) * 2; y = rng.integers(0, c, size=n); z[np.arange(n), y] += 1.5
    if n == 9: y[y == 3] = 2; z[:, 3] -= 9         # a class that never occurs
    w = rng.uniform(0.1, 3, size=n) if weighted else None
    ww = w if weighted else np.ones(n)
    p = z.argmax(1); q = softmax(z, axis=1); lab = list(range(c))
    pm = dict(sample_weight=w, zero_division=0)
    ll = M.log_loss(y, q, labels=lab, sample_weight=w, eps=1e-300)
    v = {"accuracy": M.accuracy_score(y, p, sample_weight=w), "top2_accuracy": M.top_k_accuracy_score(y, z, k=2, labels=lab, sample_weight=w),
         "perplexity": float(np.exp(ll)), "bits": ll / np.log(2), "calibration_error": ece(q.max(1), (p == y).astype(float), ww, 10)}
    for a in ("macro", "micro"):
        v["precision_" + a] = M.precision_score(y, p, average=a, **pm); v["recall_" + a] = M.recall_score(y, p, average=a, **pm); v["f1_" + a] = M.f1_score(y, p, average=a, **pm)
    cases.append({"kind": "classes", "width": c, "scores": z.ravel().tolist(), "labels": y.tolist(), "weights": w.tolist() if weighted else None,
                  "values": {k: float(x) for k, x in v.items()}, "confusion": M.confusion_matrix(y, p, labels=lab, sample_weight=w).astype(float).tolist()})
for n, weighted in [(50, False), (73, True), (300, False)]:
    y = (rng.uniform(size=n) < 0.3).astype(int); z = np.round(rng.normal(size=n) + 1.2 * y - 0.5, 1)   # rounding makes ties
    w = rng.uniform(0.1, 3, size=n) if weighted else None; p = (z > 0).astype(int); ww = w if weighted else np.ones(n)
    pm = dict(sample_weight=w, zero_division=0)
    v = {"auroc": M.roc_auc_score(y, z, sample_weight=w), "average_precision": M.average_precision_score(y, z, sample_weight=w),
         "binary_accuracy": M.accuracy_score(y, p, sample_weight=w), "precision": M.precision_score(y, p, **pm), "recall": M.recall_score(y, p, **pm), "f1": M.f1_score(y, p, **pm),
         "calibration_error": ece(expit(z), y.astype(float), ww, 10)}
    cases.append({"kind": "binary", "width": 1, "scores": z.tolist(), "labels": y.tolist(), "weights": w.tolist() if weighted else None, "values": {k: float(x) for k, x in v.items()}})
for n, c, offset, weighted in [(30, 1, 0, False), (45, 2, 0, True), (64, 1, 1e6, False), (25, 3, -1e4, True)]:
    y = rng.normal(size=(n, c)) + offset; z = y + rng.normal(size=(n, c)) * 0.5
    w = rng.uniform(0.1, 3, size=n) if weighted else None; flat = None if w is None else np.repeat(w, c)
    v = {"mae": M.mean_absolute_error(y, z, sample_weight=w), "rmse": M.mean_squared_error(y.ravel(), z.ravel(), sample_weight=flat, squared=False), "r2": M.r2_score(y, z, sample_weight=w)}
    cases.append({"kind": "regression", "width": c, "scores": z.ravel().tolist(), "targets": y.ravel().tolist(), "weights": w.tolist() if weighted else None, "values": {k: float(x) for k, x in v.items()}})
print(json.dumps({"sklearn": sklearn.__version__, "numpy": np.__version__, "cases": cases}))
