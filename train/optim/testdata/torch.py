"""Trajectories of PyTorch's optimizers, for testdata/torch.json. Gradients are given, not computed: at step n, element i,
g = sin(1.7 n + 0.9 i) * 10^((i mod 5) - 2) + 0.1 p in float64, rounded to the parameters' type."""
import json, math, torch
N, STEPS = 6, 100
def start(dt): return torch.tensor([0.5, -1.25, 2.0, -0.03, 0.007, 1e-3], dtype=torch.float64).to(dt).requires_grad_()
def grad(n, p):
    g = [math.sin(1.7*n + 0.9*i) * 10.0**((i % 5) - 2) + 0.1*float(p[i]) for i in range(N)]
    return torch.tensor(g, dtype=torch.float64).to(p.dtype)
O = torch.optim
cases = {
 "sgd": lambda p: O.SGD(p, lr=0.05),
 "sgd_l2": lambda p: O.SGD(p, lr=0.05, weight_decay=0.1),
 "momentum": lambda p: O.SGD(p, lr=0.02, momentum=0.9),
 "momentum_l2": lambda p: O.SGD(p, lr=0.02, momentum=0.9, weight_decay=0.05),
 "nesterov": lambda p: O.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
 "adam": lambda p: O.Adam(p, lr=0.01),
 "adam_l2": lambda p: O.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
 "adamw": lambda p: O.AdamW(p, lr=0.01),
 "adamw_decay": lambda p: O.AdamW(p, lr=0.01, betas=(0.85, 0.99), weight_decay=0.3),
 "rmsprop": lambda p: O.RMSprop(p, lr=0.01),
 "rmsprop_alpha": lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-5, weight_decay=0.1),
 "adagrad": lambda p: O.Adagrad(p, lr=0.1),
 "adagrad_decay": lambda p: O.Adagrad(p, lr=0.1, lr_decay=0.01, initial_accumulator_value=0.1, weight_decay=0.1),
}
out = {"torch": torch.__version__, "start": [0.5, -1.25, 2.0, -0.03, 0.007, 1e-3], "cases": {}, "schedules": {}, "clip": []}
for name, make in cases.items():
    out["cases"][name] = {}
    for key, dt in (("f32", torch.float32), ("f64", torch.float64)):
        p = start(dt); opt = make([p]); traj = []
        for n in range(1, STEPS+1):
            p.grad = grad(n, p.detach()); opt.step()
            if n in (1, 2, 3, 10, 50, 100): traj.append([n, [float(v) for v in p.detach()]])
        out["cases"][name][key] = traj
L = O.lr_scheduler
def rates(make, observe=None, n=30):
    p = start(torch.float64); opt = O.SGD([p], lr=1.0); s = make(opt); r = []
    for e in range(n):
        r.append(opt.param_groups[0]["lr"]); opt.step()
        s.step(observe[e]) if observe else s.step()
    return r
out["schedules"]["staircase"] = rates(lambda o: L.StepLR(o, step_size=4, gamma=0.3))
# torch counts from 0: element n is the factor of our step n of N = 29 with warmup 0, n = 0 .. 29
out["schedules"]["cosine"] = rates(lambda o: L.CosineAnnealingLR(o, T_max=29, eta_min=0.1))
vals = [1.0, 0.9, 0.95, 0.91, 0.89, 0.89, 0.885, 0.9, 0.9, 0.9, 0.88, 0.87] + [0.875]*18
out["schedules"]["plateau_values"] = vals
out["schedules"]["plateau"] = rates(lambda o: L.ReduceLROnPlateau(o, factor=0.5, patience=2, threshold=0.008, threshold_mode="abs"), vals)
for limit in (0.5, 3.0, 100.0):
    ps = [torch.nn.Parameter(torch.zeros(3, dtype=torch.float64)), torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))]
    ps[0].grad = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64); ps[1].grad = torch.tensor([-0.5, 4.0], dtype=torch.float64)
    norm = torch.nn.utils.clip_grad_norm_(ps, limit)
    out["clip"].append({"limit": limit, "norm": float(norm), "grads": [p.grad.tolist() for p in ps]})
print(json.dumps(out))
