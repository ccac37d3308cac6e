package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// browser is a headless browser with one page, driven by the DevTools protocol over two pipes:
// JSON messages, each with a NUL at its end.
type browser struct {
	ctx     context.Context
	cmd     *exec.Cmd
	to      *os.File
	from    *bufio.Reader
	calls   int
	session string
	log     []string // exceptions and errors of the page
}

func startBrowser(ctx context.Context, command, dir string) (*browser, error) {
	cmd := exec.CommandContext(ctx, command, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
		"--window-size=900,700", "--user-data-dir="+filepath.Join(dir, "browser"), "about:blank")
	theirs, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{theirs, ours} // descriptors 3 and 4
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the browser: %w", err)
	}
	theirs.Close()
	ours.Close()
	b := &browser{ctx: ctx, cmd: cmd, to: to, from: bufio.NewReader(from)}
	var target struct{ TargetID, SessionID string }
	if err := b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return nil, err
	}
	if err := b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target); err != nil {
		return nil, err
	}
	b.session = target.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		if err := b.call(domain+".enable", nil, nil); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *browser) close() {
	b.session = ""
	b.call("Browser.close", nil, nil) // an error is that of a browser that has gone already
	b.to.Close()
	b.cmd.Wait()
}

// call sends a command and reads messages until its answer.
func (b *browser) call(method string, params map[string]any, result any) error {
	b.calls++
	message := map[string]any{"id": b.calls, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		text, err := b.from.ReadBytes(0)
		if err != nil {
			return fmt.Errorf("%s: the browser ended: %w", method, err)
		}
		var got struct {
			ID     int
			Method string
			Params json.RawMessage
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(text[:len(text)-1], &got); err != nil {
			return err
		}
		switch {
		case got.Method == "Runtime.exceptionThrown" || got.Method == "Log.entryAdded":
			b.log = append(b.log, string(got.Params))
		case got.ID != b.calls:
		case got.Error != nil:
			return fmt.Errorf("%s: %s", method, got.Error.Message)
		case result != nil:
			return json.Unmarshal(got.Result, result)
		default:
			return nil
		}
	}
}

// evaluate returns the value of an expression in the page, once its promise is kept.
func (b *browser) evaluate(expression string, value any) error {
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Text string }
	}
	err := b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &got)
	switch {
	case err != nil:
		return err
	case got.ExceptionDetails != nil:
		return fmt.Errorf("%s: %s", expression, got.ExceptionDetails.Text)
	}
	return json.Unmarshal(got.Result.Value, value)
}

// wait returns when an expression is true.
func (b *browser) wait(expression string) error {
	for {
		var is bool
		if err := b.evaluate(expression, &is); err != nil || is {
			return err
		}
		select {
		case <-b.ctx.Done():
			return fmt.Errorf("waiting for %s: %w", expression, b.ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *browser) open(url string) error {
	if err := b.call("Page.navigate", map[string]any{"url": url}, nil); err != nil {
		return err
	}
	return b.wait(`document.readyState === "complete" && location.href !== "about:blank"`)
}

func (b *browser) mouse(kind string, x, y float64, buttons int) error {
	return b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1}, nil)
}

// place returns the corner of an element within the window.
func (b *browser) place(id string) (p point, err error) {
	var at [2]float64
	err = b.evaluate(fmt.Sprintf(`(e => [e.getBoundingClientRect().left + e.clientLeft, e.getBoundingClientRect().top + e.clientTop])(document.getElementById(%q))`, id), &at)
	return point{at[0], at[1]}, err
}

// clear clicks on the page's button and waits for the table to go.
func (b *browser) clear() error {
	at, err := b.place("clear")
	if err != nil {
		return err
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		if err := b.mouse(kind, at.x+5, at.y+5, 1); err != nil {
			return err
		}
	}
	return b.wait(`!busy && document.getElementById("classes").rows.length === 0`)
}

// draw draws lines through points with the mouse.
func (b *browser) draw(strokes [][]point) error {
	at, err := b.place("canvas")
	if err != nil {
		return err
	}
	for _, s := range strokes {
		for i, p := range s {
			kind := "mouseMoved"
			if i == 0 {
				kind = "mousePressed"
			}
			if err := b.mouse(kind, at.x+p.x, at.y+p.y, 1); err != nil {
				return err
			}
		}
		end := s[len(s)-1]
		if err := b.mouse("mouseReleased", at.x+end.x, at.y+end.y, 0); err != nil {
			return err
		}
	}
	return b.wait(`!busy && document.getElementById("classes").rows.length > 0`)
}

// read returns what the page shows.
func (b *browser) read() (p *prediction, err error) {
	p = &prediction{}
	err = b.evaluate(`({
		Best: document.querySelector("tr.best").cells[0].textContent,
		Entropy: parseFloat(document.getElementById("entropy").value),
		Classes: Array.from(document.getElementById("classes").rows, r => ({
			Name: r.cells[0].textContent, Probability: parseFloat(r.cells[1].textContent) / 100, Surprisal: parseFloat(r.cells[3].textContent)})),
		Error: document.getElementById("error").textContent})`, p)
	if err == nil && p.Error != "" {
		err = fmt.Errorf("the page says %q", p.Error)
	}
	return p, err
}

// faults returns what went wrong in the page.
func (b *browser) faults() []string { return b.log }

func (b *browser) screenshot(path string) error {
	var got struct{ Data []byte }
	if err := b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &got); err != nil {
		return err
	}
	return os.WriteFile(path, got.Data, 0o644)
}
