package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"regexp"
	"strings"

	"github.com/surprisal-go/surprisal/train/weights"
)

// A Page is an HTML report of a run: one file with pictures, styles and numbers in it, which a
// browser shows without a network.
type Page struct {
	Title   string
	Summary string
	Facts   []Fact
	Figures []Figure
	Table   Table
}

// A Fact is a named value: a setting or a result.
type Fact struct{ Name, Value string }

// A Figure is a picture with a caption.
type Figure struct {
	Caption string
	Picture *Picture
}

// A Table is lines of text under column names.
type Table struct {
	Columns []string
	Rows    [][]string
}

// A History is what a page draws: the values of each epoch by name. train.History is one.
type History interface {
	Names() []string
	Series(name string) []float64
}

// NewPage returns a page with a picture for each value of a history, training and validation in
// one, and a table of them all. Losses are drawn on a logarithmic axis. The caller adds facts and
// figures.
func NewPage(title string, h History) (*Page, error) {
	p := &Page{Title: title}
	names := h.Names()
	for _, n := range names {
		if strings.HasPrefix(n, "val_") {
			continue
		}
		series := []Series{{Name: n + ", training", Values: h.Series(n)}}
		for _, v := range names {
			if v == "val_"+n {
				series = append(series, Series{Name: n + ", validation", Values: h.Series(v), Dashed: true})
			}
		}
		log := strings.HasSuffix(n, "loss")
		pic, err := Curves("", n, log, series...)
		if err != nil && log { // a loss that was never above 0
			pic, err = Curves("", n, false, series...)
		}
		if err != nil {
			return nil, err
		}
		p.Figures = append(p.Figures, Figure{strings.ToUpper(n[:1]) + n[1:] + " per epoch", pic})
	}
	p.Table = historyTable(names, h)
	return p, nil
}

func historyTable(names []string, h History) Table {
	t := Table{Columns: append([]string{"epoch"}, names...)}
	for j, n := range names {
		series := h.Series(n)
		show := columnFormat(series)
		for i, v := range series {
			if i == len(t.Rows) {
				t.Rows = append(t.Rows, append([]string{fmt.Sprint(i + 1)}, make([]string, len(names))...))
			}
			if !math.IsNaN(v) {
				t.Rows[i][j+1] = show(v)
			}
		}
	}
	return t
}

// columnFormat returns the text of the numbers of a column: five digits of the largest, the same
// number of places for all, and powers of ten for those that would be 0 that way.
func columnFormat(values []float64) func(v float64) string {
	var top float64
	for _, v := range values {
		if a := math.Abs(v); a > top && !math.IsInf(v, 0) {
			top = a
		}
	}
	places := 4
	if top > 0 {
		places = min(max(4-int(math.Floor(math.Log10(top))), 0), 5)
	}
	return func(v float64) string {
		if v != 0 && math.Abs(v) < 10*math.Pow(10, -float64(places)) || math.Abs(v) >= 1e7 {
			return fmt.Sprintf("%.2e", v)
		}
		return fmt.Sprintf("%.*f", places, v)
	}
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// prolog is what precedes the <svg> element in a file of its own, and fixed sizes that keep a
// picture from fitting its column.
var prolog = regexp.MustCompile(`(?s)^.*?<svg `)

var fixedSize = regexp.MustCompile(`^<svg width="[^"]*" height="[^"]*"`)

// Write writes the page.
func (p *Page) Write(w io.Writer) error {
	type figure struct {
		Caption string
		SVG     template.HTML
	}
	view := struct {
		*Page
		Drawn []figure
	}{Page: p}
	for _, f := range p.Figures {
		var b bytes.Buffer
		if err := f.Picture.Write(&b, "svg"); err != nil {
			return fmt.Errorf("report.Page: figure %q: %w", f.Caption, err)
		}
		svg := prolog.ReplaceAllString(b.String(), "<svg ")
		svg = fixedSize.ReplaceAllString(svg, `<svg role="img"`)
		// The text is gonum's drawing of numbers and of names that it escapes, not markup of a
		// stranger.
		view.Drawn = append(view.Drawn, figure{f.Caption, template.HTML(svg)})
	}
	if err := pageTemplate.Execute(w, view); err != nil {
		return fmt.Errorf("report.Page: %w", err)
	}
	return nil
}

// Save writes the page to a file, all of it or nothing.
func (p *Page) Save(path string) error {
	if err := weights.WriteFile(path, p.Write); err != nil {
		return fmt.Errorf("report.Page: %w", err)
	}
	return nil
}
