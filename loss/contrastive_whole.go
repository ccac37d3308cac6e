package loss

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss/internal/core"
	"github.com/surprisal-go/surprisal/loss/internal/formula"
	G "gorgonia.org/gorgonia"
)

// WithTerms sets the factors >= 0 of invariance, variance and covariance in [VICReg]. Default 25,
// 25 and 1.
func WithTerms(invariance, variance, covariance float64) Option {
	return numbers(core.OptTerms, []float64{invariance, variance, covariance})
}

// WithUnbiased divides the variances of [BarlowTwins] by N - 1 instead of N.
func WithUnbiased() Option {
	return core.OptUnbiased.Flag
}

// Uniformity returns the logarithm of the mean of a Gaussian kernel over all pairs of directions.
//
// With u_i the rows of x divided by their lengths, t the scale and k_ij = e^(-t·‖u_i - u_j‖²),
//
//	l = log (2/(N(N-1))·Σ_{i<j} k_ij)        dl/d‖u_i - u_j‖² = -t·k_ij/Σ_{i<j} k
//
// x has the shape (N, D). The result is a scalar under every reduction, and takes no weights.
//
// Options: [WithScale] (t > 0, default 2), [WithReduction], [WithMask].
//
// The value is never above 0. A mask of shape (N) removes rows; with fewer than two rows the value
// is 0. A zero vector remains zero, with gradient 0; vectors shorter than 1e-8 are divided by 1e-8.
// The memory beyond the operand is two numbers for each pair of rows.
//
// [Alignment] is its counterpart, which pulls the views of an example together.
//
// Reference: T. Wang, P. Isola, Understanding Contrastive Representation Learning through Alignment
// and Uniformity on the Hypersphere, 2020.
func Uniformity(x *G.Node, opts ...Option) (*G.Node, error) { return build(&uniformity, opts, x) }

var uniformity = core.Definition{
	Name: "Uniformity", Operands: vectors("x"), Takes: core.Options(wholeOptions, core.OptScale), Defaults: core.Settings{Scale: 2},
	Grouped: oneValue, Others: "the authors' uniform_loss",
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			if zeroBelow(g, 2) {
				return nil
			}
			points, n := formula.PointsOf(g, formula.MatrixOf(g, 0), d.Len('D'), true), g.N
			pairs := formula.NewPairs(g, formula.SquaredDistances, points, points, d.Float32)
			pairs.All(func(r *formula.PairRow) {
				v := r.LogSum(-s.Scale, func(at int) bool { return at/n != at%n }, g.Factor[0])
				if g.Value != nil {
					g.Value[0] = v - math.Log(float64(n)*float64(n-1))
				}
			})
			points.Finish()
			return nil
		}
	},
}

// zeroBelow writes the value 0 and derivatives of 0 where there are fewer than n entries.
func zeroBelow(g *core.Group, n int) bool {
	if g.N >= n {
		return false
	}
	clear(g.Value)
	for k := range g.Grad {
		clear(g.Grad[k])
		clear(g.Hess[k])
	}
	return true
}

// VICReg returns a weighted sum of the squared difference of two views, of the amounts by which the
// standard deviations of their features fall short of a margin, and of the squared covariances of
// the features.
//
// With C the covariance matrix of the features of a view, divided by N - 1, a, b and c the factors
// and γ the margin,
//
//	l = a·mean (x - y)² + b/2·Σ mean_d max(0, γ - √(C_dd + ε)) + c/D·Σ Σ_{d≠e} C_de²
//	dl/dx = 2a/(ND)·(x - y) + 2/(N-1)·(x - mean x)·K
//
// with the sums over both views, K_de = 2c/D·C_de and K_dd = -b/(4D)/√(C_dd + ε) below the margin
// and 0 above. x and y have the shape (N, D) and the same dtype. The result is a scalar under every
// reduction, and takes no weights.
//
// Options: [WithTerms] (a, b, c >= 0, default 25, 25, 1), [WithMargin] (γ, default 1),
// [WithEpsilon] (ε > 0, default 1e-4), [WithReduction], [WithMask].
//
// A mask of shape (N) removes row i of both views; with fewer than two rows the value is 0. A
// constant feature has a variance of 0, whose derivative ε keeps finite.
//
// [BarlowTwins] compares the features of one view with those of the other.
//
// Reference: A. Bardes, J. Ponce, Y. LeCun, VICReg: Variance-Invariance-Covariance Regularization
// for Self-Supervised Learning, 2022.
func VICReg(x, y *G.Node, opts ...Option) (*G.Node, error) { return build(&vicReg, opts, x, y) }

