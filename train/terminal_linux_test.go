package train

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/surprisal-go/surprisal/train/optim"
)

// terminalEnv is set in the processes of TestTerminal.
const terminalEnv = "SURPRISAL_TRAIN_TERMINAL"

// TestTerminal trains in a process of its own on terminals of several widths, which the command
// script makes, and follows the cursor: the progress takes one row of the screen.
func TestTerminal(t *testing.T) {
	if os.Getenv(terminalEnv) != "" {
		fmt.Println("begin")
		mustFit(t, linear3, blobs(t, 640, 1), Config{Epochs: 4, BatchSize: 8, Optimizer: optim.SGD(0.1), Validation: blobs(t, 20, 2),
			Metrics: longNames(), Progress: os.Stdout})
		fmt.Println("end")
		return
	}
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("the system has no command script, which makes terminals")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, columns := range []int{200, 125, 80, 40, 20} {
		cmd := exec.Command(script, "-qec",
			fmt.Sprintf("stty cols %d; exec '%s' -test.run '^TestTerminal$'", columns, exe), "/dev/null")
		cmd.Env = append(os.Environ(), terminalEnv+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%d columns: %v\n%s", columns, err, out)
		}
		_, text, began := strings.Cut(string(out), "begin\r\n")
		text, _, ended := strings.Cut(text, "end\r\n")
		if !began || !ended || strings.Count(text, "\r") < 6 {
			t.Fatalf("%d columns: no progress:\n%q", columns, out)
		}
		row, column := 0, 0
		for state, cluster, width := -1, "", 0; text != ""; {
			cluster, text, width, state = uniseg.FirstGraphemeClusterInString(text, state)
			switch cluster {
			case "\r":
				column = 0
			case "\n", "\r\n":
				row, column = row+1, 0
			default:
				if column += width; column > columns {
					row, column = row+1, width
				}
			}
		}
		if row != 1 || column != 0 {
			t.Errorf("%d columns: the cursor is in row %d, column %d after the run, want the row below the progress",
				columns, row, column)
		}
	}
}
