package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Grouping says how the values of a loss read their operands where a value reads more than a row:
// the items of a list, the pixels of an image, the frames of a sequence, the embeddings of a batch.
// Axes are named by the letters of the operands' shapes.
//
// A group is what several values, or one, read together. Entries that are masked, or whose label is
// ignored, are in no group.
type Grouping struct {
	// Over are the axes along which groups differ; "": the batch is one group.
	Over string
	// Entries are the axes whose entries a mask leaves out, such as the pixels of an image; "":
	// a mask leaves out groups.
	Entries string
	// Values are the axes of a value: those of groups, followed by the entries or by other axes.
	Values string
	// Weights are the axes of WithWeights; "": those of a value, or of groups.
	Weights string
	// Unweighted groups take no weights.
	Unweighted bool
	// Items: weights may also have the axes of groups and entries, and come with the group then.
	Items bool
	// Inside: weights come with the group, which makes its values of them.
	Inside bool
	// Gathered: the values may be computed by several ranks, each those of its Anchors.
	Gathered bool
	// Apart: a value reads no other entry than its own, though the batch is one group.
	Apart bool
	// Whole: Mean is one value of the whole group instead of a quotient of two sums; its weights
	// come with the group.
	Whole bool
	// Shapes replaces the declared shapes of some operands, by their places.
	Shapes map[int]string
	// Classes returns the number of classes that labels may have; nil: the length of axis C.
	Classes func(d *GroupDims) int
	// Data are the places of operands that have no derivative under the settings.
	Data []int
	// Binary: labels are 0 and 1 where there is one class.
	Binary bool
	// Scan: the parts of the values in the denominator depend on operands with a derivative.
	Scan bool
	// Streamed are the axes of Entries or others, such as the frames of a sequence, where floating
	// operands are too large to be packed: the mathematics reads ranges of entries along these axes
	// and writes the derivatives so (Group.Read, Group.Write). X is nil, and Grad, Hess and Dir are
	// empty but not nil where they are requested or there.
	Streamed string
}

// A GroupFunc is the mathematics of a group: it writes the values to Value and, in full, the
// derivatives that the group requests: Σ_i Factor_i·∂l_i/∂x. Values whose factor is 0 have no part
// in a derivative, whatever theirs is.
type GroupFunc func(g *Group) error

// A PartsFunc writes the parts that the values of a group have: Weight multiplies a value under
// every reduction, Num under Mean alone, and Den is its part in the denominator of Mean. All are 1
// before.
type PartsFunc func(g *Group) error

// GroupDims are the dimensions of a bound loss whose values read groups.
type GroupDims struct {
	Groups  int
	Present [MaxPlaces]bool // the operands that are there
	Integer [MaxPlaces]bool // those of an integer type
	Float32 bool            // the dtype of the others
	Mean    bool            // the reduction is Mean, and the denominator is not given
	n       [128]int
	rest    Shape
}

// Len returns the length of an axis; '*' stands for the product of its axes.
func (d *GroupDims) Len(letter byte) int {
	if letter == '*' {
		return d.rest.Size()
	}
	return d.n[letter]
}

// grouped is what binding knows of groups.
type grouped struct {
	Grouping
	dims     GroupDims
	dropped  bool // segments, or one list alone: the axes of groups are not there
	layout   [MaxPlaces]groupLayout
	entries  int     // of a group, all of them
	values   int     // of a group
	perItem  bool    // a value for each entry
	single   bool    // a value for each group, at its first entry
	shapes   []Shape // that weights may have
	perGroup bool    // the first of them has a weight for each group
	mask     Shape
	f        GroupFunc
	parts    PartsFunc
	kernels  GroupKernels
	weights  bool // come with the group
	byLabel  bool // labels leave out entries
	classes  int
}

// groupAxis is an axis of an operand, or several that lie behind each other.
type groupAxis struct {
	kind      byte // 'o' of groups, 'e' of entries, 'r' of neither
	n, stride int
}

