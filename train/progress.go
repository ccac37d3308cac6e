package train

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// NewProgress returns the callback behind Config.Progress. On a terminal it draws a line as wide as
// the terminal: the epoch, a bar over all steps with speed and remaining time, the loss and the
// values of the last epoch. Elsewhere it writes a line per epoch, and one every 10 seconds during
// longer epochs.
func NewProgress(w io.Writer) Callback {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &bar{w: w, now: time.Now, columns: func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil || width <= 0 {
				return usualColumns
			}
			return width
		}}
	}
	return &lines{w: w, now: time.Now}
}

// watcher is a callback that also follows a validation, which may take minutes in which nothing
// else happens.
type watcher interface {
	validating(e Event, done, rows int) error
}

// quiet is the longest time without a line off a terminal.
const quiet = 10 * time.Second

// lines is the progress off a terminal.
type lines struct {
	w     io.Writer
	now   func() time.Time
	spoke time.Time // when the run began, and after that when it last wrote a line
}

func (l *lines) Event(_ context.Context, e Event) error {
	switch e.Kind {
	case RunBegin:
		l.spoke = l.now()
	case Warning:
		_, err := fmt.Fprintf(l.w, "warning: %v\n", e.Finding)
		return err
	case StepDone:
		return l.say(e, fmt.Sprintf("step %d/%d  step loss %s", e.InEpoch, e.PerEpoch, short(e.Loss)))
	case Validated:
		l.spoke = l.now()
		_, err := fmt.Fprintf(l.w, "epoch %d/%d  step %d/%d  %s\n", e.Epoch, e.Epochs, e.InEpoch, e.PerEpoch,
			showValues(e.Record.Values))
		return err
	case EpochDone:
		l.spoke = l.now()
		_, err := fmt.Fprintf(l.w, "epoch %d/%d  %s  (%.2f s)\n", e.Epoch, e.Epochs, showValues(e.Record.Values),
			e.Record.Seconds)
		return err
	}
	return nil
}

func (l *lines) validating(e Event, done, rows int) error {
	return l.say(e, fmt.Sprintf("validation row %d/%d", done, rows))
}

// say writes a line when there has been none for a while.
func (l *lines) say(e Event, text string) error {
	now := l.now()
	if now.Sub(l.spoke) < quiet {
		return nil
	}
	l.spoke = now
	_, err := fmt.Fprintf(l.w, "epoch %d/%d  %s\n", e.Epoch, e.Epochs, text)
	return err
}

// showValues prints values by their names.
func showValues(v Values) string {
	var parts []string
	for _, n := range v.Names() {
		parts = append(parts, n+" "+short(v[n]))
	}
	return strings.Join(parts, "  ")
}

// short prints a number with four digits after the point, or in powers of ten where that would be 0
// or long.
func short(x float64) string {
	if x != 0 && x < 0.001 && x > -0.001 || x >= 1e6 || x <= -1e6 {
		return fmt.Sprintf("%.2e", x)
	}
	return fmt.Sprintf("%.4f", x)
}

// usualColumns is the width of a terminal whose width is not known, and redraw the shortest time
// between two pictures of the bar.
const (
	usualColumns = 80
	redraw       = 100 * time.Millisecond
)

// bar is the progress on a terminal: one line, drawn over and over.
type bar struct {
	w       io.Writer
	now     func() time.Time
	columns func() int

	began time.Time
	from  int // the step at which the run began, after a resume
	drawn time.Time
	width int // of the line on the terminal
	last  string
	loss  string
	open  bool // the line has no end yet
}

func (b *bar) Event(_ context.Context, e Event) error {
	switch e.Kind {
	case RunBegin:
		b.began, b.from = b.now(), e.Step
		return b.draw(e, "", true)
	case Warning:
		return b.warn(e)
	case StepDone:
		b.loss = "step loss " + short(e.Loss)
		return b.draw(e, "", e.Step >= e.Steps)
	case EpochDone, Validated:
		b.last = showValues(e.Record.Values)
		return b.draw(e, "", true)
	case RunEnd:
		if !b.open {
			return nil
		}
		b.open = false
		_, err := fmt.Fprintln(b.w)
		return err
	}
	return nil
}

func (b *bar) validating(e Event, done, rows int) error {
	return b.draw(e, fmt.Sprintf("validating %d%%", 100*done/rows), false)
}

// warn writes a line of its own above that of the bar.
func (b *bar) warn(e Event) error {
	start := ""
	if b.open {
		start = "\r" + strings.Repeat(" ", min(b.width, b.columns()-1)) + "\r"
	}
	b.width, b.open = 0, false
	_, err := fmt.Fprintf(b.w, "%swarning: %v\n", start, e.Finding)
	return err
}

