package core

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/surprisal-go/surprisal/tensorops/comm"
)

// Where the values of a loss are spread over the ranks of a Comm, each rank adds up its own, and the
// few numbers of a reduction are gathered and added in the order of the ranks: every rank gets the
// same bits. Ranks meet twice in an evaluation: before the derivatives, which need the denominator,
// and at the end; where values alone are requested, or the denominator is known, at the end only.
// Whatever goes wrong on a rank is kept until ranks meet, so that none waits for another in vain.

// OptComm spreads the values of a loss over ranks. Every loss with a reduction takes it.
var OptComm = declare(option{name: "WithComm"})

// spread reports whether the values of a loss are those of several ranks.
func (b *Bound) spread() bool { return b.Set.Comm != nil && b.Set.Reduction != None && !b.IsMap }

// meetsFirst reports whether ranks meet before the request is computed.
func (e *evaluation[F]) meetsFirst() bool {
	return e.spread() && (e.Order == OrderDenominator || e.Order != OrderValue && e.Set.Reduction == Mean && !e.fixedNormalizer())
}

// checkSpread refuses losses whose values cannot be spread.
func (b *Bound) checkSpread() error {
	if b.Set.Comm == nil || b.grouped == nil {
		return nil
	}
	if b.gathers() {
		return b.checkGathered()
	}
	if g := b.Def.Grouped(&b.Set); g.Over == "" && !g.Apart && b.Set.Reduction != None {
		return Faultf(ErrOption, b.Def.Name, "WithComm has no place where a value reads the whole batch, of which each rank has a part")
	}
	return nil
}

// What ranks tell each other when they meet.
const (
	operationAt = iota // hashes of what must be the same
	optionsAt
	operandsAt
	normalizerAt
	dataAt  // a hash of what shards share
	firstAt // the shard
	countAt
	failedAt // 1 after an error
	activeAt
	totalsAt // the sums of the totals, two numbers each
	meeting  = totalsAt + 8
)

// sums returns the totals that ranks add.
func (t *totals) sums() [4]*sum { return [4]*sum{&t.n, &t.d, &t.dn, &t.dd} }

// join returns the totals of all shards and ranks, given those of this rank, with the error of the
// first rank that has one.
func (e *evaluation[F]) join(own totals) totals {
	if e.Set.Sharded() {
		own = e.joinShards(own)
	}
	if e.spread() {
		own = e.meet(e.Set.Comm, own, false)
	}
	return own
}

// meet returns the totals of all ranks of c.
func (e *evaluation[F]) meet(c comm.Comm, own totals, shards bool) (all totals) {
	var told [meeting]float64
	told[operationAt] = float64(int(e.Order)<<16 | e.Wrt<<8 | e.Then)
	told[optionsAt], told[operandsAt] = e.alike[indicator(shards)][0], e.alike[indicator(shards)][1]
	told[normalizerAt], told[activeAt] = e.in.Normalizer, float64(indicator(own.active))
	if shards {
		told[dataAt], told[firstAt], told[countAt] = e.shards.data, float64(e.Set.Shard.First), float64(e.Dims.Cols)
	}
	if e.gathers() {
		told[countAt] = float64(e.given[0].Shape[0])
	}
	told[failedAt] = float64(indicator(own.err != nil))
	for k, s := range own.sums() {
		told[totalsAt+2*k], told[totalsAt+2*k+1] = s.s, s.lost
	}
	records := make([]float64, meeting*c.Size())
	if err := comm.Allgather(c, records, told[:], nil); err != nil {
		return totals{err: fmt.Errorf("loss.%s: %w", e.Def.Name, err)}
	}
	if all.err = e.agree(c, records, own.err); all.err == nil && shards {
		e.shards.classes, e.shards.most, all.err = e.tile(records, c.Size())
	}
	if all.err != nil {
		return all
	}
	e.rows = e.rows[:0]
	for r := range c.Size() {
		of := records[r*meeting:][:meeting]
		e.rows = append(e.rows, int(of[countAt]))
		t := totals{active: of[activeAt] != 0}
		for k, s := range t.sums() {
			s.s, s.lost = of[totalsAt+2*k], of[totalsAt+2*k+1]
		}
		all.add(&t)
	}
	return all
}