var vicReg = core.Definition{
	Name: "VICReg", Operands: vectors("x", "y"), Takes: core.Options(wholeOptions, core.OptTerms, core.OptMargin, core.OptEpsilon),
	Defaults: core.Settings{Margin: 1, Epsilon: 1e-4, Embedding: core.Embedding{Terms: []float64{25, 25, 1}}},
	Grouped:  oneValue, Check: positiveEpsilon, Laws: core.NonNegative, Others: "lightly VICRegLoss",
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		t := s.Embedding.Terms
		return func(g *core.Group) error {
			if zeroBelow(g, 2) {
				return nil
			}
			f, width := g.Factor[0], d.Len('D')
			size, free := float64(g.N*width), float64(g.N-1)
			sum := formula.MeanSquare(g, t[0]/size, f)
			rows := g.Buf(width)
			for k := range 2 {
				features, back := formula.FeaturesOf(g, formula.MatrixOf(g, k), width)
				points := formula.PointsOf(g, features, g.N, false)
				pairs := formula.NewPairs(g, formula.Products, points, points, false)
				pairs.Scale, pairs.Factor = 1/free, nil
				pairs.EachRow(func(r *formula.PairRow) {
					rows[r.I] = r.SquaresBesides(t[2]/float64(width), f, func(c float64) (v, d, dd float64) {
						root := math.Sqrt(c + s.Epsilon)
						if !(root < s.Margin) {
							return 0 * root, 0 * root, 0 * root // NaN stays NaN
						}
						b := t[1] / 2 / float64(width)
						return b * (s.Margin - root), -b / 2 / root, b / 4 / (root * root * root)
					})
				})
				points.Finish()
				back()
				for _, v := range rows {
					sum += v
				}
			}
			if g.Value != nil {
				g.Value[0] = sum
			}
			return nil
		}
	},
}

// BarlowTwins returns the squared deviation of the matrix of correlations between the features of
// two views from the identity.
//
// With z_x and z_y the features of the views, centred and divided by √(variance + ε), and C =
// z_xᵀ·z_y/N,
//
//	l = Σ_d (C_dd - 1)² + α·Σ_{d≠e} C_de²        dl/dC_dd = 2·(C_dd - 1)        dl/dC_de = 2α·C_de
//
// x and y have the shape (N, D) and the same dtype. The result is a scalar under every reduction,
// and takes no weights.
//
// Options: [WithAlpha] (α >= 0, default 5e-3), [WithEpsilon] (ε >= 0, default 1e-5),
// [WithUnbiased], [WithReduction], [WithMask].
//
// A mask of shape (N) removes row i of both views; with fewer than two rows the value is 0. A
// constant feature has the correlation 0 with all others, with gradient 0 if ε is 0.
//
// [VICReg] considers the features of each view separately.
//
// Reference: J. Zbontar, L. Jing, I. Misra, Y. LeCun, S. Deny, Barlow Twins: Self-Supervised
// Learning via Redundancy Reduction, 2021.
func BarlowTwins(x, y *G.Node, opts ...Option) (*G.Node, error) {
	return build(&barlowTwins, opts, x, y)
}

var barlowTwins = core.Definition{
	Name: "BarlowTwins", Operands: vectors("x", "y"), Takes: core.Options(wholeOptions, core.OptAlpha, core.OptEpsilon, core.OptUnbiased),
	Defaults: core.Settings{Alpha: 5e-3, Epsilon: 1e-5}, Grouped: oneValue, Laws: core.NonNegative,
	Others: "lightly BarlowTwinsLoss; MONAI BarlowTwinsLoss: WithUnbiased, WithEpsilon(0)",
	Check: func(s *core.Settings) error {
		if s.Alpha < 0 {
			return fmt.Errorf("WithAlpha is %v, want a number >= 0", s.Alpha)
		}
		if s.Epsilon < 0 {
			return fmt.Errorf("WithEpsilon is %v, want a number >= 0", s.Epsilon)
		}
		return nil
	},
	Group: func(s *core.Settings, d *core.GroupDims) core.GroupFunc {
		return func(g *core.Group) error {
			if zeroBelow(g, 2) {
				return nil
			}
			free := float64(g.N) // what variances are divided by
			if s.Embedding.Unbiased {
				free--
			}
			var points [2]*formula.Points
			var back [2]func()
			for k := range points {
				var features formula.Matrix
				features, back[k] = formula.FeaturesOf(g, formula.MatrixOf(g, k), d.Len('D'))
				points[k] = formula.ScaledPoints(g, features, g.N, free*s.Epsilon)
			}
			// z is √free times the point
			pairs, f, rows := formula.NewPairs(g, formula.Products, points[0], points[1], false), g.Factor[0], g.Buf(d.Len('D'))
			pairs.Scale, pairs.Factor = free/float64(g.N), nil
			pairs.EachRow(func(r *formula.PairRow) {
				rows[r.I] = r.SquaresBesides(s.Alpha, f, func(c float64) (v, d, dd float64) { return (c - 1) * (c - 1), 2 * (c - 1), 2 })
			})
			pairs.Finish()
			for k := range back {
				clear(g.Grad[k])
				clear(g.Hess[k])
				back[k]()
			}
			if g.Value != nil {
				g.Value[0] = 0
				for _, v := range rows {
					g.Value[0] += v
				}
			}
			return nil
		}
	},
}