// draw writes the line over the one before. Between two pictures some time passes, unless it is
// urgent.
func (b *bar) draw(e Event, state string, urgent bool) error {
	now := b.now()
	if !urgent && now.Sub(b.drawn) < redraw {
		return nil
	}
	b.drawn = now
	// Most terminals break a line after its last column, so that stays free.
	line := b.line(e, state, now.Sub(b.began), b.columns()-1)
	width := uniseg.StringWidth(line)
	blank := strings.Repeat(" ", max(0, min(b.width, b.columns()-1)-width)) // over the rest of a longer line
	b.width, b.open = width, true
	_, err := fmt.Fprint(b.w, "\r"+line+blank)
	return err
}

// line returns a picture of at most room columns. What does not fit is left out from the end; a
// narrow terminal has no bar.
func (b *bar) line(e Event, state string, passed time.Duration, room int) string {
	const wide, least, most = 50, 10, 30 // columns for there to be a bar, and those of the bar
	steps := max(e.Steps, 1)
	made := min(e.Step, steps)
	parts := []string{fmt.Sprintf("epoch %d/%d", e.Epoch, e.Epochs), fmt.Sprintf("%d%%", 100*made/steps)}
	used := uniseg.StringWidth(strings.Join(parts, " "))
	rest := []string{state, b.loss}
	if made > b.from && passed > 0 {
		rate := float64(made-b.from) / passed.Seconds()
		left := time.Duration(float64(steps-made) / rate * float64(time.Second))
		rest = append(rest, left.Round(time.Second).String()+" left", fmt.Sprintf("%d/%d", e.Step, e.Steps),
			fmt.Sprintf("%.3g steps/s", rate))
	}
	rest = append(rest, strings.Split(b.last, "  ")...)
	reserved := 0
	if room >= wide {
		reserved = least + 3 // a space and two brackets
	}
	var shown []string
	for _, part := range rest {
		if part == "" {
			continue
		}
		width := 2 + uniseg.StringWidth(part)
		if used+width > room-reserved {
			break
		}
		used += width
		shown = append(shown, part)
	}
	if size := min(room-used-3, most); reserved > 0 {
		full := size * made / steps
		parts = append(parts, "["+strings.Repeat("=", full)+strings.Repeat(" ", size-full)+"]")
	}
	return fit(strings.Join(append([]string{strings.Join(parts, " ")}, shown...), "  "), room)
}

// fit cuts a text to a number of columns and keeps it on one line.
func fit(text string, room int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	var out strings.Builder
	for state := -1; text != ""; {
		var cluster string
		var width int
		cluster, text, width, state = uniseg.FirstGraphemeClusterInString(text, state)
		if room -= width; room < 0 {
			break
		}
		out.WriteString(cluster)
	}
	return out.String()
}

// NewLog returns the callback behind Config.Logger: a record for each epoch, validation, warning
// and checkpoint, and one at the end of the run.
func NewLog(l *slog.Logger) Callback {
	return CallbackFunc(func(ctx context.Context, e Event) error {
		switch e.Kind {
		case EpochDone:
			attrs := []slog.Attr{slog.Int("epoch", e.Epoch), slog.Int("step", e.Step), slog.Float64("rate", e.Rate)}
			for _, n := range e.Record.Values.Names() {
				attrs = append(attrs, slog.Float64(n, e.Record.Values[n]))
			}
			l.LogAttrs(ctx, slog.LevelInfo, "epoch", append(attrs, slog.Float64("seconds", e.Record.Seconds))...)
		case Validated:
			attrs := []slog.Attr{slog.Int("epoch", e.Epoch), slog.Int("step", e.Step)}
			for _, n := range e.Record.Values.Names() {
				attrs = append(attrs, slog.Float64(n, e.Record.Values[n]))
			}
			l.LogAttrs(ctx, slog.LevelInfo, "validation", attrs...)
		case Warning:
			l.LogAttrs(ctx, slog.LevelWarn, e.Finding.What, slog.String("node", e.Finding.Node))
		case CheckpointSaved:
			l.LogAttrs(ctx, slog.LevelInfo, "checkpoint", slog.Int("step", e.Step), slog.String("path", e.Path))
		case RunEnd:
			if e.Err != nil {
				l.LogAttrs(ctx, slog.LevelError, "run ended", slog.Int("step", e.Step), slog.Any("error", e.Err))
			} else {
				l.LogAttrs(ctx, slog.LevelInfo, "run ended", slog.Int("step", e.Step),
					slog.Float64("seconds", e.History.Seconds()))
			}
		}
		return nil
	})
}