func indicator(b bool) int {
	if b {
		return 1
	}
	return 0
}

// agree returns the error of the first rank that has one, or one that names two ranks that do not
// compute the same.
func (b *Bound) agree(c comm.Comm, records []float64, own error) error {
	for r := range c.Size() {
		if records[r*meeting+failedAt] != 0 {
			return b.errorOf(c, r, own)
		}
	}
	for r := range c.Size() {
		of := records[r*meeting:][:meeting]
		switch {
		case of[operandsAt] != records[operandsAt]:
			return Faultf(ErrShape, b.Def.Name, "rank %d has another loss than rank 0, or operands of other lengths or kinds", r)
		case of[optionsAt] != records[optionsAt]:
			return Faultf(ErrOption, b.Def.Name, "rank %d has other options than rank 0", r)
		case of[operationAt] != records[operationAt]:
			return Faultf(ErrOption, b.Def.Name, "rank %d computes another derivative than rank 0", r)
		case of[dataAt] != records[dataAt]:
			return Faultf(ErrValue, b.Def.Name, "rank %d has other labels, weights or masks than rank 0, want the same with every shard", r)
		case of[normalizerAt] != records[normalizerAt]:
			return Faultf(ErrValue, b.Def.Name, "normalizer is %v on rank %d and %v on rank 0, want the same number",
				of[normalizerAt], r, records[normalizerAt])
		}
	}
	return nil
}

// messageLen is the number of bytes of an error that other ranks see.
const messageLen = 504

// kinds are the kinds of errors that ranks tell each other, by number.
var kinds = [...]error{ErrValue, ErrShape, ErrDType, ErrOption}

// errorOf returns the error of a rank on every rank.
func (b *Bound) errorOf(c comm.Comm, rank int, own error) error {
	var told [1 + messageLen/8]int64
	if own != nil {
		for k, kind := range kinds {
			if errors.Is(own, kind) {
				told[0] = int64(k)
			}
		}
		text := strings.TrimPrefix(own.Error(), "loss."+b.Def.Name+": ")
		for i := range min(len(text), messageLen) {
			told[1+i/8] |= int64(text[i]) << (i % 8 * 8)
		}
	}
	all := make([]int64, len(told)*c.Size())
	if err := comm.Allgather(c, all, told[:], nil); err != nil {
		return fmt.Errorf("loss.%s: %w", b.Def.Name, err)
	}
	of := all[rank*len(told):][:len(told)]
	text := make([]byte, messageLen)
	for i := range text {
		text[i] = byte(of[1+i/8] >> (i % 8 * 8))
	}
	says := strings.TrimRight(string(text), "\x00")
	if !strings.HasPrefix(says, "rank ") { // else it has gone round before
		says = fmt.Sprintf("rank %d: %s", rank, says)
	}
	return Faultf(kinds[of[0]], b.Def.Name, "%s", says)
}

// hashOf returns a whole number below 2^52 that stands for a text.
func hashOf(text string) float64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return float64(h.Sum64() >> 12)
}

// sealRanks sets what must be the same on every rank, and in every shard.
func (b *Bound) sealRanks() {
	if !b.spread() && !b.Set.Sharded() {
		return
	}
	cols := b.Dims.Cols
	if b.grouped != nil {
		cols = 0 // lists and sequences are padded to the length that a rank needs
	}
	for k, size := range [2]int{cols, b.Dims.Rows} {
		operands := fmt.Sprint(b.Def.Name, b.DType, size, b.Floats, len(b.Integers), b.Weighted,
			b.MaskType != "", b.Normalized, b.Numerator)
		b.alike[k] = [2]float64{hashOf(b.Set.text()), hashOf(operands)}
	}
}
