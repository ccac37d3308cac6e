package train

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/surprisal-go/surprisal/loss"
	"github.com/surprisal-go/surprisal/train/report"
	"github.com/surprisal-go/surprisal/train/weights"
)

// fullEnv names the way in which a process of TestFullDisk runs out of room.
const fullEnv = "SURPRISAL_TRAIN_FULL_DISK"

// TestFullDisk runs out of room in processes of its own, in two ways. A limit on the length of
// files, which needs no privilege, lets every write of a file fail; the error is EFBIG and not
// ENOSPC. A file system in memory, mounted in a namespace of the process's own, is full in earnest:
// there files can still be made and renamed, and hold nothing.
func TestFullDisk(t *testing.T) {
	switch os.Getenv(fullEnv) {
	case "limit":
		limitedDisk(t)
		return
	case "mount":
		mountedDisk(t)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(way string, attr *syscall.SysProcAttr) (output string, started bool, err error) {
		cmd := exec.Command(exe, "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), fullEnv+"="+way)
		cmd.SysProcAttr = attr
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			return "", false, err
		}
		err = cmd.Wait()
		return out.String(), true, err
	}
	t.Run("limit", func(t *testing.T) {
		if out, _, err := start("limit", nil); err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
	})
	t.Run("mount", func(t *testing.T) {
		attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			attr.Cloneflags |= syscall.CLONE_NEWUSER
			attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		out, started, err := start("mount", attr)
		if !started || strings.Contains(out, cannotMount) {
			t.Skipf("this system does not let a process mount a file system of its own (%v); the limit on files stands for it", err)
		}
		if err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
	})
}

const cannotMount = "cannot mount a file system"

func mountedDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(cannotMount, err)
	}
	defer syscall.Unmount(dir, 0)
	filler := filepath.Join(dir, "filler")
	fullDisk(t, dir, syscall.ENOSPC, func() {
		if err := os.WriteFile(filler, make([]byte, 2<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("filling the disk: %v", err)
		}
	}, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	})
}

func limitedDisk(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ) // the write then fails with EFBIG
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	set := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	fullDisk(t, t.TempDir(), syscall.EFBIG, func() { set(syscall.Rlimit{Cur: 1, Max: old.Max}) }, func() { set(old) })
}

// fullDisk lets everything that writes files meet a disk without room, between fill and free.
func fullDisk(t *testing.T, dir string, cause error, fill, free func()) {
	ds := blobs(t, 60, 8)
	keep := filepath.Join(dir, "checkpoints")
	config := func(epochs int, goOn bool) Config {
		c := fullConfig(t, keep)
		c.Epochs, c.Checkpoint.EverySteps, c.Checkpoint.KeepGoing = epochs, 0, goOn
		return c
	}
	first := mustFit(t, mlp, ds, config(2, false))
	page, err := report.NewPage("Run", first.History)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]func(path string) error{
		"weights.safetensors": first.Save, "history.json": first.History.Save, "history.csv": first.History.Save,
		"report.html": page.Save, "loss.png": page.Figures[0].Picture.Save,
	}
	before := make(map[string][]byte)
	for name, save := range files {
		path := filepath.Join(dir, name)
		if err := save(path); err != nil {
			t.Fatal(err)
		}
		if before[name], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	checkpoints, err := Checkpoints(keep)
	if err != nil || len(checkpoints) != 2 {
		t.Fatalf("checkpoints %v, %v, want 2", checkpoints, err)
	}
	fill()
	full := true
	defer func() {
		if full {
			free()
		}
	}()
	intact := func(after string) {
		t.Helper()
		got, err := Checkpoints(keep)
		if err != nil || strings.Join(got, " ") != strings.Join(checkpoints, " ") {
			t.Errorf("after %s: checkpoints %v, %v, want %v", after, got, err, checkpoints)
		}
		n, err := Load(checkpoints[1], mlp)
		if err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
		if !sameParams(n, first.Net) {
			t.Errorf("after %s the checkpoint holds other parameters", after)
		}
		for name, want := range before {
			if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(text, want) {
				t.Errorf("after %s: %s holds %d bytes, %v, want the %d from before", after, name, len(text), err, len(want))
			}
		}
		for _, d := range []string{dir, keep} {
			if left, err := filepath.Glob(filepath.Join(d, ".*")); err != nil || len(left) > 0 {
				t.Errorf("after %s: %v is left, %v", after, left, err)
			}
		}
	}
	names := func(what string, err error, parts ...string) {
		t.Helper()
		if !errors.Is(err, cause) {
			t.Errorf("%s: error %v, want %v", what, err, cause)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%s: error %q does not name %s", what, err, p)
			}
		}
	}
	res, err := Fit(background, mlp, loss.CrossEntropy, ds, config(5, false))
	names("Fit", err, "train.Fit: checkpoint at step 12", stepDir(12), weightsFile)
	if res == nil || len(res.History.Epochs) != 3 {
		t.Errorf("a run that ends at the first failure has %+v, want 3 epochs", res)
	}
	intact("a run that ends")
	if res, err = Fit(background, mlp, loss.CrossEntropy, ds, config(5, true)); err != nil || len(res.History.Epochs) != 5 {
		t.Fatalf("a run that goes on: %+v, %v, want 5 epochs", res, err)
	}
	names("Result.CheckpointError", res.CheckpointError, "checkpoint at step 20", stepDir(20))
	intact("a run that goes on")
	for name, save := range files {
		path := filepath.Join(dir, name)
		names(name, save(path), path)
	}
	intact("saving files")
	board := config(3, true)
	board.Callbacks = []Callback{NewTensorBoard(filepath.Join(dir, "board"), 1)}
	res, err = Fit(background, mlp, loss.CrossEntropy, ds, board)
	names("TensorBoard", err, "train.Fit: tensorboard", filepath.Join(dir, "board"))
	if res == nil || res.Steps == 0 {
		t.Error("a run whose event file fails has no result")
	}
	intact("a run with event files")

	free()
	full = false
	again, err := Fit(background, mlp, loss.CrossEntropy, ds, config(5, false))
	if err != nil {
		t.Fatal(err)
	}
	left := config(5, false)
	left.Checkpoint = nil
	sameRun(t, "with room again", again, mustFit(t, mlp, ds, left))
	if _, _, err := weights.Load(filepath.Join(dir, "weights.safetensors")); err != nil {
		t.Error(err)
	}
}
