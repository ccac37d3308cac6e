package vec

// step is the number of elements that the kernels for weights advance by.
const step = 16

// MaskWeights writes mask[i], which is 0 or 1, to dst[i] and returns the number of ones. valid
// reports whether all of mask is 0 or 1; where it is not, dst and ones are unspecified.
func MaskWeights[F float32 | float64](dst []F, mask []byte) (ones int, valid bool) {
	if len(dst) != len(mask) {
		panic("vec: length mismatch")
	}
	// counts of a kernel have 32 bits
	const most = 1 << 24
	var bits uint32
	for len(mask) > most {
		n, v := MaskWeights(dst[:most], mask[:most])
		if !v {
			return 0, false
		}
		ones += n
		dst, mask = dst[most:], mask[most:]
	}
	whole := len(mask) &^ (step - 1)
	if active == Generic {
		whole = 0
	} else if whole > 0 {
		var n uint32
		n, bits = maskWeights(dst[:whole], mask[:whole])
		ones += int(n)
	}
	for i := whole; i < len(mask); i++ {
		dst[i] = F(mask[i])
		ones += int(mask[i])
		bits |= uint32(mask[i])
	}
	return ones, bits <= 1
}

// SumWeights returns the sum of w in float64, the number of elements that are not 0, and whether
// all are finite. Elements are added in an order that depends on the length alone; every
// implementation has the same bits.
func SumWeights[F float32 | float64](w []F) (sum float64, nonzero int, finite bool) {
	const most = 1 << 24
	finite = true
	for len(w) > most {
		s, n, f := SumWeights(w[:most])
		sum, nonzero, finite = sum+s, nonzero+n, finite && f
		w = w[most:]
	}
	var lanes [step]float64
	var odd uint32
	whole := len(w) &^ (step - 1)
	if active == Generic {
		whole = 0
	} else if whole > 0 {
		var n uint32
		n, odd = sumWeights(&lanes, w[:whole])
		nonzero += int(n)
	}
	total := 0.0
	for i := whole; i < len(w); i++ {
		v := float64(w[i])
		lanes[i%step] += v
		if v != 0 {
			nonzero++
		}
		if v-v != 0 {
			odd = 1
		}
	}
	for half := step / 2; half > 0; half /= 2 {
		for i := range half {
			lanes[i] += lanes[half+i]
		}
	}
	if total = lanes[0]; odd != 0 || isFloat32[F]() && total-total != 0 { // sums of float32 numbers stay far below the largest float64
		finite = false
	}
	return sum + total, nonzero, finite
}

// Multiply writes a[i]·b[i] to dst[i], and 0 where a[i] is 0, whatever b[i] is. dst may be a or b.
func Multiply[F float32 | float64](dst, a, b []F) {
	if len(dst) != len(a) || len(dst) != len(b) {
		panic("vec: length mismatch")
	}
	whole := len(dst) &^ (step - 1)
	if active == Generic {
		whole = 0
	} else if whole > 0 {
		multiply(dst[:whole], a[:whole], b[:whole])
	}
	for i := whole; i < len(dst); i++ {
		v := a[i]
		if v != 0 {
			v *= b[i]
		} else {
			v = 0
		}
		dst[i] = v
	}
}

// Divide writes a[i]/b[i] to dst[i]. dst may be a or b.
func Divide(dst, a, b []float64) {
	if len(dst) != len(a) || len(dst) != len(b) {
		panic("vec: length mismatch")
	}
	whole := len(dst) &^ (step - 1)
	if active == Generic {
		whole = 0
	} else if whole > 0 {
		divide(dst[:whole], a[:whole], b[:whole])
	}
	for i := whole; i < len(dst); i++ {
		dst[i] = a[i] / b[i]
	}
}

func isFloat32[F float32 | float64]() bool {
	var z F
	_, ok := any(z).(float32)
	return ok
}
