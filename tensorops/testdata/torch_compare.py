#!/usr/bin/env python3
"""PyTorch's side of the comparison: times and errors of the operations that package tensorops has.

    python3 torch_compare.py                  times and errors, one thread
    python3 torch_compare.py --threads 2 --times

Times are the least of repeated calls, in microseconds, on normal inputs of deviation 3 and uniform labels; "both" is
value and gradient. The sub-benchmarks of `go test -bench . ./tensorops` have the same names. So that PyTorch does not
pay for fresh pages on every call, start it with

    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1099511627776 MALLOC_TOP_PAD_=67108864

Errors are those of float32 results against float64 arithmetic on the same float32 inputs, the largest over a row and
over rows, in units of the last place; `go test -v -run TestAccuracy ./tensorops` prints ours.
"""
import argparse
import time

import torch
import torch.nn.functional as F

SHAPES = [(64, 10), (1024, 1000), (512, 32000), (128, 128256)]


def least(f, seconds):
    f()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def print_times(seconds):
    for dtype, name in ((torch.float32, "f32"), (torch.float64, "f64")):
        for rows, cols in SHAPES:
            x = (3 * torch.randn(rows, cols)).to(dtype)
            y = torch.randint(0, cols, (rows,))
            leaf = x.clone().requires_grad_(True)

            def both():
                leaf.grad = None
                F.cross_entropy(leaf, y).backward()

            work = {
                "LogSumExp": lambda: torch.logsumexp(x, -1),
                "Softmax": lambda: torch.softmax(x, -1),
                "LogSoftmax": lambda: torch.log_softmax(x, -1),
                "CrossEntropy/forward": lambda: F.cross_entropy(x, y),
            }
            for op, f in work.items():
                with torch.no_grad():
                    print(f"{op:22s} {name} {rows}x{cols:<8d} {least(f, seconds):12.1f} us", flush=True)
            print(f"{'CrossEntropy/both':22s} {name} {rows}x{cols:<8d} {least(both, seconds):12.1f} us", flush=True)


def ulp(v):
    """The distance from |v| to the next float32."""
    v = v.abs().to(torch.float32)
    return (torch.nextafter(v, torch.tensor(float("inf"))) - v).to(torch.float64)


def units(got, want):
    """The largest error in units of the last place, leaving out what is below twice the smallest normal number."""
    keep = want.abs() >= 2.0**-125
    return ((got.to(torch.float64) - want).abs() / ulp(want))[keep].max().item() if keep.any() else 0.0


def distributions(n):
    def dominant():
        x = torch.randn(n)
        x[n // 2] = 20
        return x

    return {
        "normal": lambda: torch.randn(n),
        "normal3": lambda: 3 * torch.randn(n),
        "normal30": lambda: 30 * torch.randn(n),
        "uniform": lambda: -80 * torch.rand(n),
        "dominant": dominant,
        "logprobs": lambda: torch.randn(n) - 7,
    }


def print_errors():
    for n in (1, 10, 100, 1000, 32000, 128256, 1_000_000):
        for name, draw in distributions(n).items():
            worst = [0.0] * 4
            for _ in range(max(1, min(200, 100_000 // n))):
                x = draw()
                wide = x.double()
                logs = torch.log_softmax(wide, -1)
                y = torch.tensor([0])
                got = [
                    units(torch.logsumexp(x, -1)[None], torch.logsumexp(wide, -1)[None]),
                    units(torch.softmax(x, -1), torch.softmax(wide, -1)),
                    units(torch.log_softmax(x, -1), logs),
                    units(F.cross_entropy(x[None], y)[None], F.cross_entropy(wide[None], y)[None]),
                ]
                worst = [max(a, b) for a, b in zip(worst, got)]
            print(f"{name:9s} n={n:<8d} log-sum-exp {worst[0]:.3f}  softmax {worst[1]:.2f}  "
                  f"log-softmax {worst[2]:.2f}  cross-entropy {worst[3]:.3f}", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seconds", type=float, default=0.5, help="time for each measurement")
    ap.add_argument("--times", action="store_true", help="times only")
    ap.add_argument("--errors", action="store_true", help="errors only")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    print("PyTorch", torch.__version__, "threads", a.threads, torch.backends.cpu.get_cpu_capability())
    if not a.errors:
        print_times(a.seconds)
    if not a.times:
        print_errors()


if __name__ == "__main__":
    main()