// groupLayout says where the entries of a group lie in an operand: the axes of groups, those of
// entries, once or twice, and the others, in the order in which a group has them.
type groupLayout struct {
	over, rest []groupAxis
	entries    [2][]groupAxis
	all        region // of all entries
	shared     bool   // all groups read the same
}

// newGrouped decides what the settings and the first operand decide.
func newGrouped(b *Bound, first Given) *grouped {
	g := &grouped{Grouping: b.Def.Grouped(&b.Set)}
	pattern := g.declared(b.Def, 0)
	lone := g.Over != "" && !strings.Contains(pattern, "*") && len(first.Shape) == len(strings.Fields(pattern))-1
	if g.dropped = lone || b.Set.Has(OptSegments); g.dropped {
		drop := strings.NewReplacer(g.Over+" ", "", " "+g.Over, "", g.Over, "")
		shapes := make(map[int]string)
		for k := range b.Def.Operands {
			shapes[k] = drop.Replace(g.declared(b.Def, k))
		}
		if b.Set.Has(OptSegments) && g.Values == g.Over {
			g.Values = g.Entries // the value of a list stands at its first item
		} else {
			g.Values = drop.Replace(g.Values)
		}
		g.Weights = drop.Replace(g.Weights)
		g.Shapes, g.Over = shapes, ""
	} else {
		shapes := make(map[int]string)
		for k := range b.Def.Operands {
			shapes[k] = g.declared(b.Def, k)
		}
		g.Shapes = shapes
	}
	return g
}

func (g *grouped) declared(d *Definition, k int) string {
	if p, ok := g.Shapes[k]; ok {
		return p
	}
	return d.Operands[k].Shape
}

func (g *grouped) pattern(k int) string { return g.Shapes[k] }

// choose settles on one of the shapes "a|b" that an operand may have, by its rank.
func (g *grouped) choose(k int, l *letters, rank int) string {
	if all := strings.Split(g.Shapes[k], "|"); len(all) > 1 {
		g.Shapes[k] = all[0]
		for _, p := range all {
			if l.order(p, rank) != nil {
				g.Shapes[k] = p
			}
		}
	}
	return g.Shapes[k]
}

// bind computes the layouts once all letters are known.
func (g *grouped) bind(b *Bound, l *letters) error {
	d := &g.dims
	d.n, d.rest, d.Float32 = l.n, l.rest, b.DType == Float32
	g.classes = d.n['C']
	if g.Classes != nil {
		g.classes = g.Classes(d)
	}
	g.entries = l.shape(g.Entries).Size()
	d.Groups = l.shape(g.Over).Size()
	g.values = l.shape(g.Values).Size() / d.Groups
	b.Values = l.shape(g.Values)
	if g.single = b.singles(); g.single {
		g.values = 1
	}
	g.perItem = g.Entries != "" && strings.HasSuffix(g.Values, g.Entries) && !g.single
	for k := range b.Floats {
		g.place(b, l, b.operand[k], b.shapes[k])
	}
	for k, given := range b.Integers {
		g.dims.Integer[b.integer[k]] = true
		g.place(b, l, b.integer[k], given.Shape)
		g.byLabel = g.byLabel || b.Def.Operands[b.integer[k]].Holds.TakesLabels() && b.Def.Takes.Has(OptIgnoreIndex)
	}
	d.Mean = b.Set.Reduction == Mean
	weights := g.Weights
	if weights == "" {
		weights = g.Values
	}
	g.shapes = []Shape{l.shape(weights)}
	g.perGroup = weights == g.Over && g.Over != ""
	all := strings.TrimSpace(g.Over + " " + g.Entries)
	if g.Items && weights != all {
		g.shapes = append(g.shapes, l.shape(all))
	}
	g.mask = l.shape(all)
	cols := 1
	for k := range b.Floats {
		cols += g.layout[b.operand[k]].all.size
	}
	b.Dims = Dims{Rows: d.Groups, Cols: cols, Inner: 1, Classes: g.classes, Stride: 1}
	if g.Binary && g.classes == 1 {
		g.classes = 2
	}
	if d.Groups == 1 || b.Set.Has(OptSegments) {
		b.Dims.Cols = grain // groups of segments are counted when the graph runs
	}
	if b.Def.Bind != nil {
		if err := b.Def.Bind(&b.Set, d); err != nil {
			if fault := (*Fault)(nil); errors.As(err, &fault) {
				return err
			}
			return Faultf(ErrOption, b.Def.Name, "%v", err)
		}
	}
	return nil
}

