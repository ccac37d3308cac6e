package machine_test

import (
	"io"
	"log"
	"testing"
)

// Some operations of Gorgonia print their operands.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	m.Run()
}
