package loss_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A goldenDiff is how far a result is from what it was.
type goldenDiff struct {
	equal   bool    // to the bit; all NaN are one value, and so are 0 and -0
	ulp     float64 // largest difference, in units in the last place of its array's largest finite entry
	abs     float64 // the same, absolute
	text    string  // the first difference, or the array with the largest
	errs    bool    // the errors differ
	vaguer  bool    // the new error misses a number or name of the old one, or there is one that was not
	stopped bool    // an error is gone
}

// diff compares a result with what it was.
func (r *goldenResult) diff(old *goldenResult) goldenDiff {
	if r.Err != old.Err {
		d := goldenDiff{errs: true, text: fmt.Sprintf("was %q, is %q", old.Err, r.Err)}
		d.stopped = r.Err == ""
		d.vaguer = d.stopped && !strings.Contains(old.Err, "internal error") || r.Err != "" && vaguer(r.Err, old.Err)
		return d
	}
	d := goldenDiff{equal: true}
	if !slices.Equal(r.Labels, old.Labels) || len(r.F32) != len(old.F32) || len(r.F64) != len(old.F64) {
		return goldenDiff{ulp: math.Inf(1), abs: math.Inf(1), text: fmt.Sprintf("was %v, is %v", old.Labels, r.Labels)}
	}
	for i := range r.F32 {
		d.array(r.Labels[i], convert[float64](r.F32[i]), convert[float64](old.F32[i]), func(m float64) float64 {
			return float64(math.Nextafter32(float32(m), math.MaxFloat32)) - m
		})
	}
	for i := range r.F64 {
		d.array(r.Labels[i], r.F64[i], old.F64[i],
			func(m float64) float64 { return math.Nextafter(m, math.MaxFloat64) - m })
	}
	return d
}

// array adds the difference of an array; unit is the distance of a number to the next.
func (d *goldenDiff) array(label string, now, old []float64, unit func(float64) float64) {
	worst := func(abs, ulp float64, text string) {
		if d.equal || ulp > d.ulp {
			d.ulp, d.text = ulp, label+text
		}
		d.equal, d.abs = false, max(d.abs, abs)
	}
	if len(now) != len(old) {
		worst(math.Inf(1), math.Inf(1), fmt.Sprintf(" had %d entries, has %d", len(old), len(now)))
		return
	}
	largest := 0.0
	for _, v := range old {
		if a := math.Abs(v); a > largest && !math.IsInf(a, 0) {
			largest = a
		}
	}
	for i, v := range now {
		o := old[i]
		if v == o || v != v && o != o {
			continue
		}
		abs := math.Abs(v - o)
		ulp := abs / unit(largest)
		if ulp != ulp || math.IsInf(v, 0) || math.IsInf(o, 0) {
			abs, ulp = math.Inf(1), math.Inf(1)
		}
		worst(abs, ulp, fmt.Sprintf("[%d] was %v, is %v", i, o, v))
	}
}

// telling are the words of an error that say something of their own: numbers, shapes, names of
// functions and options.
var telling = regexp.MustCompile(`[A-Za-z_.]*\d[\w.+-]*|loss\.\w+|With\w+|\[[a-z ]+\]|-?Inf|NaN|-\d+|` +
	`labels|target|logits|pred|prob|weights|mask|normalizer`)

// vaguer reports whether an error misses what another one tells.
func vaguer(now, old string) bool {
	have := make(map[string]int)
	for _, w := range telling.FindAllString(now, -1) {
		have[w]++
	}
	for _, w := range telling.FindAllString(old, -1) {
		if have[w]--; have[w] < 0 {
			return true
		}
	}
	return false
}

// bound is the difference that a case may have.
func (c *goldenCase) bound() float64 {
	if dtypeName(c.dtype) == "f32" {
		return *goldenUlp32
	}
	return *goldenUlp64
}

// A goldenRow sums up the cases of one loss and dtype.
type goldenRow struct {
	cases, equal, failed, errs int
	ulp, abs                   float64
	worst                      string
}

