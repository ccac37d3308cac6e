package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/surprisal-go/surprisal/train/data"
	"github.com/surprisal-go/surprisal/train/metric"
	"github.com/surprisal-go/surprisal/train/optim"
)

// join compares the runs of all ranks, once each has set its own up or failed to: any difference
// ends all of them before the first step. r is nil where err is not.
func (k *ranks) join(r *run, err error) error {
	var words map[string]string
	if err == nil {
		words, err = r.jointSettings()
	}
	if err = k.agree(err); err != nil {
		return err
	}
	if err := k.sameWords(words); err != nil {
		return err
	}
	return k.sameParameters(r.net.params.list)
}

// jointSettings are the words in which the ranks of a run have to agree: those of its checkpoints,
// and what decides when ranks meet.
func (r *run) jointSettings() (map[string]string, error) {
	c := &r.cfg
	if len(r.net.params.states) > 0 {
		return nil, errors.New("BatchNorm takes the moments of a batch, of which a rank has a part: LayerNorm does the same on any number of ranks")
	}
	own, err := r.settings()
	if err != nil {
		return nil, err
	}
	words := map[string]string{"Epochs": strconv.Itoa(c.Epochs), "ValidationBatch": strconv.Itoa(c.ValidationBatch),
		"FastDevRun": strconv.FormatBool(c.FastDevRun), "AnyOrder": strconv.FormatBool(c.AnyOrder),
		"NoTrainMetrics": strconv.FormatBool(c.NoTrainMetrics), "Checkpoint": "none"}
	if p := c.Checkpoint; p != nil {
		words["Checkpoint"] = fmt.Sprintf("every %d epochs, every %d steps, monitor %q", max(1, p.Every), p.EverySteps, p.Monitor)
	}
	for i, m := range c.Metrics {
		words[fmt.Sprintf("Metrics[%d]", i)] = m.Name()
	}
	for name, v := range own {
		words[name] = v
	}
	return words, nil
}

// identity describes the loss and the model of a run. On several ranks the graph has a part of a
// batch, and so it describes the graph that one rank would have.
func (r *run) identity() (lossText, model string, err error) {
	pr := r.graph
	if r.ranks != nil {
		f, err := build(r.net.model, r.net.about.fields.Inputs, r.params, r.whole, true)
		if err != nil {
			return "", "", err
		}
		pr = &program{forward: f, summing: r.cfg.Accumulate > 1}
		if _, err := pr.addLoss(purpose{objective: r.Step.cfg.Objective, fields: r.Step.cfg.Fields, sum: pr.summing}); err != nil {
			return "", "", err
		}
	}
	return pr.lossIdentity(), pr.modelIdentity(), nil
}

// rowsOfRank returns this rank's rows of an epoch from a batch on, and how many it has of a whole
// batch.
func (r *run) rowsOfRank(rows []int, batch int) (own []int, size int) {
	_, size = r.ranks.share(r.whole)
	rows = rows[min(batch*r.whole, len(rows)):]
	if r.ranks == nil {
		return rows, size
	}
	for len(rows) > 0 {
		n := min(r.whole, len(rows))
		from, length := r.ranks.share(n)
		own, rows = append(own, rows[from:from+length]...), rows[n:]
	}
	return own, max(1, size)
}

// next returns this rank's part of the next batch and sets where in the batch that begins. A rank
// without rows gets the first row of the dataset with weight 0.
func (r *run) next(loader *data.Loader) (b *data.Batch, rows int, err error) {
	n := r.whole
	if r.at.Batch == r.batches-1 {
		n = r.rows - r.at.Batch*r.whole
	}
	r.Step.skip, rows = r.ranks.share(n)
	r.graph.rowless = rows == 0
	if rows > 0 {
		b, err = loader.Next()
		return b, rows, err
	}
	k := r.ranks
	if k.none == nil {
		k.none = data.NewBatch(r.ds.Fields(), 1, r.graph.single)
		defer closeRecords(r.ds)
		if err := k.none.Fill(r.ds, []int{0}); err != nil {
			return nil, 0, err
		}
		k.none.W[0] = 0
	}
	return k.none, 0, nil
}

