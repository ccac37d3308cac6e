package gradcheck

import (
	"fmt"
	"math"
	"math/big"

	"gorgonia.org/tensor"
)

// bigPrecision is the mantissa of the numbers that a big reference gets.
const bigPrecision = 256

// checkReference compares the result in the dtype of the check with the reference function.
func (k *checker) checkReference() error {
	if k.reference == nil && k.big == nil {
		return nil
	}
	got, err := k.direct()
	if err != nil {
		return err
	}
	want, err := k.referenceValues(len(got))
	if err != nil {
		return err
	}
	bad := 0
	for i, g := range got {
		v := Value{Index: indexOf(i, k.differ.out), Got: g, Want: want[i], Ulps: ulps(g, want[i], k.dtype)}
		k.report.Values = append(k.report.Values, v)
		if v.Ulps <= k.ulps {
			continue
		}
		if bad++; bad <= worstShown {
			k.report.find(Wrong, "", "the value%s is %v, the reference %v: %.3g ulp apart, at most %v allowed",
				atText(v.Index), g, want[i], v.Ulps, k.ulps)
		}
	}
	if bad > worstShown {
		k.report.find(Wrong, "", "%d more values differ from the reference", bad-worstShown)
	}
	return nil
}

// direct returns the result in the dtype of the check, from the operations run one by one.
func (k *checker) direct() ([]float64, error) {
	if k.dtype.Eq(k.ref.dtype) {
		return k.differ.base, nil
	}
	if k.narrow == nil {
		inst, err := k.instance(k.dtype)
		if err != nil {
			return nil, err
		}
		f, err := newFunction(inst, inst.out)
		if err != nil {
			return nil, err
		}
		if err := f.run(); err != nil {
			return nil, err
		}
		if k.narrow, err = f.result(0, nil); err != nil {
			return nil, err
		}
	}
	return k.narrow, nil
}

func atText(index []int) string {
	if len(index) == 0 {
		return ""
	}
	return " at " + indexText(index)
}

// referenceValues calls the reference function, which may panic.
func (k *checker) referenceValues(n int) (want []float64, err error) {
	defer func() {
		if r := recover(); r != nil {
			want, err = nil, fmt.Errorf("the reference function panicked: %v", r)
		}
	}()
	var in [][]float64
	for _, o := range k.ref.operands {
		x, err := numbers(o)
		if err != nil {
			return nil, fmt.Errorf("input %q %w", o.name, err)
		}
		in = append(in, x)
	}
	if k.reference != nil {
		want, err = k.reference(in)
	} else {
		want, err = k.bigValues(in)
	}
	if err == nil && len(want) != n {
		err = fmt.Errorf("%d values, want %d", len(want), n)
	}
	if err != nil {
		return nil, fmt.Errorf("the reference function: %w", err)
	}
	return want, nil
}

func (k *checker) bigValues(in [][]float64) ([]float64, error) {
	args := make([][]*big.Float, len(in))
	for i, x := range in {
		for _, v := range x {
			args[i] = append(args[i], new(big.Float).SetPrec(bigPrecision).SetFloat64(v))
		}
	}
	values, err := k.big(args)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(values))
	for i, v := range values {
		if v == nil {
			return nil, fmt.Errorf("value %d is nil", i)
		}
		out[i], _ = v.Float64()
	}
	return out, nil
}

// numbers returns an operand's values as float64s.
func numbers(o *operand) ([]float64, error) {
	if o.pristine != nil {
		return append([]float64(nil), o.pristine...), nil
	}
	switch d := o.value.Data().(type) {
	case []int:
		return convert(d), nil
	case []int64:
		return convert(d), nil
	case []int32:
		return convert(d), nil
	case []uint8:
		return convert(d), nil
	case int:
		return []float64{float64(d)}, nil
	case int64:
		return []float64{float64(d)}, nil
	case int32:
		return []float64{float64(d)}, nil
	case uint8:
		return []float64{float64(d)}, nil
	case bool:
		return []float64{float64(count(d))}, nil
	case []bool:
		out := make([]float64, len(d))
		for i, b := range d {
			out[i] = float64(count(b))
		}
		return out, nil
	}
	return nil, fmt.Errorf("has dtype %v, which no reference function takes", o.value.Dtype())
}

func convert[T int | int64 | int32 | uint8](d []T) []float64 {
	out := make([]float64, len(d))
	for i, x := range d {
		out[i] = float64(x)
	}
	return out
}

// ulps is the distance of got from want in units in the last place of want, in dt. Equal
// infinities, and two NaN, are 0 apart; a value that is not finite where the other is, +Inf.
func ulps(got, want float64, dt tensor.Dtype) float64 {
	if dt.Eq(tensor.Float32) && math.Abs(want) > math.MaxFloat32+0x1p103 {
		want = math.Inf(int(math.Copysign(1, want))) // rounds to infinity in float32
	}
	switch {
	case got == want || math.IsNaN(got) && math.IsNaN(want):
		return 0
	case !finite(got) || !finite(want):
		return math.Inf(1)
	}
	exp := -1074
	if want != 0 {
		_, exp = math.Frexp(want)
		exp -= 53
		if dt.Eq(tensor.Float32) {
			exp += 29
		}
	}
	if dt.Eq(tensor.Float32) {
		exp = max(exp, -149)
	}
	return math.Abs(got-want) / math.Ldexp(1, max(exp, -1074))
}
