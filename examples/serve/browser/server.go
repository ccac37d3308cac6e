package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// server is a running examples/serve.
type server struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	url   string
}

// startServer builds and starts the server and waits until it answers.
func startServer(ctx context.Context, dir, model string) (*server, error) {
	exe := filepath.Join(dir, "serve")
	build := exec.CommandContext(ctx, "go", "build", "-o", exe, "github.com/surprisal-go/surprisal/examples/serve")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the server: %w\n%s", err, text)
	}
	s := &server{cmd: exec.CommandContext(ctx, exe, "-addr", "localhost:0", "-model", model)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.lines = bufio.NewScanner(out)
	for s.lines.Scan() {
		if url := s.lines.Text(); strings.HasPrefix(url, "http://") {
			s.url = url + "/"
			return s, nil
		}
	}
	return nil, fmt.Errorf("the server ended: %w", s.cmd.Wait())
}

// stop interrupts the server, which ends without an error and says so.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	stopped := false
	for s.lines.Scan() {
		stopped = stopped || s.lines.Text() == "stopped"
	}
	if err := s.cmd.Wait(); err != nil {
		return err
	}
	if !stopped {
		return errors.New("it did not say that it stopped")
	}
	return nil
}
