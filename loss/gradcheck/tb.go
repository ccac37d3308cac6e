package gradcheck

import "testing"

// Test runs [Check] inside a test, benchmark or fuzz target and fails it with the report's text
// unless the report is OK. It returns the report, or nil where Check returned an error, which fails
// the test too.
func Test(t testing.TB, build Builder, inputs []Input, opts ...Option) *Report {
	t.Helper()
	r, err := Check(build, inputs, opts...)
	if err != nil {
		t.Error(err)
		return nil
	}
	if !r.OK() {
		t.Error(r.String())
	}
	return r
}
