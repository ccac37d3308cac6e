// Browser tries the server of examples/serve in a real browser: it starts both, draws digits on the
// page's canvas with the mouse, and reads the page's table.
//
//	apt-get install chromium
//	go run ./examples/serve/browser
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	command := flag.String("browser", "chromium", "command of a Chromium browser")
	model := flag.String("model", "", "file of a saved model; none means to train one")
	picture := flag.String("picture", "", "file for a picture of the page, as PNG")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, *command, *model, *picture); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, command, model, picture string) (err error) {
	dir, err := os.MkdirTemp("", "surprisal-serve-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := startServer(ctx, dir, model)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := s.stop(); err == nil && stopErr != nil {
			err = fmt.Errorf("the server did not end in good order: %w", stopErr)
		}
	}()
	b, err := startBrowser(ctx, command, dir)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.open(s.url); err != nil {
		return err
	}
	for _, d := range drawings {
		if err := b.clear(); err != nil {
			return err
		}
		if err := b.draw(d.strokes); err != nil {
			return err
		}
		p, err := b.read()
		if err != nil {
			return fmt.Errorf("the digit %s: %w", d.name, err)
		}
		fmt.Fprintf(w, "drawn %s, read %s: probability %.4f, surprisal %.2f bits, entropy %.3f bits\n", d.name, p.Best, p.probability(d.name), p.surprisal(d.name), p.Entropy)
		if p.Best != d.name {
			err = fmt.Errorf("the digit %s is read as %s", d.name, p.Best)
		}
		if err = errors.Join(err, p.check()); err != nil {
			return err
		}
		if picture != "" {
			if err := b.screenshot(picture); err != nil {
				return err
			}
		}
	}
	// A request that is refused leaves the server and the page as they were.
	answer, err := http.Post(s.url+"predict", "application/json", strings.NewReader(`{"pixels": [1]}`))
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest {
		return fmt.Errorf("one pixel has the status %s, want 400", answer.Status)
	}
	if err := b.clear(); err != nil {
		return err
	}
	if faults := b.faults(); len(faults) > 0 {
		return fmt.Errorf("the page reported %q", faults)
	}
	fmt.Fprintln(w, "the page and the server are well")
	return nil
}

// point is a place on the canvas, which is 280 pixels wide and high.
type point struct{ x, y float64 }

var drawings = []struct {
	name    string
	strokes [][]point
}{
	{"0", [][]point{arc(140, 140, 55, 90, 0, 360)}},
	{"1", [][]point{{{110, 75}, {150, 40}, {150, 240}}}},
	{"2", [][]point{append(arc(140, 95, 55, 55, 180, 400), point{80, 235}, point{205, 235})}},
	{"3", [][]point{append(arc(135, 90, 55, 48, 200, 450), arc(135, 188, 60, 50, 270, 520)...)}},
	{"4", [][]point{{{160, 40}, {75, 165}, {215, 165}}, {{170, 120}, {170, 245}}}},
	{"6", [][]point{append(arc(190, 150, 105, 110, 260, 180), arc(140, 185, 55, 55, 180, 540)...)}},
	{"7", [][]point{{{85, 50}, {195, 50}, {130, 240}}, {{105, 145}, {205, 145}}}}, // with a bar, as in the training images
}

// arc returns points of an ellipse from an angle to another in degrees, clockwise on the screen.
func arc(x, y, width, height, from, to float64) (points []point) {
	const pieces = 24
	for i := range pieces + 1 {
		a := (from + (to-from)*float64(i)/pieces) * math.Pi / 180
		points = append(points, point{x + width*math.Cos(a), y + height*math.Sin(a)})
	}
	return points
}

// prediction is what the page shows.
type prediction struct {
	Best    string
	Entropy float64
	Classes []struct {
		Name                   string
		Probability, Surprisal float64
	}
	Error string
}

func (p *prediction) probability(name string) float64 {
	for _, c := range p.Classes {
		if c.Name == name {
			return c.Probability
		}
	}
	return math.NaN()
}

func (p *prediction) surprisal(name string) float64 {
	for _, c := range p.Classes {
		if c.Name == name {
			return c.Surprisal
		}
	}
	return math.NaN()
}

// check returns an error where the numbers of the page do not fit each other, by more than their
// rounding: probabilities have four digits after the point, surprisals two and the entropy three.
func (p *prediction) check() error {
	var sum, entropy float64
	for _, c := range p.Classes {
		sum += c.Probability
		entropy += math.Exp2(-c.Surprisal) * c.Surprisal
		if math.Abs(math.Exp2(-c.Surprisal)-c.Probability) > 5e-3 {
			return fmt.Errorf("class %s has the probability %v and the surprisal %v bits", c.Name, c.Probability, c.Surprisal)
		}
	}
	if len(p.Classes) != 10 || math.Abs(sum-1) > 1e-3 || math.Abs(entropy-p.Entropy) > 0.05 {
		return fmt.Errorf("%d classes, whose probabilities add up to %v, with the entropy %v, which is shown as %v", len(p.Classes), sum, entropy, p.Entropy)
	}
	return nil
}
