package vec

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
)

func TestChooseLevel(t *testing.T) {
	two := []Level{Generic, AVX2}
	for _, c := range []struct {
		name string
		want Level
		err  string
	}{
		{"", AVX2, ""},
		{"generic", Generic, ""},
		{"avx2", AVX2, ""},
		{"AVX2", AVX2, ""},
		{"avx512", AVX2, "SURPRISAL_LEVEL=avx512: not available, want one of [generic avx2]; using avx2"},
		{"sse", AVX2, `SURPRISAL_LEVEL="sse": unknown level, want one of [generic avx2]; using avx2`},
		{"avx2\n", AVX2, `SURPRISAL_LEVEL="avx2\n": unknown level, want one of [generic avx2]; using avx2`},
	} {
		got, err := choose(c.name, two)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("choose(%q) = %v, %q, want %v, %q", c.name, got, text, c.want, c.err)
		}
	}
}

func TestLevels(t *testing.T) {
	all := Available()
	if all[0] != Generic || !slices.IsSorted(all) {
		t.Errorf("available levels are %v, want generic first and the others in order", all)
	}
	if !slices.Contains(all, Active()) {
		t.Errorf("level %v is in use, but %v are available", Active(), all)
	}
	before := Active()
	defer Use(before)
	for _, l := range all {
		if err := Use(l); err != nil || Active() != l {
			t.Errorf("Use(%v) returned %v and left %v in use", l, err, Active())
		}
	}
	at := Active()
	if err := Use(Levels); err == nil || Active() != at {
		t.Errorf("Use(%v) returned %v and left %v in use, want an error and %v", Level(Levels), err, Active(), at)
	}
	if got := Level(9).String(); got != "Level(9)" {
		t.Errorf("Level(9) prints as %q", got)
	}
}

// TestLevelVariable starts this test binary anew with the environment variable set, and has it
// print what it uses.
func TestLevelVariable(t *testing.T) {
	if os.Getenv("VEC_TEST_PRINT") != "" {
		os.Stdout.WriteString("level " + Active().String() + "\n")
		os.Exit(0)
	}
	all := Available()
	best := all[len(all)-1].String()
	for value, want := range map[string]string{
		"generic": "level generic\n",
		"":        "level " + best + "\n",
		"sse":     `surprisal: SURPRISAL_LEVEL="sse": unknown level, want one of `,
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLevelVariable$")
		cmd.Env = append(os.Environ(), "VEC_TEST_PRINT=1", LevelVariable+"="+value)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.ENOEXEC) {
			t.Skip("under an emulator a program cannot start itself")
		}
		if err != nil {
			t.Fatalf("with %q: %v\n%s", value, err, out)
		}
		if len(out) < len(want) || string(out[:len(want)]) != want {
			t.Errorf("with %q the program printed %q, want %q first", value, out, want)
		}
		if end := "level " + best + "\n"; value == "sse" && (len(out) < len(end) || string(out[len(out)-len(end):]) != end) {
			t.Errorf("with %q the program printed %q, want %q last", value, out, end)
		}
	}
}
