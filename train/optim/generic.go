package optim

import "math"

// The loops below are the rules of this package as every processor computes them. The conversions
// of products keep the compiler from fusing them with additions, so the assembly, which does the
// same operations, gives the same bits.

// updateGeneric makes an update with the constants that the function of the rule's name in rules.go
// returns.
func updateGeneric[F float32 | float64](f formula, c *[constants]F, p, g, a, b []F) {
	keep, l2 := c[0], c[1]
	p = p[:len(g)]
	switch f {
	case sgd:
		rate := c[2]
		for i, d := range g {
			q := F(p[i] * keep)
			d += F(l2 * q)
			p[i] = q - F(rate*d)
		}
	case momentum:
		rate, mu, v := c[2], c[3], a[:len(g)]
		for i, d := range g {
			q := F(p[i] * keep)
			d += F(l2 * q)
			v[i] = F(mu*v[i]) + d
			p[i] = q - F(rate*v[i])
		}
	case nesterov:
		rate, mu, v := c[2], c[3], a[:len(g)]
		for i, d := range g {
			q := F(p[i] * keep)
			d += F(l2 * q)
			v[i] = F(mu*v[i]) + d
			p[i] = q - F(rate*(d+F(mu*v[i])))
		}
	case adam:
		size, new1, b2, new2, scale, eps := c[2], c[3], c[4], c[5], c[6], c[7]
		m, v := a[:len(g)], b[:len(g)]
		for i, d := range g {
			q := F(p[i] * keep)
			d += F(l2 * q)
			mi := m[i] + F(new1*(d-m[i]))
			vi := F(b2*v[i]) + F(F(new2*d)*d)
			m[i], v[i] = mi, vi
			p[i] = q - F(size*(mi/(F(F(math.Sqrt(float64(vi)))*scale)+eps)))
		}
	case rmsprop:
		rate, old, fresh, eps, v := c[2], c[3], c[4], c[5], a[:len(g)]
		for i, d := range g {
			q := F(p[i] * keep)
			d += F(l2 * q)
			v[i] = F(old*v[i]) + F(F(fresh*d)*d)
			p[i] = q - F(rate*(d/(F(math.Sqrt(float64(v[i])))+eps)))
		}
	case adagrad:
		rate, eps, v := c[2], c[3], a[:len(g)]
		for i, d := range g {
			q := F(p[i] * keep)
			d += F(l2 * q)
			v[i] += F(d * d)
			p[i] = q - F(rate*(d/(F(math.Sqrt(float64(v[i])))+eps)))
		}
	case lion:
		rate, b1, new1, b2, new2, m := c[2], c[3], c[4], c[5], c[6], a[:len(g)]
		for i, d := range g {
			q := F(p[i] * keep)
			d += F(l2 * q)
			switch u := F(b1*m[i]) + F(new1*d); {
			case u > 0:
				q -= rate
			case u < 0:
				q += rate
			}
			p[i] = q
			m[i] = F(b2*m[i]) + F(new2*d)
		}
	}
}

// squaresGeneric adds the squares of x to the sums, the i-th to sum i % lanes.
func squaresGeneric[F float32 | float64](sums *[lanes]float64, x []F) {
	for ; len(x) > 0; x = x[min(lanes, len(x)):] {
		for i, v := range x[:min(lanes, len(x))] {
			sums[i] += float64(float64(v) * float64(v))
		}
	}
}

func scaleGeneric[F float32 | float64](x []F, f F) {
	for i := range x {
		x[i] *= f
	}
}

func clampGeneric[F float32 | float64](x []F, f F) {
	for i, v := range x {
		if v > f {
			x[i] = f
		} else if v < -f {
			x[i] = -f
		}
	}
}

func accumulateGeneric[F float32 | float64](dst, src []F) {
	for i, v := range src {
		dst[i] += v
	}
}
