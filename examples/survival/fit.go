package main

import (
	"errors"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/loss/eager"
	"gonum.org/v1/gonum/mat"
)

// estimate is log hazard ratios of the covariates with their standard errors.
type estimate struct{ beta, deviation []float64 }

// fit minimises the partial likelihood by Newton's method. The Hessian by the coefficients is
// Xᵀ·H·X, where H, by the risks, is only ever multiplied with the columns of X, and its inverse has
// the variances of the coefficients.
func fit(s study, opts ...loss.Option) (e estimate, err error) {
	cox, err := eager.CoxPartialLikelihood(append(opts, loss.WithReduction(loss.Sum))...)
	if err != nil {
		return e, err
	}
	n, p := len(s.time), len(covariates)
	time, event := eager.Slice(s.time, n), eager.Slice(s.event, n)
	x := mat.NewDense(n, p, s.x)
	beta, step := mat.NewVecDense(p, nil), mat.NewVecDense(p, nil)
	gradient, product := mat.NewVecDense(p, nil), mat.NewVecDense(p, nil)
	risk, column, moved := mat.NewVecDense(n, nil), make([]float64, n), mat.NewVecDense(n, nil)
	hessian := mat.NewSymDense(p, nil)
	risks, movedTo := eager.Slice(risk.RawVector().Data, n), eager.Slice(moved.RawVector().Data, n)
	for range 30 {
		risk.MulVec(x, beta)
		if _, err := cox.ValueGradient(movedTo, eager.Data{}, risks, time, event); err != nil {
			return e, err
		}
		gradient.MulVec(x.T(), moved)
		for i := range p {
			mat.Col(column, i, x)
			if err := cox.HessianVector(movedTo, eager.Slice(column, n), eager.Data{}, risks, time, event); err != nil {
				return e, err
			}
			product.MulVec(x.T(), moved)
			for j := range i + 1 {
				hessian.SetSym(i, j, product.AtVec(j))
			}
		}
		var root mat.Cholesky
		if !root.Factorize(hessian) {
			return e, errors.New("survival: the Hessian is not positive definite")
		}
		if err := root.SolveVecTo(step, gradient); err != nil {
			return e, err
		}
		beta.SubVec(beta, step)
		if mat.Norm(step, math.Inf(1)) < 1e-9 {
			var variance mat.SymDense
			err := root.InverseTo(&variance)
			for i := range p {
				e.deviation = append(e.deviation, math.Sqrt(variance.At(i, i)))
			}
			e.beta = beta.RawVector().Data
			return e, err
		}
	}
	return e, errors.New("survival: Newton's method has not converged after 30 steps")
}

// leastSquares regresses the logarithm of the time on the covariates. Its estimate is of the log
// hazard ratios in a hazard of the shape above.
func leastSquares(s study) (e estimate, err error) {
	n, p := len(s.time), len(truth)
	x, y := mat.NewDense(n, p+1, nil), mat.NewVecDense(n, nil)
	for i, t := range s.time {
		x.SetRow(i, append([]float64{1}, s.row(i)...))
		y.SetVec(i, -shape*math.Log(t))
	}
	var solution, rest mat.VecDense
	if err := solution.SolveVec(x, y); err != nil {
		return e, err
	}
	rest.MulVec(x, &solution)
	rest.SubVec(&rest, y)
	var gram, variance mat.SymDense
	gram.SymOuterK(float64(n-p-1)/mat.Dot(&rest, &rest), x.T())
	var root mat.Cholesky
	if !root.Factorize(&gram) {
		return e, errors.New("survival: the covariates depend on each other")
	}
	err = root.InverseTo(&variance)
	for i := range p {
		e.beta = append(e.beta, solution.AtVec(i+1))
		e.deviation = append(e.deviation, math.Sqrt(variance.At(i+1, i+1)))
	}
	return e, err
}