// compareGolden compares cases with old results and returns a table, the differences one a line,
// and how many of them are out of bounds or newly missing.
func compareGolden(cases []*goldenCase, old map[string]*goldenResult, except *regexp.Regexp) (table string, failures []string) {
	rows := make(map[string]*goldenRow)
	left := maps.Clone(old)
	fresh := 0
	for _, c := range cases {
		name := c.name()
		was, ok := left[name]
		if delete(left, name); !ok {
			fresh++
			continue
		}
		key := c.of.name + " " + dtypeName(c.dtype)
		row := rows[key]
		if row == nil {
			row = new(goldenRow)
			rows[key] = row
		}
		row.cases++
		d := c.run().diff(was)
		if d.equal {
			row.equal++
			continue
		}
		if d.errs {
			row.errs++
		} else if d.ulp > row.ulp || row.worst == "" {
			row.ulp, row.worst = d.ulp, name+": "+d.text
		}
		row.abs = max(row.abs, d.abs)
		if (d.vaguer || d.ulp > c.bound()) && !except.MatchString(name) {
			row.failed++
			failures = append(failures, fmt.Sprintf("%s: %s (%.3g ulp of the largest, %.3g)", name, d.text, d.ulp, d.abs))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s %6s %6s %6s %6s %10s %10s  worst\n", "loss", "cases", "equal", "errors", "failed", "ulp",
		"absolute")
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		r := rows[key]
		fmt.Fprintf(&b, "%-32s %6d %6d %6d %6d %10.3g %10.3g  %s\n", key, r.cases, r.equal, r.errs, r.failed, r.ulp,
			r.abs, r.worst)
	}
	fmt.Fprintf(&b, "%d cases are new, %d are gone\n", fresh, len(left))
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if !except.MatchString(name) {
			failures = append(failures, name+": the case is gone")
		}
	}
	return b.String(), failures
}

func TestGolden(t *testing.T) {
	cases := goldenCases(t)
	switch {
	case *goldenWrite != "":
		writeGoldenFile(t, *goldenWrite, cases)
	case *goldenCompare != "":
		compareGoldenFile(t, *goldenCompare, cases)
	default:
		goldenSelfTest(t, cases)
	}
}

func writeGoldenFile(t *testing.T, path string, cases []*goldenCase) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	if err := writeGolden(w, cases); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cases", len(cases))
}

func compareGoldenFile(t *testing.T, path string, cases []*goldenCase) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old, err := readGolden(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	if *goldenOnly != "" {
		only := regexp.MustCompile(*goldenOnly)
		cases = slices.DeleteFunc(cases, func(c *goldenCase) bool { return !only.MatchString(c.name()) })
		maps.DeleteFunc(old, func(name string, _ *goldenResult) bool { return !only.MatchString(name) })
	}
	table, failures := compareGolden(cases, old, regexp.MustCompile(*goldenExcept))
	t.Logf("\n%s", table)
	for i, f := range failures {
		if i == 200 {
			t.Errorf("and %d more", len(failures)-i)
			break
		}
		t.Error(f)
	}
}

// goldenSelfTest writes a part of the cases, compares it with a second run, and sees that the
// comparison notices a changed bit, a missing case and a vaguer error.
func goldenSelfTest(t *testing.T, cases []*goldenCase) {
	var some []*goldenCase
	seen := make(map[string]bool)
	for i, c := range cases {
		if key := c.of.title() + dtypeName(c.dtype); i%149 == 0 || !seen[key] {
			seen[key] = true
			some = append(some, c)
		}
	}
	var dump bytes.Buffer
	if err := writeGolden(&dump, some); err != nil {
		t.Fatal(err)
	}
	read := func() map[string]*goldenResult {
		old, err := readGolden(io.Reader(bytes.NewReader(dump.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		return old
	}
	none := regexp.MustCompile("^$")
	table, failures := compareGolden(some, read(), none)
	if len(failures) > 0 || !strings.Contains(table, "0 cases are new, 0 are gone") {
		t.Errorf("a second run differs from the first:\n%s%s", table, strings.Join(failures, "\n"))
	}
	changed := read()
	arrays, errs := 0, 0
	for _, r := range changed {
		switch {
		case r.Err != "":
			errs++
			r.Err += " (3, 4)"
		case len(r.F64) > 0:
			arrays++
			last := r.F64[len(r.F64)-1]
			if last[0] = math.Nextafter(last[0], 7); last[0] != last[0] {
				last[0] = 1
			}
		default:
			arrays++
			last := r.F32[len(r.F32)-1]
			if last[0] != last[0] {
				last[0] = 1
			} else {
				last[0] = float32(math.NaN())
			}
		}
	}
	if arrays < 300 || errs < 50 {
		t.Errorf("%d results and %d errors are no sample", arrays, errs)
	}
	changed["gone"] = &goldenResult{Name: "gone"}
	if _, failures := compareGolden(some, changed, none); len(failures) != len(some)+1 {
		t.Errorf("%d of %d changes were seen", len(failures), len(some)+1)
	}
}
