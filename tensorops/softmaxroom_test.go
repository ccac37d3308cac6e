package tensorops

import "testing"

// Kernels stay within the memory that a call sets aside for its groups: what lies behind it, often
// another object of the heap, is not written to. Two classes are packed as four.
func TestSoftmaxRoom(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		testSoftmaxRoom[float32](t)
		testSoftmaxRoom[float64](t)
	})
}

func testSoftmaxRoom[F Float](t *testing.T) {
	t.Helper()
	k := active[F]().softmax
	if k == nil {
		return
	}
	const guard, canary = 256, 12345
	for classes := 1; classes <= 40; classes++ {
		for _, rows := range []int{1, 7, 16, 33} {
			for _, o := range []LabelSoftmax{{}, {Softcap: 3}, {Smoothing: 0.1, ZLoss: 0.1}, {Softcap: 3, Smoothing: 0.1}} {
				if classes == 1 && o.Smoothing != 0 {
					continue // not for kernels
				}
				o.Classes, o.Inner, o.Scale = classes, 1, 1
				n := rows * classes
				labels, g := make([]int, rows), make([]float64, rows)
				x, dst, values := make([]F, n), make([]F, n), make([]float64, rows)
				for i := range g {
					g[i], labels[i] = 1, i%classes
				}
				w := new(softmaxWork)
				c := softmaxCall[F]{k: k, w: w, values: values, dst: dst, x: x, hi: rows, labels: labels, g: g,
					classes: classes, inner: 1, scale: 1, softcap: o.Softcap, smoothing: o.Smoothing, o: &o}
				c.labelGroups()
				// again in buffers of the same sizes with a guard behind each
				m := memoryOf[F](w)
				var check []func() bool
				for _, b := range []*[]F{&m.x, &m.t, &m.out, &m.rows} {
					check = append(check, withGuard(b, guard, canary))
				}
				for _, b := range []*[]float64{&w.e, &w.z, &w.slope, &w.k, &w.b} {
					check = append(check, withGuard(b, guard, canary))
				}
				c.labelGroups()
				for i, ok := range check {
					if !ok() {
						t.Fatalf("%T, %d rows of %d classes, %+v: buffer %d is written behind its end", x, rows,
							classes, o, i)
					}
				}
			}
		}
	}
}

// withGuard gives a buffer of the same length, without what it was grown by, to the next call, and
// reports whether what lies behind it is as it was.
func withGuard[T Float](buf *[]T, guard int, canary T) (intact func() bool) {
	n := len(*buf) - len(*buf)/5 // sized adds a quarter
	if n == 0 {
		return func() bool { return true }
	}
	all := make([]T, n+guard)
	for i := range all {
		all[i] = canary
	}
	*buf = all[:n:n]
	return func() bool {
		if len(*buf) != n {
			return true // it was too small, and replaced
		}
		for _, v := range all[n:] {
			if v != canary {
				return false
			}
		}
		return true
	}
}