// together adds up the numerators, denominators and gradients of all ranks and makes the update.
// weight is that of this rank's rows.
func (r *run) together(all means, weight float64, rows []int) (norm float64, err error) {
	own := all[0]
	if r.ranks.joint {
		own.Weight = weight
	}
	sums, err := r.ranks.meet(nil, own.Sum, own.Weight)
	if err != nil {
		return 0, err
	}
	scale := 1.0
	if r.ranks.joint {
		weight = 0
		for _, s := range sums {
			weight += s[2]
		}
		copy(all, r.graph.parts(weight))
	} else { // there is one term
		all[0] = mean{}
		for _, s := range sums {
			all.add(means{{s[1], s[2]}})
		}
		if scale, err = all[0].scale(rows); err != nil {
			return 0, err
		}
	}
	if err := r.ranks.sumGradients(r.graph.grads); err != nil {
		return 0, err
	}
	r.params.mu.Lock()
	defer r.params.mu.Unlock()
	if norm, err = r.clip(scale); err == nil {
		r.update()
	}
	return norm, err
}

// resumeRanks puts every rank where the checkpoint of rank 0 says. err is what opening it gave.
func (r *run) resumeRanks(err error) error {
	k := r.ranks
	text := ""
	if err == nil && k.first() && r.savedAt != [2]int{} {
		st := &savedState{At: r.at, History: r.history}
		if a, ok := r.schedule.(optim.Adaptive); ok {
			st.Schedule = a.State()
		}
		if r.best != nil {
			st.Files = map[string]string{bestFile: ""}
		}
		var encoded []byte
		encoded, err = json.Marshal(st)
		text = string(encoded)
	}
	if err = k.agree(err); err != nil {
		return err
	}
	texts, err := k.texts(text)
	if err != nil || texts[0] == "" {
		return err
	}
	st := new(savedState)
	if err := json.Unmarshal([]byte(texts[0]), st); err != nil {
		return err
	}
	if !k.first() {
		r.at, r.history = st.At, st.History
		r.savedAt = r.mark()
		if a, ok := r.schedule.(optim.Adaptive); ok {
			if err := a.Restore(st.Schedule); err != nil {
				return err
			}
		}
	}
	if _, ok := st.Files[bestFile]; ok {
		if !k.first() {
			r.best = cloneAll(r.net.params.list)
		}
		if err := k.broadcast(r.best); err != nil {
			return err
		}
	}
	if err := k.broadcast(r.net.params.list); err != nil {
		return err
	}
	return k.broadcast(r.slots())
}

// collect gives rank 0 what the metrics of all ranks have seen of the epoch so far, which a
// checkpoint saves, and has the others begin anew; every rank gets it where the epoch is complete.
func (r *run) collect(complete bool) error {
	k := r.ranks
	if k == nil || len(r.metrics) == 0 {
		return nil
	}
	if !k.merged {
		merged, err := k.mergeMetrics(r.metrics)
		if err != nil {
			return err
		}
		r.metrics = merged
	}
	if k.merged = complete; !complete && !k.first() {
		r.metrics = fresh(r.metrics)
	}
	return nil
}

// measureHeld measures the first rows of the validation set, each rank its own part of them: whole
// batches where a loss reads all rows of one.
func (r *run) measureHeld(ctx context.Context, rows int, metrics []metric.Metric) (means, []metric.Metric, error) {
	from, length := r.ranks.share(rows)
	if r.ranks != nil && slices.ContainsFunc(r.val.terms, func(t *costTerm) bool { return t.readsBatch }) {
		size := r.val.batch
		from, length = r.ranks.share((rows + size - 1) / size)
		from, length = from*size, min(length*size, max(0, rows-from*size))
	}
	r.val.told = func(done int) error { return r.validating(done, length) }
	part, err := r.val.sums(ctx, from, from+length, metrics)
	if r.ranks == nil || err != nil {
		return part, metrics, err
	}
	if err := r.ranks.agree(nil); err != nil {
		return nil, nil, err
	}
	if part, err = r.ranks.mergeMeans(part, len(r.val.terms)); err != nil {
		return nil, nil, err
	}
	merged, err := r.ranks.mergeMetrics(metrics)
	return part, merged, err
}
