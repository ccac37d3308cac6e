package main

import (
	"context"
	"fmt"
	"io"

	"github.com/surprisal-go/surprisal/examples/internal/program"
	"github.com/surprisal-go/surprisal/train"
	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/report"
)

// trained is a model with its name.
type trained struct {
	name string
	*train.Result
}

// draw writes the loss curves of all models, the confusion matrix of the last, a report on it and
// its losses by learning rate.
func draw(ctx context.Context, w io.Writer, out string, test data.Dataset, runs []trained, rates *train.Rates) error {
	var series []report.Series
	for _, r := range runs {
		series = append(series,
			report.Series{Name: r.name + ", training", Values: r.History.Series("loss")},
			report.Series{Name: r.name + ", test", Values: r.History.Series("val_loss"), Dashed: true})
	}
	curves, err := report.Curves("Digits: loss per epoch", "mean cross-entropy (nats)", true, series...)
	if err != nil {
		return err
	}
	last := runs[len(runs)-1]
	confusion, calibration := metric.NewConfusion(10), metric.NewCalibrationError(10)
	if _, err := last.Evaluate(ctx, nil, test, confusion, calibration); err != nil {
		return err
	}
	matrix, err := report.Confusion(fmt.Sprintf("Digits: %s, test accuracy %.4f", last.name, confusion.Value()), nil, confusion.Counts())
	if err != nil {
		return err
	}
	byRate, err := report.Rates("Digits: 100 steps of "+last.name+" with rates that grow", rates.Rates, rates.Losses, rates.Best)
	if err != nil {
		return err
	}
	untitled, err := report.Confusion("", nil, confusion.Counts()) // the page has captions
	if err != nil {
		return err
	}
	reliability, err := report.Reliability("", calibration.Bins())
	if err != nil {
		return err
	}
	page, err := report.NewPage("Digits: "+last.name, last.History)
	if err != nil {
		return err
	}
	page.Summary = "1,438 training and 359 test images of handwritten digits, 8 by 8 pixels; the test images are the validation set."
	page.Facts = []report.Fact{
		{Name: "parameters", Value: fmt.Sprint(last.Size())}, {Name: "epochs", Value: fmt.Sprint(len(last.History.Epochs))},
		{Name: "steps", Value: fmt.Sprint(last.Steps)}, {Name: "seconds", Value: fmt.Sprintf("%.2f", last.History.Seconds())},
		{Name: "test accuracy", Value: fmt.Sprintf("%.4f", confusion.Value())},
		{Name: "calibration error", Value: fmt.Sprintf("%.4f", calibration.Value())},
	}
	page.Figures = append(page.Figures,
		report.Figure{Caption: "Confusion matrix of the test images", Picture: untitled},
		report.Figure{Caption: "Reliability of the test images", Picture: reliability})
	for _, f := range []struct {
		name string
		file interface{ Save(path string) error }
	}{{"loss.png", curves}, {"confusion.png", matrix}, {"rates.png", byRate}, {"report.html", page}} {
		if err := program.Save(w, out, f.name, f.file); err != nil {
			return err
		}
	}
	return nil
}
