package main

import "github.com/surprisal-go/surprisal/train/data"

// eightOrNot presents images with the target 1 for an eight and 0 for any other digit.
type eightOrNot struct{ *data.Images }

// Spec describes the images with their one real target.
func (e eightOrNot) Spec() data.Spec {
	s := e.Images.Spec()
	s.Target = data.Field{Kind: data.Float, Shape: []int{1}}
	return s
}

// Read copies images and targets.
func (e eightOrNot) Read(rows []int, x, y data.Column) error {
	digits := data.Column{Int: make([]int, len(rows))}
	if err := e.Images.Read(rows, x, digits); err != nil {
		return err
	}
	for i, d := range digits.Int {
		target := 0.0
		if d == 8 {
			target = 1
		}
		if y.F32 != nil {
			y.F32[i] = float32(target)
		} else {
			y.F64[i] = target
		}
	}
	return nil
}

// rareEights keeps every 20th eight and all other digits, and returns the number of eights.
func rareEights(m *data.Images) (ds data.Dataset, eights int, err error) {
	var rows []int
	seen := 0
	for i, d := range m.Labels() {
		if d == 8 {
			seen++
			if (seen-1)%20 != 0 {
				continue
			}
			eights++
		}
		rows = append(rows, i)
	}
	ds, err = data.Subset(eightOrNot{m}, rows)
	return ds, eights, err
}