// singles reports whether every group has one value, although values have the axes of entries.
func (b *Bound) singles() bool {
	return b.Set.Has(OptSegments) && b.Def.Grouped(&b.Set).Values == b.Def.Grouped(&b.Set).Over
}

// place computes the layout of the operand in a place.
func (g *grouped) place(b *Bound, l *letters, k int, s Shape) {
	g.dims.Present[k] = true
	pattern := g.pattern(k)
	if b.Def.Operands[k].Holds.TakesLabels() && g.dims.Integer[k] {
		pattern = strings.Replace(pattern, "C", "", 1)
	}
	order := l.order(pattern, len(s))
	lay := &g.layout[k]
	*lay = groupLayout{shared: true}
	seen := map[byte]bool{}
	stride := 1
	axes := make([]groupAxis, len(order))
	second := make([]bool, len(order))
	for i := len(order) - 1; i >= 0; i-- {
		axes[i] = groupAxis{'r', s[i], stride}
		stride *= s[i]
	}
	for i, c := range order {
		switch {
		case strings.IndexByte(g.Over, c) >= 0:
			axes[i].kind = 'o'
			lay.shared = false
		case strings.IndexByte(g.Entries+g.Streamed, c) >= 0:
			axes[i].kind = 'e'
			second[i] = c != '*' && seen[c]
			seen[c] = true
		}
	}
	for i, a := range axes {
		to := &lay.rest
		switch {
		case a.kind == 'o':
			to = &lay.over
		case a.kind == 'e' && second[i]:
			to = &lay.entries[1]
		case a.kind == 'e':
			to = &lay.entries[0]
		}
		if n := len(*to); n > 0 && (*to)[n-1].stride == a.n*a.stride { // behind each other
			(*to)[n-1] = groupAxis{a.kind, (*to)[n-1].n * a.n, a.stride}
			continue
		}
		*to = append(*to, a)
	}
	if len(lay.entries[0]) == 0 && strings.Contains(pattern, "*") && strings.Contains(g.Entries, "*") {
		lay.entries[0] = []groupAxis{{'e', 1, 1}} // "*" is no axis at all
	}
	if g.Over == "" {
		lay.shared = len(lay.entries[0]) == 0 && b.Set.Has(OptSegments)
	}
	lay.all.set(lay, nil)
}

// base is where group i of an operand begins.
func (y *groupLayout) base(i int) int {
	if len(y.over) == 0 {
		return 0
	}
	return offset(y.over, i)
}

// offset is where entry i lies.
func offset(axes []groupAxis, i int) (at int) {
	for a := len(axes) - 1; a > 0; a-- {
		at += i % axes[a].n * axes[a].stride
		i /= axes[a].n
	}
	return at + i*axes[0].stride
}

// perValue checks the shape of weights or of a mask.
func (g *grouped) perValue(b *Bound, what string, s Shape) error {
	shapes := g.shapes
	switch {
	case what == "mask":
		shapes = []Shape{g.mask}
	case g.Unweighted:
		return Faultf(ErrOption, b.Def.Name, "weights have no place where the whole batch is one set")
	}
	var words []string
	for _, want := range shapes {
		if s.Equal(want) {
			return nil
		}
		words = append(words, want.String())
	}
	return Faultf(ErrShape, b.Def.Name, "%s %s shape %s, want %s to match %s %s", what, hasVerb(what), s,
		strings.Join(words, " or "), b.Def.Operands[0].Name, b.Shape)
}

