package train

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// NewProgress returns the callback behind Config.Progress: on a terminal a bar over all steps with rate, time left,
// loss and the last epoch's values; elsewhere a line per epoch.
func NewProgress(w io.Writer) Callback {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &bar{w: w}
	}
	return CallbackFunc(func(_ context.Context, e Event) error {
		if e.Kind != EpochDone {
			return nil
		}
		_, err := fmt.Fprintf(w, "epoch %d/%d  %s  (%.2f s)\n", e.Epoch, e.Epochs, showValues(e.Record.Values), e.Record.Seconds)
		return err
	})
}

// showValues prints values with four digits after the point, or as many significant ones where that would be 0.
func showValues(v Values) string {
	var parts []string
	for _, n := range v.Names() {
		format := "%s %.4f"
		if x := v[n]; x != 0 && x < 0.001 && x > -0.001 {
			format = "%s %.2e"
		}
		parts = append(parts, fmt.Sprintf(format, n, v[n]))
	}
	return strings.Join(parts, "  ")
}

type bar struct {
	w    io.Writer
	bar  *progressbar.ProgressBar
	last string
}

func (b *bar) Event(_ context.Context, e Event) error {
	switch e.Kind {
	case RunBegin:
		b.bar = progressbar.NewOptions(e.Steps, progressbar.OptionSetWriter(b.w), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("steps"), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100_000_000), progressbar.OptionFullWidth(), progressbar.OptionSetRenderBlankState(true))
		return b.bar.Set(e.Step)
	case StepDone:
		b.bar.Describe(fmt.Sprintf("epoch %d/%d  step loss %.4f  %s", e.Epoch, e.Epochs, e.Loss, b.last))
		return b.bar.Set(e.Step)
	case EpochDone:
		b.last = showValues(e.Record.Values)
		b.bar.Describe(fmt.Sprintf("epoch %d/%d  %s", e.Epoch, e.Epochs, b.last))
	case RunEnd:
		if b.bar == nil {
			return nil
		}
		_, err := fmt.Fprintln(b.w)
		return err
	}
	return nil
}

// NewLog returns the callback behind Config.Logger: a record per epoch and one at the end of the run.
func NewLog(l *slog.Logger) Callback {
	return CallbackFunc(func(ctx context.Context, e Event) error {
		switch e.Kind {
		case EpochDone:
			attrs := []slog.Attr{slog.Int("epoch", e.Epoch), slog.Int("step", e.Step), slog.Float64("rate", e.Rate)}
			for _, n := range e.Record.Values.Names() {
				attrs = append(attrs, slog.Float64(n, e.Record.Values[n]))
			}
			l.LogAttrs(ctx, slog.LevelInfo, "epoch", append(attrs, slog.Float64("seconds", e.Record.Seconds))...)
		case CheckpointSaved:
			l.LogAttrs(ctx, slog.LevelInfo, "checkpoint", slog.Int("step", e.Step), slog.String("path", e.Path))
		case RunEnd:
			if e.Err != nil {
				l.LogAttrs(ctx, slog.LevelError, "run ended", slog.Int("step", e.Step), slog.Any("error", e.Err))
			} else {
				l.LogAttrs(ctx, slog.LevelInfo, "run ended", slog.Int("step", e.Step), slog.Float64("seconds", e.History.Seconds()))
			}
		}
		return nil
	})
}
