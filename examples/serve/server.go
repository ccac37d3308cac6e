package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/surprisal-go/surprisal/tensorops"
	"github.com/surprisal-go/surprisal/tensorops/info"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
)

//go:embed page.html
var page []byte

// maxBody is the largest body of a request in bytes: 64 numbers of any usual length are a tenth.
const maxBody = 16 << 10

// prediction is the answer to an image.
type prediction struct {
	Best    string  `json:"best"`    // the most probable class
	Entropy float64 `json:"entropy"` // of the distribution, in bits
	Classes []class `json:"classes"` // in the order of the model
}

// class is a class with its probability p and its surprisal -log p in bits.
type class struct {
	Name        string  `json:"name"`
	Probability float64 `json:"probability"`
	Surprisal   float64 `json:"surprisal"`
}

// newHandler serves the page at / and predictions of a model at /predict.
func newHandler(model *train.Net) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	mux.HandleFunc("POST /predict", func(w http.ResponseWriter, r *http.Request) {
		x, err := readPixels(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			answer(w, status(err), map[string]string{"error": err.Error()})
			return
		}
		p, err := predict(r.Context(), model, x)
		switch {
		case r.Context().Err() != nil: // the client has gone
		case err != nil:
			answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		default:
			answer(w, http.StatusOK, p)
		}
	})
	return mux
}

// readPixels reads the body of a request, {"pixels": [64 numbers in [0, 1]]}.
func readPixels(body io.Reader) ([]float32, error) {
	var request struct {
		Pixels []*float32 `json:"pixels"`
	}
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&request); err != nil {
		return nil, fmt.Errorf(`want {"pixels": [%d numbers]} as JSON: %w`, pixels, err)
	}
	if _, err := d.Token(); err != io.EOF {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, errors.New("there is more after the JSON object")
	}
	if n := len(request.Pixels); n != pixels {
		return nil, fmt.Errorf("pixels has %d numbers, want %d", n, pixels)
	}
	x := make([]float32, pixels)
	for i, p := range request.Pixels {
		switch {
		case p == nil:
			return nil, fmt.Errorf("pixel %d is null, want a number in [0, 1]", i)
		case !(*p >= 0 && *p <= 1):
			return nil, fmt.Errorf("pixel %d is %v, want a number in [0, 1]", i, *p)
		}
		x[i] = *p
	}
	return x, nil
}

// status returns the status of a response to a request with a fault.
func status(err error) int {
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil { // a number that is not finite, of a broken model
		status, text = http.StatusInternalServerError, []byte(`{"error": "the model's answer is not finite"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text)
}

// predict returns the model's distribution over the classes of an image.
func predict(ctx context.Context, model *train.Net, x []float32) (*prediction, error) {
	out, err := model.PredictRow(ctx, train.Row{data.InputName: {F32: x}})
	if err != nil {
		return nil, err
	}
	scores := out[train.OutputName].F32
	logits, logProbs, probs := make([]float64, len(scores)), make([]float64, len(scores)), make([]float64, len(scores))
	for i, s := range scores {
		logits[i] = float64(s)
	}
	tensorops.LogSoftmaxRows(logProbs, logits, len(logits))
	tensorops.SoftmaxRows(probs, logits, len(logits))
	p := &prediction{}
	if p.Entropy, err = info.Entropy(probs, info.Bits); err != nil {
		return nil, err
	}
	best := 0
	for i, prob := range probs {
		if prob > probs[best] {
			best = i
		}
		// The log-probability keeps its digits where the probability is rounded to 1, and is finite
		// where that is rounded to 0.
		p.Classes = append(p.Classes, class{model.ClassName(data.TargetName, i), prob, max(0, -logProbs[i]/math.Ln2)})
	}
	p.Best = p.Classes[best].Name
	return p, nil
}

// serve answers requests until the context ends, and those that have begun after that.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.Shutdown(last)
}
