package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surprisal-go/surprisal/examples/internal/digits"
)

// newServer serves a model that two epochs have trained.
func newServer(t *testing.T) *httptest.Server {
	t.Helper()
	net, err := newNet(context.Background(), "", 2, io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(newHandler(net))
	t.Cleanup(s.Close)
	return s
}

func body(x []float64) string {
	text, err := json.Marshal(map[string]any{"pixels": x})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// post sends a request and returns the status and the body of the response.
func post(s *httptest.Server, body string) (int, []byte, error) {
	r, err := s.Client().Post(s.URL+"/predict", "application/json", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r.StatusCode, text, err
}

// TestPredict: the numbers of an answer are a distribution with its entropy and surprisals, and many
// callers at a time get the same bytes as one.
func TestPredict(t *testing.T) {
	s := newServer(t)
	images, labels, err := digits.Images()
	if err != nil {
		t.Fatal(err)
	}
	const n = 32
	want := make([]string, n)
	right := 0
	for i := range n {
		code, text, err := post(s, body(images[i]))
		if err != nil || code != http.StatusOK {
			t.Fatal(code, string(text), err)
		}
		want[i] = string(text)
		var p prediction
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		sum, entropy, best := 0.0, 0.0, class{}
		for j, c := range p.Classes {
			if c.Name != fmt.Sprint(j) || math.Abs(math.Exp2(-c.Surprisal)-c.Probability) > 1e-12 {
				t.Errorf("image %d: class %d is %+v", i, j, c)
			}
			sum += c.Probability
			entropy += c.Probability * c.Surprisal
			if c.Probability > best.Probability {
				best = c
			}
		}
		// Sums of ten terms of float64, of up to 10 bits each.
		if len(p.Classes) != 10 || math.Abs(sum-1) > 1e-12 || math.Abs(entropy-p.Entropy) > 1e-12 || p.Best != best.Name {
			t.Errorf("image %d: %s", i, text)
		}
		if p.Best == fmt.Sprint(labels[i]) {
			right++
		}
	}
	if right < n/2 { // chance gives 3
		t.Errorf("%d of %d images are recognised", right, n)
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if code, text, err := post(s, body(images[i])); err != nil || code != http.StatusOK || string(text) != want[i] {
				t.Errorf("image %d among others: %d %s, want %s (%v)", i, code, text, want[i], err)
			}
		})
	}
	wg.Wait()
}

// TestBadRequests: each is refused with a status and a reason, and the next request is answered.
func TestBadRequests(t *testing.T) {
	s := newServer(t)
	good := body(make([]float64, pixels))
	for _, c := range []struct {
		name, body string
		code       int
		reason     string
	}{
		{"empty", "", 400, "as JSON"},
		{"no JSON", "pixels=1", 400, "as JSON"},
		{"cut off", good[:20], 400, "as JSON"},
		{"an array", "[1, 2]", 400, "as JSON"},
		{"text for numbers", `{"pixels": ["a"]}`, 400, "as JSON"},
		{"NaN", strings.Replace(good, "0", "NaN", 1), 400, "as JSON"},
		{"out of range of floats", strings.Replace(good, "0", "1e999", 1), 400, "as JSON"},
		{"another field", `{"pixel": [1]}`, 400, "pixel"},
		{"more behind it", good + good, 400, "more after"},
		{"no pixels", "{}", 400, "pixels has 0 numbers, want 64"},
		{"63 pixels", body(make([]float64, 63)), 400, "pixels has 63 numbers, want 64"},
		{"65 pixels", body(make([]float64, 65)), 400, "pixels has 65 numbers, want 64"},
		{"null", strings.Replace(good, "0", "null", 1), 400, "pixel 0 is null"},
		{"above 1", strings.Replace(good, "0", "2", 1), 400, "pixel 0 is 2"},
		{"below 0", strings.Replace(good, "0", "-0.5", 1), 400, "pixel 0 is -0.5"},
		{"10 MB of numbers", `{"pixels": [` + strings.Repeat("0,", 5<<20), 413, "too large"},
		{"10 MB of space", good + strings.Repeat(" ", 10<<20), 413, "too large"},
	} {
		code, text, err := post(s, c.body)
		var answer struct{ Error string }
		if err != nil || code != c.code || json.Unmarshal(text, &answer) != nil || !strings.Contains(answer.Error, c.reason) {
			t.Errorf("%s: %d %s, want %d and %q (%v)", c.name, code, text, c.code, c.reason, err)
		}
		if code, text, err := post(s, good); code != http.StatusOK {
			t.Fatalf("after %s: %d %s %v", c.name, code, text, err)
		}
	}
	for _, c := range []struct {
		method, path string
		code         int
	}{{"GET", "/predict", 405}, {"DELETE", "/predict", 405}, {"POST", "/", 405}, {"GET", "/none", 404}} {
		r, err := http.NewRequest(c.method, s.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.code {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, answer.StatusCode, c.code)
		}
	}
}

// TestRun: a model that one run has saved is served by the next, both end in good order with their
// contexts, and a request that had begun is answered.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "digits.safetensors")
	for i, model := range []string{"", file} {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		out, lines := io.Pipe()
		ended := make(chan error, 1)
		save := ""
		if model == "" {
			save = file
		}
		go func() {
			ended <- run(ctx, lines, nil, "localhost:0", model, save, 1)
			lines.Close()
		}()
		var said bytes.Buffer
		for url := ""; url == ""; {
			chunk := make([]byte, 200)
			n, err := out.Read(chunk)
			if err != nil {
				t.Fatal(err, <-ended)
			}
			said.Write(chunk[:n])
			if _, rest, found := strings.Cut(said.String(), "http://"); found && strings.HasSuffix(rest, "\n") {
				url = "http://" + strings.TrimSpace(rest)
				visit(t, url, stop)
			}
		}
		rest, err := io.ReadAll(out)
		if err != nil || string(rest) != "stopped\n" {
			t.Errorf("run %d: at its end %q, want stopped (%v)", i, rest, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("run %d: %v", i, err)
		}
	}
	if err := run(context.Background(), io.Discard, nil, "localhost:0", filepath.Join(t.TempDir(), "none"), "", 1); err == nil {
		t.Error("a model that is not there is no error")
	}
}

// visit reads the page, and stops the server between the two halves of a request.
func visit(t *testing.T, url string, stop func()) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil || r.StatusCode != http.StatusOK || !bytes.Equal(text, page) {
		t.Errorf("the page: %s, %d bytes (%v)", r.Status, len(text), err)
	}
	// The client sends the body once the handler reads it: the request has begun by then.
	in, late := io.Pipe()
	request, err := http.NewRequest("POST", url+"/predict", in)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Expect", "100-continue")
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	go func() {
		text := body(make([]float64, pixels))
		io.WriteString(late, text[:10])
		stop()
		for {
			c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil { // the server takes no more
				break
			}
			c.Close()
		}
		io.WriteString(late, text[10:])
		late.Close()
	}()
	r, err = client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if text, err := io.ReadAll(r.Body); r.StatusCode != http.StatusOK || err != nil {
		t.Errorf("a request during the end: %s %s %v", r.Status, text, err)
	}
}