// BatchMask returns the shape of the mask that leaves out rows where values read the whole batch, and
// nil where each reads rows of its own.
func (b *Bound) BatchMask() Shape {
	if b.grouped == nil || b.grouped.Over != "" || !strings.HasPrefix(b.grouped.Entries, "N") {
		return nil
	}
	return slices.Clone(b.grouped.mask)
}

// sealed returns a copy with the mathematics.
func (g *grouped) sealed(b *Bound) *grouped {
	c := *g
	g = &c
	g.dims.Mean = b.Set.Reduction == Mean && b.Set.Normalizer == 0 && !b.Normalized
	g.weights = b.Weighted && (g.Inside || g.whole(b) || len(g.shapes) > 1 && b.WeightShape.Equal(g.shapes[1]) ||
		b.Set.Has(OptSegments))
	g.f = b.Def.Group(&b.Set, &g.dims)
	if b.Def.Parts != nil {
		g.parts = b.Def.Parts(&b.Set, &g.dims)
	}
	if b.Def.GroupKernel != nil {
		g.kernels = b.Def.GroupKernel(&b.Set, &g.dims)
	}
	return g
}

// whole reports whether Mean is one value of the group.
func (g *grouped) whole(b *Bound) bool { return g.Whole && g.dims.Mean }

// Quotient reports whether Mean is a quotient of two sums.
func (b *Bound) Quotient() bool { return b.grouped == nil || !b.grouped.Whole }

// A Group is a group of entries as the mathematics of a loss reads them, in float64 whatever their
// dtype. Operands and derivatives stand at their places in the declaration; those with the axes of
// entries have the entries first, the others are whole. A derivative that is nil is not requested, a
// direction that is nil is zero.
type Group struct {
	Index int // of the group
	N     int // the entries that are there
	All   int // and those that are not
	// At are the positions of the entries among all of the group; nil: all are there.
	At     []int
	X      [MaxPlaces][]float64 // floating operands; flags and signs of either type
	Int    [MaxPlaces][]int     // integer operands
	Weight []float64            // of entries; nil: 1, or they multiply the values
	// Whole requests the mean of all values as one value.
	Whole bool

	Value  []float64 // the values; nil: not requested
	Factor []float64 // of the values, in the derivatives
	Grad   [MaxPlaces][]float64
	Dir    [MaxPlaces][]float64
	Hess   [MaxPlaces][]float64

	Parts, Num, Den []float64 // for a PartsFunc

	anchors [2]int // of all entries, those whose values are to be computed; 0: all

	name    string
	access  access
	floats  scratch[float64]
	ints    scratch[int]
	singles scratch[float32]
}

// Buf returns a slice of n elements with arbitrary content that belongs to the function until it
// returns.
func (g *Group) Buf(n int) []float64 {
	return g.floats.take(n)
}

// Zeros is Buf with zeros.
func (g *Group) Zeros(n int) []float64 {
	s := g.Buf(n)
	clear(s)
	return s
}

// Singles is Buf for float32.
func (g *Group) Singles(n int) []float32 {
	return g.singles.take(n)
}

// Ints is Buf for integers.
func (g *Group) Ints(n int) []int {
	return g.ints.take(n)
}

// Position returns the position of entry i among all entries of the group.
func (g *Group) Position(i int) int {
	if g.At != nil {
		return g.At[i]
	}
	return i
}

// Errorf returns an error of kind ErrValue in the name of the loss.
func (g *Group) Errorf(format string, args ...any) error {
	return Faultf(ErrValue, g.name, "%s", fmt.Sprintf(format, args...))
}

// Second reports whether a derivative of second order is requested, of operand k by any other.
func (g *Group) Second() bool {
	return slices.ContainsFunc(g.Hess[:], func(h []float64) bool { return h != nil })
}
